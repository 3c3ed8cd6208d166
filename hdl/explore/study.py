"""An exploration as an Optuna study in a file, which holds each finished trial."""

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

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

__all__ = ["INSTALL", "Exploration", "name_of"]

INSTALL: Final = installs("explore")
_STUDY, _ASKED, _FIRST, _BUILT = "ninefold explore miner", "asked", "first", "built "
#: Of what is tried first.
_REVISION: Final = 2
#: All choices of a space that has no more are estimated before the first trial, which takes seconds.
_WHOLE: Final = 1 << 18
#: Trials at random before the sampler learns from them.
_STARTUP: Final = 24

_Named = TypeVar("_Named")


class Exploration:
    """A search through a space of configurations.

    Each trial depends on the seed and on the trials before it alone, so that one that was interrupted and resumed finds
    what it would have found at once.

    Parameters
    ----------
    space : Space
        The search space.
    objectives : sequence of Objective
        The objectives, two or more.
    path : Path
        The study, a file of Optuna's journal; created if it is missing, in a folder that exists.
    seed : int, optional
        The study's seed if the study exists, else 0.

    Raises
    ------
    UnavailableError
        Optuna is not installed.
    InputError
        The study that is there is of another exploration; the message names both.
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
        """True if the space is small enough to be estimated completely, so that its front is complete."""
        return self.space.size <= _WHOLE

    @property
    def finished(self) -> int:
        """Trials that were estimated, or found to be impossible."""
        return len(self._finished())

    def wanted(self, trials: int) -> int:
        """Return the number of trials that `run` ends at: more than asked for if the complete front has more."""
        return max(trials, len(self._first()))

    def run(self, trials: int, say: Callable[[int], None] = lambda _: None) -> None:
        """Try configurations until `trials` are finished, trials of earlier runs included.

        The front of a space that is estimated `whole` comes first, the best compromise at its head; elsewhere what is
        in the catalogue does.

        Parameters
        ----------
        trials : int
            How many; see `wanted`.
        say : callable, optional
            Called with the number of finished trials after each.
        """
        import optuna

        # Trials are finished in memory and kept whole, each by one write.
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
            except InputError:  # parameters that do not go together
                told = study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                trial.set_constraint("overuse", point.overuse)
                told = study.tell(trial, self._values(point))
            self._kept.add_trial(told)
            say(done + 1)

    def points(self) -> dict[str, Point]:
        """Return all different configurations that were estimated, also those that do not fit, by their names."""
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

        Of configurations with equal values, the one with the least memory, then with the smallest parameters, stands
        for all. In a configuration that a trial found, each searched parameter is first lowered as far as no objective
        gets worse.
        """
        points = self.points()
        tried = self._leanest((name, points[name]) for name in sorted(points))
        lean = {
            name_of(self.space.board.name, one.configuration): one
            for one in (self._lean(n, points[n]) for _, n in tried)
        }
        return {name: lean[name] for _, name in sorted(self._leanest(lean.items()))}

    def costs(self, point: Point) -> list[float]:
        """Return the values of the objectives, each so that less is better."""
        return [o.cost(v) for o, v in zip(self.objectives, self._values(point), strict=True)]

    @property
    def built(self) -> Mapping[str, Any]:
        """Records of built configurations, by name."""
        attributes = self._kept.user_attrs.items()
        return MappingProxyType({k.removeprefix(_BUILT): v for k, v in attributes if k.startswith(_BUILT)})

    def record(self, name: str, result: Mapping[str, Any]) -> None:
        """Keep the result of building a configuration in the study."""
        self._kept.set_user_attr(_BUILT + name, dict(result))

    def _first(self) -> list[dict[str, int]]:
        """Return the first trials, as the study has them."""
        if _FIRST not in self._kept.user_attrs:
            chosen = self._best() if self.whole else self._known()
            self._kept.set_user_attr(_FIRST, [self._indices(one) for one in chosen])
        return list(self._kept.user_attrs[_FIRST])

    def _known(self) -> list[dict[str, int]]:
        """Return the configuration of the catalogue, if it is in the space."""
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
                except InputError:  # they do not go together
                    continue

    def _leanest(self, points: Iterable[tuple[_Named, Point]]) -> list[tuple[tuple[float, ...], _Named]]:
        """Return costs and names of the front of all that fits; of equals the one that needs least."""
        leanest: dict[tuple[float, ...], tuple[tuple[float, ...], _Named]] = {}
        for name, point in points:
            needs, costs = _needs(point), tuple(self.costs(point))
            if not point.overuse and (costs not in leanest or needs < leanest[costs][0]):
                leanest[costs] = needs, name
        reached = list(leanest)
        return [(reached[i], leanest[reached[i]][1]) for i in nondominated(reached)]

    def _lean(self, name: str, point: Point) -> Point:
        """Return a point whose searched parameters are as small as its values of the objectives allow."""
        if name not in self._leaned:
            before = None
            while point is not before:
                before = point
                for parameter in self.space.searched:
                    point = next(self._smaller(point, parameter), point)
            self._leaned[name] = point
        return self._leaned[name]

    def _smaller(self, point: Point, parameter: str) -> Iterator[Point]:
        """Give what is no worse with a smaller value of a parameter, the smallest first."""
        chosen = {name: getattr(point.configuration.miner, name) for name in self.space.values}
        costs = self.costs(point)
        for value in self.space.values[parameter]:
            if value >= chosen[parameter]:
                return
            try:
                lower = estimated(self.space.configuration({**chosen, parameter: value}), self.space.board)
            except InputError:  # they do not go together
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
    """Return memory and parameters, to compare points of equal values."""
    return OBJECTIVES["ram"].value(point), *(getattr(point.configuration.miner, name) for name in PARAMETERS)


def name_of(board: str, configuration: Configuration) -> str:
    """Return a name, ``BOARD/x...``, that says which configuration it is by a digest of its parameters."""
    return f"{board}/x{digest_of(described(board, configuration))[:8]}"


def _index(name: str) -> str:
    """Return what the study calls the position of a parameter among its values, which has an order to learn from."""
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
        raise DamagedDataError(f"{path} holds {', '.join(names)}, and no exploration of Ninefold")
    if names:
        return optuna.load_study(study_name=_STUDY, storage=storage)
    return optuna.create_study(study_name=_STUDY, storage=storage, directions=directions)


def _check_journal(path: Path) -> None:
    """Refuse a file that is no journal, and remove an unfinished last line, after which Optuna would append."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    try:
        if any("op_code" not in json.loads(line) for line in whole.splitlines()) or (data and not whole):
            raise _no_journal(path, "its lines are no entries of one")
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
                f"{path} is a study of other {key}: {_shown(there)}, not {_shown(wanted)}; name another file by --study"
            )


def _differing(one: Any, other: Any) -> dict[str, Any]:
    return {name: values for name, values in one.items() if other.get(name) != values}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_shown(values)}" for name, values in value.items())
    if isinstance(value, list):
        return ",".join(map(str, value)) if len(value) < 4 else f"{value[0]}..{value[-1]} ({len(value)} values)"
    return str(value)
