from __future__ import annotations

import hashlib
import hmac
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from ninefold.host.server.keys import KeyFile, RefusedKeyError
from ninefold.spec.errors import DamagedDataError, InputError


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def test_a_token_opens_its_key_and_the_file_holds_only_a_digest(keys: KeyFile) -> None:
    key, token = keys.add("anna", "write", 60)
    assert keys.open(token) == key
    assert (key.name, key.scope, key.rate, key.expires) == ("anna", "write", 60, None)
    prefix, identity, secret = token.split("_")
    assert (prefix, identity, len(secret)) == ("nf", key.id, 64)  # 256 bits
    text = keys.path.read_text()
    assert secret not in text
    assert hashlib.sha256(secret.encode()).hexdigest() in text
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


def test_other_tokens_are_refused_without_being_quoted(keys: KeyFile) -> None:
    key, token = keys.add("anna", "read")
    other = keys.add("ben", "admin")[1]
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    mixed = f"nf_{key.id}_{other.split('_')[2]}"
    for one in ("", "nf", wrong, mixed, token + "0", token.upper(), f"nf_{'0' * 16}_{'0' * 64}", f"nf_{key.id}_", "é"):
        with pytest.raises(RefusedKeyError, match="not known") as refused:
            keys.open(one)
        assert not one or one not in str(refused.value)


def test_an_expired_key_is_refused_from_its_time_on(keys: KeyFile) -> None:
    key, token = keys.add("anna", "read", days=1)
    assert key.expires == key.made + 86_400
    assert keys.open(token, key.expires - 1) == key
    with pytest.raises(RefusedKeyError, match=f"{key.id} has expired"):
        keys.open(token, key.expires)


def test_a_removed_key_is_refused_by_a_server_that_knew_it(keys: KeyFile) -> None:
    key, token = keys.add("anna", "read")
    server = KeyFile(keys.path)
    assert server.open(token) == key
    assert keys.remove(key.id) == key
    with pytest.raises(RefusedKeyError):
        server.open(token)
    with pytest.raises(InputError, match=key.id):
        keys.remove(key.id)


def test_keys_added_at_once_are_all_kept(keys: KeyFile) -> None:
    threads = [threading.Thread(target=KeyFile(keys.path).add, args=(f"n{n}", "read")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.name for key in keys.keys().values()) == sorted(f"n{n}" for n in range(12))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ""}, "1 to 64 letters"),
        ({"name": "a\nb"}, r"'a\\nb'|'a\\\\nb'"),
        ({"scope": "root"}, "read, write, admin, not 'root'"),
        ({"rate": 0}, "1 to 1,000,000 requests a minute, not 0"),
        ({"days": 0}, "not 0"),
        ({"days": float("nan")}, "not nan"),
    ],
)
def test_bad_values_are_refused(keys: KeyFile, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        keys.add(**{"name": "anna", "scope": "read", **given})
    assert not keys.path.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 2, "keys": []}', '{"version": 1, "keys": [{}]}'])
def test_a_file_that_holds_no_keys_is_refused(keys: KeyFile, content: str) -> None:
    keys.path.write_text(content)
    keys.path.chmod(0o600)
    with pytest.raises(DamagedDataError, match=r"keys\.json is not a file of keys"):
        keys.keys()


def test_a_key_of_another_kind_is_refused(keys: KeyFile) -> None:
    keys.add("anna", "read")
    record = json.loads(keys.path.read_text())
    record["keys"][0]["scope"] = "root"
    keys.path.write_text(json.dumps(record))
    with pytest.raises(DamagedDataError):
        KeyFile(keys.path).keys()


def test_a_file_that_others_may_read_is_refused(keys: KeyFile) -> None:
    keys.add("anna", "read")
    assert len(keys.keys()) == 1
    keys.path.chmod(0o640)
    with pytest.raises(InputError, match="mode 640"):
        keys.keys()


def test_an_unknown_id_costs_the_same_comparison_as_a_wrong_secret(
    keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, token = keys.add("anna", "read")
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or compare(a, b))
    for wrong in (f"nf_{key.id}_{'0' * 64}", f"nf_{'0' * 16}_{'0' * 64}", "nonsense"):
        with pytest.raises(RefusedKeyError):
            keys.open(wrong)
    keys.open(token)
    assert compared == [(64, 64)] * 4
