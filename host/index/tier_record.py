"""Record of an index's tiers: where lists are, what was looked up, and thresholds. Its readers take no lock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from ninefold.host.tiers import Tier, TierSizes
from ninefold.host.tiers.routing import STAGES, Thresholds
from ninefold.spec.errors import DamagedDataError
from ninefold.spec.files import written_aside

__all__ = ["FOLDER", "TIERS", "TierCounts", "TierRecord"]

#: Folder of the tiers, in the folder of an index.
FOLDER: Final = "tiers"
_NAME: Final = "tiers.json"
_FORMAT: Final = "ninefold tiers 1"
#: Names of the tiers, the fastest first.
TIERS: Final = tuple(tier.name.lower() for tier in Tier)


@dataclass
class TierCounts:
    """Counts since the lists were written.

    Attributes
    ----------
    lookups : dict of str to int
        Lists that questions used, by the tier in which they were.
    answers : dict of str to int
        Questions, by the stage that answered.
    searches, seconds : dict of str to int, and to float
        Searches of each stage, and their time in all.
    misses, prefetched : int
        Lists that were read from their files: used ones, and similar ones.
    """

    lookups: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TIERS, 0))
    answers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    searches: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    misses: int = 0
    prefetched: int = 0

    def hit_rate(self, tier: str) -> float | None:
        """Return the share of the lookups that found their list in a tier; None before the first."""
        total = sum(self.lookups.values())
        return self.lookups[tier] / total if total else None

    def mean_s(self, stage: str) -> float | None:
        """Return the mean time of a search of a stage in seconds; None before the first."""
        return self.seconds[stage] / self.searches[stage] if self.searches[stage] else None


@dataclass
class TierRecord:
    """Record of an index's tiers.

    Attributes
    ----------
    generation : int
        Number of the index's generation.
    centroids : str
        SHA-256 of its centroids.
    upto : int
        Last sequence number whose row is in the files of the lists.
    rows : list of int
        Number of rows in each list's file; a list without rows has none.
    nbytes, stored : int
        Bytes of the lists' arrays, and of their files.
    sizes : TierSizes
    lists : int
        Lists that each question uses.
    thresholds : Thresholds
    hot, warm, last : list of int
        Lists in the two tiers, and the last use of each list.
    clock : float
        Time of the last question in seconds.
    hottest : list of (int, float)
        Lists with the largest momentum.
    hot_bytes, warm_bytes : int
        Bytes of the rows in the two tiers.
    counts : TierCounts
    """

    generation: int
    centroids: str
    upto: int
    rows: list[int]
    nbytes: int
    stored: int
    sizes: TierSizes = field(default_factory=TierSizes)
    lists: int = 4
    thresholds: Thresholds = field(default_factory=Thresholds)
    hot: list[int] = field(default_factory=list)
    warm: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    clock: float = 0.0
    hottest: list[tuple[int, float]] = field(default_factory=list)
    hot_bytes: int = 0
    warm_bytes: int = 0
    counts: TierCounts = field(default_factory=TierCounts)

    @property
    def ratio(self) -> float:
        """Bytes of the arrays for each byte of the files."""
        return self.nbytes / self.stored if self.stored else 1.0

    def write(self, folder: Path) -> None:
        """Write the record in place of the earlier one."""
        with written_aside(folder / _NAME, durable=True) as aside:
            aside.write_text(json.dumps({"format": _FORMAT, **asdict(self)}))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return the record of a folder; None if there is none.

        Raises
        ------
        DamagedDataError
            It is damaged; the message names it.
        """
        path = folder / _NAME
        try:
            return cls._of(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedDataError(
                f"{path} is damaged: {error}; `ninefold tiers {folder.parent} --rebuild` writes it again"
            ) from error

    @classmethod
    def readable(cls, folder: Path) -> Self | None:
        """Return the record of a folder whose lists are to be written again; None if there is none or it is damaged."""
        try:
            return cls.read(folder)
        except DamagedDataError:
            return None

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> Self:
        rest = dict(content)
        if (found := rest.pop("format")) != _FORMAT:
            raise ValueError(f"its format is {found!r}, not {_FORMAT!r}")
        rest["sizes"] = TierSizes(**rest["sizes"])
        rest["thresholds"] = Thresholds.of_json(rest["thresholds"])
        rest["counts"] = TierCounts(**rest["counts"])
        rest["hottest"] = [(int(number), float(momentum)) for number, momentum in rest["hottest"]]
        return cls(**rest)

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the record, before its lists are written again."""
        (folder / _NAME).unlink(missing_ok=True)
