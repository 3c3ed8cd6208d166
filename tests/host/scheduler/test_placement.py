"""Choice of a device: by score before measurements, by earliest completion after."""

from __future__ import annotations

import pytest

from ninefold.host.scheduler import Scheduler
from ninefold.host.scheduler.placement import TRIAL_AFTER
from ninefold.spec.data import Result
from ninefold.spec.errors import InputError

from .fakes import Fake, backends, cpu, database, queries


def ask(s: Scheduler, times: int = 1, **settings: object) -> list[Result]:
    data = database()
    return [s.run("mine", queries(), data, k=3, **settings) for _ in range(times)]


def measured(s: Scheduler, device: str, seconds: float) -> None:
    for _ in range(8):
        s._costs.record(device, "mine Q1 D5 N6 k2 scan=nits oversample6", seconds)


def test_before_any_measurement_the_highest_score_wins() -> None:
    with Scheduler(backends=backends(cpu(), Fake("gpu", rating=9), Fake("npu", rating=6)), costs=None) as s:
        (result,) = ask(s)
    assert result.answered_by == "gpu"
    assert result.why == "rated highest, 9.7; no such call has been measured yet"
    # 5 * capability + 3 * rating / 10 + 2 * available, nothing is busy.
    assert {c.device: c.score for c in result.considered} == pytest.approx({"cpu": 7.9, "gpu": 9.7, "npu": 8.8})
    assert [c.completion_s for c in result.considered] == [None] * 3


def test_the_preferred_class_gets_half_a_capability_more() -> None:
    with Scheduler(backends=backends(cpu(), Fake("gpu", rating=9), Fake("npu", kind="npu", rating=1)), costs=None) as s:
        (result,) = ask(s, prefer="npu")
        assert result.answered_by == "npu"
        assert next(c.score for c in result.considered if c.device == "npu") == pytest.approx(7.5 + 0.3 + 2)
        with pytest.raises(InputError, match=r"^prefer must be one of cpu, fpga, gpu, .*, not 'tpu'$"):
            ask(s, prefer="tpu")


def test_after_measurements_the_earliest_completion_wins() -> None:
    with Scheduler(backends=backends(cpu(), Fake("gpu", rating=9)), costs=None) as s:
        s.devices()
        measured(s, "cpu", 0.001)
        measured(s, "gpu", 0.5)
        (result,) = ask(s)
    assert result.answered_by == "cpu"
    assert result.why.startswith("earliest expected completion, ")
    gpu = next(c for c in result.considered if c.device == "gpu")
    assert gpu.run_s == 0.5
    assert gpu.load_s > 0


def test_a_candidate_without_a_measurement_gets_one_trial_that_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    monkeypatch.setattr("ninefold.host.hooks.check", lambda call, *_: checked.append(call.operator.name) or "")
    fakes = backends(cpu(), Fake("gpu", rating=9), Fake("npu", rating=6))
    with Scheduler(backends=fakes, costs=None, check_every=1000) as s:
        measured(s, "cpu", 0.02)
        results = ask(s, TRIAL_AFTER + 6)
    by = [result.answered_by for result in results]
    # They would have to be opened and loaded first, so they wait until such calls have come a few times.
    assert by[:TRIAL_AFTER] == ["cpu"] * TRIAL_AFTER
    assert by[TRIAL_AFTER : TRIAL_AFTER + 2] == ["gpu", "npu"]
    assert next(r.why for r in results if r.answered_by == "npu") == "its one trial"
    assert len(checked) == 2


def test_named_only_devices_are_never_chosen() -> None:
    fakes = backends(cpu(), Fake("rtl", rating=10, named_only=True))
    with Scheduler(backends=fakes, costs=None) as s:
        results = ask(s, 2 * TRIAL_AFTER)
        assert {r.answered_by for r in results} == {"cpu"}
        assert [c.device for c in results[0].considered] == ["cpu"]
        (named,) = ask(s, device="rtl")
    assert (named.answered_by, named.why) == ("rtl", "asked for by name")


def test_devices_that_do_not_run_the_operator_say_why() -> None:
    fakes = backends(cpu(), Fake("gpu", rating=9, reasons={"mine": "its kernels sort nothing"}))
    with Scheduler(backends=fakes, costs=None) as s:
        (result,) = ask(s)
    assert result.answered_by == "cpu"
    assert {c.device: c.refused for c in result.considered} == {"cpu": "", "gpu": "its kernels sort nothing"}


def test_explaining_runs_nothing() -> None:
    fakes = backends(cpu(), Fake("gpu", rating=9))
    with Scheduler(backends=fakes, costs=None) as s:
        choice = s.explain("mine", queries(), database(), k=3)
        assert choice.worker is not None
        assert choice.worker.name == "gpu"
        assert [c.device for c in choice.considered] == ["cpu", "gpu"]
        assert s.explain("mine", queries(), database(), device="cpu").why == "asked for by name"
        assert s.explain("mine", queries(0), database()).why == "there is nothing to compute"
    assert not fakes["gpu"].opened


def test_a_faster_device_is_loaded_while_another_answers() -> None:
    fakes = backends(cpu(), Fake("gpu", rating=9))
    data = database()
    with Scheduler(backends=fakes, costs=None) as s:
        s.devices()
        measured(s, "cpu", 0.010)
        measured(s, "gpu", 0.001)
        for worker in ("cpu", "gpu"):  # loading is expected to take longer than answering elsewhere
            s._costs.record(worker, f"load{data.nbytes.bit_length()}", 0.5 if worker == "gpu" else 0.001)
        first = s.run("mine", queries(), data, k=3)
        while not s.devices()[1].residents:  # the load in the background ends soon
            pass
        second = s.run("mine", queries(), data, k=3)
    assert (first.answered_by, second.answered_by) == ("cpu", "gpu")
    assert fakes["gpu"].device.loads == [data.digest]


def test_a_large_batch_is_split_over_devices_by_their_speed() -> None:
    fakes = backends(cpu(), Fake("gpu", rating=9), Fake("npu", rating=6))
    data, q = database(), queries(60)
    with Scheduler(backends=fakes, costs=None) as s:
        whole = s.run("mine", q, data, k=3, device="cpu")
        for device in ("gpu", "npu"):
            s.run("mine", q, data, k=3, device=device)
        for device, seconds in (("cpu", 0.3), ("gpu", 0.1), ("npu", 0.15)):
            for _ in range(8):
                s._costs.record(device, "mine Q6 D5 N6 k2 scan=nits oversample6", seconds)
        result = s.run("mine", q, data, k=3)
    assert result.answered_by == "cpu, gpu, npu"
    assert result.why == "a batch split by measured speed: cpu 10 rows, gpu 30 rows, npu 20 rows"
    assert all((result.values[name] == whole.values[name]).all() for name in whole.values)


def test_devices_on_the_same_hardware_do_not_split() -> None:
    fakes = backends(cpu(unit="host"), Fake("opencl", unit="host"))
    data, q = database(), queries(60)
    with Scheduler(backends=fakes, costs=None) as s:
        for device in fakes:
            s.run("mine", q, data, k=3, device=device)
            for _ in range(8):
                s._costs.record(device, "mine Q6 D5 N6 k2 scan=nits oversample6", 0.3)
        assert "," not in s.run("mine", q, data, k=3).answered_by
