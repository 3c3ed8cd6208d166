"""Exploration as an Optuna study in a file, which stores each finished trial."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ninefold.hdl.configurations import Configuration, described
from ninefold.hdl.estimate_area import fitted
from ninefold.hdl.explore.front import by_compromise, nondominated
from ninefold.hdl.explore.objectives import OBJECTIVES, Objective, Point, estimated
from ninefold.hdl.explore.space import PARAMETERS, Space
from ninefold.spec.cache import digest_of
from ninefold.spec.errors import DamagedDataError, InputError, installs, not_installed
from ninefold.spec.progress import step
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

__all__ = ["INSTALL", "Exploration", "name_of"]

INSTALL: Final = installs("explore")
_STUDY, _ASKED, _FIRST, _BUILT = "ninefold explore miner", "asked", "first", "built "
#: Revision of the choice of first trials.
_REVISION: Final = 2
#: Maximum size of a space that is estimated completely before the first trial, which takes seconds.
_WHOLE: Final = 1 << 18
#: Number of random trials before the sampler uses earlier results.
_STARTUP: Final = 24

_Named = TypeVar("_Named")


class Exploration:
    """Search through a space of configurations.

    Each trial depends only on the seed and on earlier trials, so an interrupted and resumed search finds the same
    configurations as an uninterrupted one.

    Parameters
    ----------
    space : Space
        The search space.
    objectives : sequence of Objective
        The objectives, two or more.
    path : Path
        File of the study, an Optuna journal. It is created if missing; its folder must exist.
    seed : int, optional
        Seed of the search; by default the seed of the existing study, or 0.

    Raises
    ------
    UnavailableError
        Optuna is not installed.
    InputError
        The file is the study of another exploration; the message gives the difference.
    DamagedDataError
        The file is not a study.
    """

    def __init__(self, space: Space, objectives: Sequence[Objective], path: Path, seed: int | None = None) -> None:
        self.space, self.objectives, self.path = space, tuple(objectives), path
        self._leaned: dict[str, Point] = {}
        self._kept = _opened(path, [objective.direction for objective in objectives])
        asked: dict[str, Any] = {
            "board": space.board.name,
            "objectives": [objective.name for objective in objectives],
            "seed": seed,
            "baud": space.base.baud,
            "parameters": {name: list(values) for name, values in space.values.items()},
            "estimates": digest_of(fitted()["weights"])[:16],
            "revision": _REVISION,
        }
        held = self._kept.user_attrs.get(_ASKED)
        if held is None:
            asked["seed"] = seed or 0
            self._kept.set_user_attr(_ASKED, asked)
        else:
            asked["seed"] = held["seed"] if seed is None else seed
            _check_same(path, held, asked)
        self.seed: int = asked["seed"]

    @property
    def whole(self) -> bool:
        """True if the space is small enough to be estimated completely; its front is then complete."""
        return self.space.size <= _WHOLE

    @property
    def finished(self) -> int:
        """Number of trials that were estimated or found not to be allowed."""
        return len(self._finished())

    def wanted(self, trials: int) -> int:
        """Return the number of trials at which `run` stops: `trials`, or the size of the complete front if larger."""
        return max(trials, len(self._first()))

    def run(self, trials: int, say: Callable[[int], None] = lambda _: None) -> None:
        """Try configurations until `trials` are finished, including trials of earlier runs.

        In a space that is estimated `whole`, the points of its front are tried first, starting with the best
        compromise. Otherwise the configuration of the catalogue is tried first.

        Parameters
        ----------
        trials : int
            Number of trials; see `wanted`.
        say : callable, optional
            Called after each trial with the number of finished trials.
        """
        import optuna

        # Trials run in memory; each finished trial is stored with one write.
        study = optuna.create_study(directions=self._kept.directions)
        study.add_trials(self._finished())
        first = self._first()
        for done in range(self.finished, self.wanted(trials)):
            with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
                study.sampler = optuna.samplers.TPESampler(
                    seed=int(digest_of(self.seed, done)[:8], 16),
                    n_startup_trials=_STARTUP,
                    multivariate=True,
                    constant_liar=False,
                )
            if done < len(first):
                study.enqueue_trial(first[done])
            trial = study.ask()
            try:
                point = estimated(self._suggested(trial), self.space.board)
            except InputError:  # the combination is not allowed
                told = study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                trial.set_constraint("overuse", point.overuse)
                told = study.tell(trial, self._values(point))
            self._kept.add_trial(told)
            say(done + 1)

    def points(self) -> dict[str, Point]:
        """Return all different estimated configurations by name, including those that do not fit."""
        found: dict[str, Point] = {}
        for trial in self._finished():
            if trial.values is not None:
                configuration = self.space.configuration(self._parameters(trial.params))
                name = name_of(self.space.board.name, configuration)
                if name not in found:
                    found[name] = estimated(configuration, self.space.board)
        return found

    def front(self) -> dict[str, Point]:
        """Return the Pareto-optimal configurations that fit the device, the best in the first objective first.

        In each configuration found by a trial, the searched parameters are first lowered as far as no objective gets
        worse. Of configurations with equal values, only the one with the least memory, then with the smallest
        parameters, is returned.
        """
        points = self.points()
        tried = self._leanest((name, points[name]) for name in sorted(points))
        lean = {
            name_of(self.space.board.name, one.configuration): one
            for one in (self._lean(n, points[n]) for _, n in tried)
        }
        return {name: lean[name] for _, name in sorted(self._leanest(lean.items()))}

    def costs(self, point: Point) -> list[float]:
        """Return the values of the objectives as costs: smaller is better."""
        return [o.cost(v) for o, v in zip(self.objectives, self._values(point), strict=True)]

    @property
    def built(self) -> Mapping[str, Any]:
        """Records of built configurations by name."""
        attributes = self._kept.user_attrs.items()
        return MappingProxyType({k.removeprefix(_BUILT): v for k, v in attributes if k.startswith(_BUILT)})

    def record(self, name: str, result: Mapping[str, Any]) -> None:
        """Store the result of a configuration's build in the study."""
        self._kept.set_user_attr(_BUILT + name, dict(result))

    def _first(self) -> list[dict[str, int]]:
        """Return the first trials as indices of values, stored in the study on first use."""
        if _FIRST not in self._kept.user_attrs:
            chosen = self._best() if self.whole else self._known()
            self._kept.set_user_attr(_FIRST, [self._indices(one) for one in chosen])
        return list(self._kept.user_attrs[_FIRST])

    def _known(self) -> list[dict[str, int]]:
        """Return the configuration of the catalogue if it is in the space, otherwise nothing."""
        known = {name: getattr(self.space.base.miner, name) for name in self.space.values}
        return [known] if all(known[name] in values for name, values in self.space.values.items()) else []

    def _best(self) -> list[dict[str, int]]:
        """Return the front of the whole space, the best compromise first."""
        found = self._leanest(self._everything())
        return [found[i][1] for i in by_compromise([costs for costs, _ in found])] if found else []

    def _everything(self) -> Iterator[tuple[dict[str, int], Point]]:
        with step("estimating all choices", self.space.size) as estimating:
            for chosen in self.space.choices():
                estimating.advance()
                try:
                    yield chosen, estimated(self.space.configuration(chosen), self.space.board)
                except InputError:  # the combination is not allowed
                    continue

    def _leanest(self, points: Iterable[tuple[_Named, Point]]) -> list[tuple[tuple[float, ...], _Named]]:
        """Return costs and names of the front of points that fit; of equal points, the one with the least needs."""
        leanest: dict[tuple[float, ...], tuple[tuple[float, ...], _Named]] = {}
        for name, point in points:
            needs, costs = _needs(point), tuple(self.costs(point))
            if not point.overuse and (costs not in leanest or needs < leanest[costs][0]):
                leanest[costs] = needs, name
        reached = list(leanest)
        return [(reached[i], leanest[reached[i]][1]) for i in nondominated(reached)]

    def _lean(self, name: str, point: Point) -> Point:
        """Return the point with its searched parameters lowered as far as no objective gets worse."""
        if name not in self._leaned:
            before = None
            while point is not before:
                before = point
                for parameter in self.space.searched:
                    point = next(self._smaller(point, parameter), point)
            self._leaned[name] = point
        return self._leaned[name]

    def _smaller(self, point: Point, parameter: str) -> Iterator[Point]:
        """Yield points with a smaller value of a parameter that are no worse, the smallest value first."""
        chosen = {name: getattr(point.configuration.miner, name) for name in self.space.values}
        costs = self.costs(point)
        for value in self.space.values[parameter]:
            if value >= chosen[parameter]:
                return
            try:
                lower = estimated(self.space.configuration({**chosen, parameter: value}), self.space.board)
            except InputError:  # the combination is not allowed
                continue
            worse = any(a > b for a, b in zip(self.costs(lower), costs, strict=True))
            if not lower.overuse and not worse and _needs(lower) < _needs(point):
                yield lower

    def _indices(self, chosen: Mapping[str, int]) -> dict[str, int]:
        return {_index(name): self.space.values[name].index(chosen[name]) for name in self.space.searched}

    def _finished(self) -> list[FrozenTrial]:
        from optuna.trial import TrialState

        return self._kept.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    def _suggested(self, trial: Trial) -> Configuration:
        chosen = {
            _index(name): trial.suggest_int(_index(name), 0, len(self.space.values[name]) - 1)
            for name in self.space.searched
        }
        return self.space.configuration(self._parameters(chosen))

    def _parameters(self, chosen: Mapping[str, int]) -> dict[str, int]:
        return {name: values[chosen.get(_index(name), 0)] for name, values in self.space.values.items()}

    def _values(self, point: Point) -> list[float]:
        return [objective.value(point) for objective in self.objectives]


def _needs(point: Point) -> tuple[float, ...]:
    """Return memory and parameters, for comparing points with equal values."""
    return OBJECTIVES["ram"].value(point), *(getattr(point.configuration.miner, name) for name in PARAMETERS)


def name_of(board: str, configuration: Configuration) -> str:
    """Return the name of a configuration, ``BOARD/x...``, with a digest of its parameters."""
    return f"{board}/x{digest_of(described(board, configuration))[:8]}"


def _index(name: str) -> str:
    """Return the study's name for the index of a parameter's value; indices are ordered, so the sampler can learn."""
    return f"{name}_index"


def _opened(path: Path, directions: Sequence[Any]) -> Study:
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise not_installed(str(error.name), INSTALL) from error

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _check_journal(path)
    try:
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            storage = JournalStorage(JournalFileBackend(str(path)))
        names = optuna.get_all_study_names(storage)
    except (ValueError, KeyError, TypeError) as error:
        raise _no_journal(path, error) from error
    if names and _STUDY not in names:
        raise DamagedDataError(f"{path} contains {', '.join(names)}, but no Ninefold exploration")
    if names:
        return optuna.load_study(study_name=_STUDY, storage=storage)
    return optuna.create_study(study_name=_STUDY, storage=storage, directions=directions)


def _check_journal(path: Path) -> None:
    """Reject a file that is not a journal, and remove an unfinished last line before Optuna appends to it."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    try:
        if any("op_code" not in json.loads(line) for line in whole.splitlines()) or (data and not whole):
            raise _no_journal(path, "its lines are not journal entries")
    except (ValueError, TypeError, RecursionError) as error:
        raise _no_journal(path, error) from error
    if whole != data:
        with path.open("r+b") as file:
            file.truncate(len(whole))


def _no_journal(path: Path, why: object) -> DamagedDataError:
    return DamagedDataError(f"{path} is not a journal of Optuna: {why}")


def _check_same(path: Path, held: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    for key in asked:
        there, wanted = held.get(key), asked[key]
        if key == "parameters":
            there, wanted = _differing(there, wanted), _differing(wanted, there)
        if there != wanted:
            raise InputError(
                f"{path} is a study with other {key}: {_shown(there)}, not {_shown(wanted)}; "
                "name another file by --study"
            )


def _differing(one: Any, other: Any) -> dict[str, Any]:
    return {name: values for name, values in one.items() if other.get(name) != values}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_shown(values)}" for name, values in value.items())
    if isinstance(value, list):
        return (
            ",".join(map(str, value)) if len(value) < 4 else f"{value[0]}..{value[-1]} ({counted(len(value), 'value')})"
        )
    return str(value)
