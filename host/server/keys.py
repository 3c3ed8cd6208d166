"""Keys of callers: ``nf_ID_SECRET``, of which a file keeps the id and the digest of the secret.

A secret has 256 random bits, so that one round of SHA-256 is enough: a slow hash protects secrets that can be guessed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.files import written_aside
from ninefold.spec.terminal import printable

__all__ = ["SCOPES", "Key", "KeyFile", "RefusedKeyError", "Scope"]

#: What a key allows: to search and read; to write entries and residents too; to make backups too.
Scope = Literal["read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_TOKEN: Final = re.compile(r"nf_([0-9a-f]{16})_([0-9a-f]{64})")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")
#: Requests a minute of a key that names no other number, and the largest number.
DEFAULT_RATE: Final = 600
_FASTEST: Final = 1_000_000
#: Digest that is compared when no key has the id, so that the answer takes as long.
_NOTHING: Final = hashlib.sha256(b"").hexdigest()


class RefusedKeyError(InputError):
    """A token that opens nothing; the message never quotes it."""


@dataclass(frozen=True)
class Key:
    """Key of one caller.

    Attributes
    ----------
    id : str
        16 hexadecimal digits, which logs may show.
    name : str
        Who has it.
    scope : {'read', 'write', 'admin'}
        What it allows.
    digest : str
        SHA-256 of the secret, in hexadecimal.
    rate : int
        Requests allowed in a minute.
    made : int
        When it was made, in seconds since 1970.
    expires : int or None
        From when it is refused, in seconds since 1970.
    """

    id: str
    name: str
    scope: Scope
    digest: str
    rate: int
    made: int
    expires: int | None = None


class KeyFile:
    """File of keys, which only its owner may read; changes by other processes are seen at the next request.

    Parameters
    ----------
    path : Path
        The file. It need not exist before the first key is added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def keys(self) -> dict[str, Key]:
        """Return all keys by id; raises `DamagedDataError` if the file is not a file of keys."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return {}
        seen = (state.st_ino, state.st_ctime_ns, state.st_size)
        if seen != self._seen:
            if state.st_mode & 0o077:
                raise InputError(
                    f"{self.path} may be read by others than its owner (mode {state.st_mode & 0o777:o}); chmod 600 it"
                )
            self._keys, self._seen = _read(self.path), seen
        return self._keys

    def add(self, name: str, scope: Scope, rate: int = DEFAULT_RATE, days: float | None = None) -> tuple[Key, str]:
        """Add a key.

        Parameters
        ----------
        name : str
            Who gets it: 1 to 64 letters, digits, blanks and ``._@-``.
        scope : {'read', 'write', 'admin'}
            What it allows.
        rate : int
            Requests allowed in a minute, 1 to 1,000,000.
        days : float, optional
            Days after which it expires, more than 0; never by default.

        Returns
        -------
        Key
        str
            The token ``nf_ID_SECRET``, which cannot be had again.

        Raises
        ------
        InputError
            For any other value.
        """
        if not _NAME.fullmatch(name):
            raise InputError(f"a name has 1 to 64 letters, digits, blanks and ._@-, not {printable(name)!r}")
        if scope not in SCOPES:
            raise InputError(f"scope must be one of {', '.join(SCOPES)}, not {scope!r}")
        if not 1 <= rate <= _FASTEST:
            raise InputError(f"rate must be 1 to {_FASTEST:,} requests a minute, not {rate}")
        if days is not None and not 0 < days <= 36_500:
            raise InputError(f"days must be more than 0 and at most 36,500, not {days}")
        identity, secret = secrets.token_hex(8), secrets.token_hex(32)
        made = int(time.time())
        expires = None if days is None else made + max(1, round(days * 86_400))
        key = Key(identity, name, scope, _digest(secret), rate, made, expires)
        with self._locked():
            self._write({**self.keys(), identity: key})
        return key, f"nf_{identity}_{secret}"

    def remove(self, identity: str) -> Key:
        """Remove the key with an id and return it; raises `InputError` if there is none."""
        with self._locked():
            keys = dict(self.keys())
            if identity not in keys:
                raise InputError(f"{self.path} has no key {printable(identity)}; `ninefold keys list` shows all")
            removed = keys.pop(identity)
            self._write(keys)
        return removed

    def open(self, token: str, now: float | None = None) -> Key:
        """Return the key of a token.

        Raises
        ------
        RefusedKeyError
            It is no token, or of no key, or its key has expired. All of these take the same time.
        """
        parts = _TOKEN.fullmatch(token)
        identity, secret = parts.groups() if parts else ("", "")
        key = self.keys().get(identity)
        same = hmac.compare_digest(_digest(secret), _NOTHING if key is None else key.digest)
        if not same or key is None or parts is None:
            raise RefusedKeyError("the key is not known to this server")
        if key.expires is not None and (time.time() if now is None else now) >= key.expires:
            raise RefusedKeyError(f"the key {key.id} has expired")
        return key

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from changing the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (self.path.parent / f".{self.path.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, keys: dict[str, Key]) -> None:
        with written_aside(self.path, durable=True) as work:
            file = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(file, "w") as stream:
                os.fchmod(stream.fileno(), 0o600)
                json.dump({"version": 1, "keys": [asdict(key) for key in keys.values()]}, stream, indent=1)
        self._seen = None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(path: Path) -> dict[str, Key]:
    try:
        content = json.loads(path.read_text())
        keys = [_key(record) for record in content["keys"]]
        if content["version"] != 1:
            raise ValueError(f"version {content['version']}")
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedDataError(f"{path} is not a file of keys ({error})") from error
    return {key.id: key for key in keys}


def _key(record: Any) -> Key:
    key = Key(**record)
    times = [key.made] if key.expires is None else [key.made, key.expires]
    words = isinstance(key.id, str) and isinstance(key.name, str) and isinstance(key.digest, str)
    if not words or key.scope not in SCOPES or not all(isinstance(one, int) for one in (key.rate, *times)):
        raise ValueError(f"key {printable(str(key.id))}")
    return key
