"""Models that write waveforms, and exchanges under back-pressure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.sim.verilated import Gaps, Model, TracedModel, design
from ninefold.spec.errors import DeviceError

PARAMETERS: dict[str, Any] = {"k": 2, "score_width": 4, "id_width": 3}
SCORES = [3, -8, 7, 3, 5, -1]


def exchanged(model: Model, gaps: Gaps | Mapping[str, Gaps] | None = None) -> tuple[list[int], int]:
    """Send one batch; returns the scores of the results, and the cycles."""
    columns = {"score": np.array(SCORES), "id": np.arange(6), "last": np.arange(6) == 5}
    before = model.cycles
    run, taken = model.exchange({"scores": model.streams["scores"].pack(6, columns)}, {"results": 2}, 50, gaps)
    assert taken == {"scores": 6}
    return model.streams["results"].unpack(run.outputs["results"])["score"].tolist(), model.cycles - before


def times(path: Path) -> list[int]:
    return [int(line[1:]) for line in path.read_text().splitlines() if line.startswith("#")]


def test_a_window_of_cycles_is_recorded(tmp_path: Path) -> None:
    model = TracedModel(design("topk", PARAMETERS))
    model.record(tmp_path / "window.vcd", 3, 12)
    assert exchanged(model)[0] == [7, 5]
    model.close()
    text = (tmp_path / "window.vcd").read_text()
    assert text.splitlines()[1].split() == ["$timescale", "1ns", "$end"]
    assert " kept_valid " in text
    assert times(tmp_path / "window.vcd") == [time for cycle in range(3, 13) for time in (10 * cycle, 10 * cycle + 5)]


def test_the_cycle_of_a_beat() -> None:
    model = TracedModel(design("topk", PARAMETERS))
    assert model.watched is None
    for stream, beat in (("scores", 0), ("scores", 5), ("results", 1)):
        model = TracedModel(design("topk", PARAMETERS))
        model.watch(stream, beat)
        _, cycles = exchanged(model)
        # Scores are accepted from the first cycle on, one a cycle, and the last result is the last thing that moves.
        assert model.watched == (beat if stream == "scores" else cycles - 1)
    model.close()
    with pytest.raises(DeviceError, match="closed"):
        model.watch("scores", 0)


def test_exchanges_under_back_pressure_are_repeatable() -> None:
    model = Model(design("topk", PARAMETERS), quick=True)
    plain = exchanged(model)
    runs = [exchanged(model, Gaps(0.5, seed)) for seed in (1, 1, 2)]
    assert [scores for scores, _ in (plain, *runs)] == [[7, 5]] * 4
    assert runs[0] == runs[1]
    assert min(cycles for _, cycles in runs) > plain[1]


def test_outputs_are_blocked_until_the_core_is_full() -> None:
    model = TracedModel(design("topk", PARAMETERS))
    batches = 40
    columns = {
        "score": np.arange(2 * batches) % 16 - 8,
        "id": np.zeros(2 * batches, int),
        "last": np.arange(2 * batches) % 2,
    }
    beats = model.streams["scores"].pack(2 * batches, columns)
    _, full = model.exchange({"scores": beats}, {}, 20)
    assert 0 < full["scores"] < 2 * batches
    model.reset()
    model.watch("scores", full["scores"])
    before = model.cycles
    run, taken = model.exchange({"scores": beats}, {"results": 2 * batches}, 50, blocked=20)
    assert (len(run.outputs["results"]), taken) == (2 * batches, {"scores": 2 * batches})
    # The beat that no longer fitted was taken once the outputs were, which 20 cycles had passed for.
    assert model.watched is not None
    assert model.watched - before > full["scores"] + 20
    model.close()


def test_streams_pause_by_themselves() -> None:
    model = TracedModel(design("topk", PARAMETERS))
    alone = exchanged(model, {"scores": Gaps(0.9, 3)})[1]
    assert exchanged(model, {"scores": Gaps(0.9, 3)})[1] == alone
    assert alone > exchanged(model, {"results": Gaps(0.0, 3)})[1] == exchanged(model)[1]
    model.close()
