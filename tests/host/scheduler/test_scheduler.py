"""The public API: tasks, futures, priorities, deadlines, cancellation, back-pressure, the end."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ninefold.host import Task, run
from ninefold.host.scheduler import Future, Scheduler
from ninefold.sim import golden
from ninefold.spec.data import Answer
from ninefold.spec.errors import DeadlineError, DeviceError, InputError, UnavailableError, UnsupportedError
from ninefold.spec.formats import INT32_MIN
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.signature import Call

from .fakes import ALL, Fake, FakeDevice, backends, cpu, database, queries, total

DATA = database()


class Gate:
    """A behaviour that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _device: FakeDevice, _call: Call) -> Answer | None:
        self.entered.set()
        assert self.open.wait(30)
        return None


@pytest.fixture
def threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    # A thread of an earlier test may end meanwhile.
    assert set(threading.enumerate()) <= before


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


def test_the_answer_says_who_and_why(threads: None) -> None:
    wanted = golden.answer(OPERATORS["mine"].bind({"q": queries(2), "database": DATA}, {"k": 3}))
    with Scheduler(backends=backends(cpu(), Fake("gpu")), costs=None) as s:
        db = s.load(DATA)
        future = s.submit("mine", queries(2), db, k=3, device="gpu")
        result = future.result()
    assert all(np.array_equal(result.values[name], wanted[name]) for name in wanted)
    assert (result.asked_for, result.answered_by, result.why) == ("gpu", "gpu", "asked for by name")
    assert result.fallbacks == ()
    assert result.path


def test_arguments_by_place_and_by_name() -> None:
    with Scheduler(backends=backends(cpu()), costs=None) as s:
        by_name = s.run("mine", database=DATA, q=queries(), k=3)
        assert np.array_equal(by_name.values["ids"], s.run("mine", queries(), DATA, k=3).values["ids"])
        with pytest.raises(InputError, match=r"^mine takes 3 arguments \(q, database, allowed\), not 4$"):
            s.run("mine", queries(), DATA, None, 3)
        with pytest.raises(InputError, match=r"^mine was given the argument q twice$"):
            s.run("mine", queries(), DATA, q=queries())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"operator": "sort"}, r"^operator must be one of .*calibrate, .*, not 'sort'$"),
        ({"device": "tpu"}, r"^device must be auto or one of cpu, alone or with :INSTANCE, not 'tpu'$"),
        ({"priority": 11}, r"^priority must be an integer from 1 to 10, not 11$"),
        ({"priority": 2.5}, r"^priority must be an integer from 1 to 10, not 2.5$"),
        ({"deadline_s": 0}, r"^deadline_s must be a number greater than 0, not 0$"),
        ({"timeout_s": -1.0}, r"^timeout_s must be a number greater than 0, not -1.0$"),
        ({"k": 0}, r"^k must be an integer from 1 to 256, not 0$"),
        ({"n": 1}, r"^mine option must be one of k, threshold, rerank, scan, oversample, macro, micro, not 'n'$"),
        ({"rerank": 2}, "'vectors'"),
    ],
)
def test_bad_tasks(settings: dict[str, Any], message: str) -> None:
    with Scheduler(backends=backends(cpu()), costs=None) as s, pytest.raises(InputError, match=message):
        s.run(settings.pop("operator", "mine"), queries(), DATA, **settings)


def test_bad_settings() -> None:
    with pytest.raises(InputError, match=r"^queue_size must be at least 1, not 0$"):
        Scheduler(queue_size=0)
    with Scheduler(backends=backends(cpu()), costs=None) as s:
        with pytest.raises(InputError, match=r"^a resident must be a Database or a State, not dict$"):
            s.load({})  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"^database must be a database, not ndarray$"):
            s.run("mine", queries(), queries())


@pytest.mark.parametrize(("count", "rows"), [(2, 0), (0, 3), (0, 0)])
def test_nothing_to_compute_is_answered_without_a_device(count: int, rows: int) -> None:
    fakes = backends(cpu())
    with Scheduler(backends=fakes, costs=None) as s:
        result = s.run("mine", queries(count), database(rows), k=4)
    assert (result.answered_by, result.why) == ("host", "there is nothing to compute")
    assert result.values["scores"].tolist() == [[INT32_MIN] * 4] * count
    assert not fakes["cpu"].opened


def test_calls_of_a_device_come_from_one_thread() -> None:
    fake = Fake("gpu")
    with Scheduler(backends=backends(fake), costs=None) as s:
        clients = [threading.Thread(target=s.run, args=("mine", queries(), DATA)) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert fake.calls >= 1
    assert len(fake.device.threads) == 1
    assert fake.device.threads.isdisjoint({client.ident for client in clients})


def test_a_database_is_loaded_once_and_unloaded() -> None:
    fake = cpu()
    with Scheduler(backends=backends(fake), costs=None) as s:
        db = s.load(DATA)
        for _ in range(3):
            s.run("mine", queries(), db)
        assert s.devices()[0].residents == {DATA.digest: DATA.nbytes}
        assert fake.device.loads == [DATA.digest]
        s.unload(db)
        s.run("mine", queries(), database(seed=8))
        s.run("mine", queries(), db)
        assert fake.device.unloads == [DATA.digest]
        assert fake.device.loads.count(DATA.digest) == 2
    assert fake.device.closed


def test_a_device_that_is_too_small() -> None:
    fakes = backends(cpu(), Fake("gpu", rating=9, capacity=100))
    with Scheduler(backends=fakes, costs=None) as s:
        with pytest.raises(UnsupportedError, match=rf"^gpu holds at most 100 bytes, but {DATA.nbytes} must be loaded$"):
            s.run("mine", queries(), DATA, device="gpu", strict=True)
        assert s.run("mine", queries(), DATA).answered_by == "cpu"


def test_small_equal_tasks_are_joined(gate: Gate) -> None:
    fake = Fake("gpu", gate)
    with Scheduler(backends=backends(cpu(), fake), costs=None) as s:
        first = s.submit("mine", queries(seed=0), DATA, k=3, device="gpu")
        gate.entered.wait()
        rest = [s.submit("mine", queries(seed=i), DATA, k=3, device="gpu") for i in range(1, 20)]
        other = s.submit("mine", queries(), DATA, k=4, device="gpu")
        gate.open.set()
        for seed, future in enumerate([first, *rest]):
            alone = s.run("mine", queries(seed=seed), DATA, k=3, device="cpu")
            assert np.array_equal(future.result().values["ids"], alone.values["ids"])
        assert other.result().values["ids"].shape == (1, 4)
    assert [call.sizes["Q"] for call in fake.device.calls] == [1, 19, 1]


def test_priorities_go_first_and_equals_in_order(gate: Gate) -> None:
    fake, order = Fake("gpu", gate), []
    with Scheduler(backends=backends(cpu(), fake), costs=None) as s:
        s.submit("mine", queries(), DATA, device="gpu")
        gate.entered.wait()
        for k, priority in ((11, 1), (12, 5), (13, 10), (14, 10), (15, 5)):
            future = s.submit("mine", queries(), DATA, k=k, priority=priority, device="gpu")
            future.add_done_callback(lambda f: order.append(f.result().values["ids"].shape[1]))
        gate.open.set()
    assert order == [13, 14, 12, 15, 11]


def test_a_deadline_that_passes(gate: Gate) -> None:
    with Scheduler(backends=backends(cpu(), Fake("gpu", gate)), costs=None) as s:
        running = s.submit("mine", queries(), DATA, device="gpu", deadline_s=0.1)
        waiting = s.submit("mine", queries(), DATA, k=3, device="gpu", deadline_s=0.1)
        for future in (running, waiting):
            with pytest.raises(DeadlineError, match=r"^mine was not answered within 0.1 s$"):
                future.result(timeout=10)
        gate.open.set()
        assert s.run("mine", queries(), DATA, device="gpu", deadline_s=20).answered_by == "gpu"
    assert "failed" in s.metrics()


def test_cancelling_what_waits(gate: Gate) -> None:
    fake = Fake("gpu", gate)
    with Scheduler(backends=backends(cpu(), fake), costs=None) as s:
        running = s.submit("mine", queries(), DATA, device="gpu")
        gate.entered.wait()
        waiting = s.submit("mine", queries(), DATA, k=3, device="gpu")
        assert waiting.cancel()
        assert waiting.cancelled()
        assert not running.cancel()
        gate.open.set()
        assert running.result().answered_by == "gpu"
    assert fake.calls == 1
    assert 'outcome="cancelled"} 1.0' in s.metrics()


def test_a_full_queue_lets_submitters_wait(gate: Gate) -> None:
    with Scheduler(backends=backends(cpu(), Fake("gpu", gate)), costs=None, queue_size=2) as s:
        first = [s.submit("mine", queries(), DATA, device="gpu") for _ in range(2)]
        entered = threading.Event()

        def late() -> None:
            future = s.submit("mine", queries(), DATA, device="gpu")
            entered.set()
            future.result()

        client = threading.Thread(target=late)
        client.start()
        assert not entered.wait(0.2)
        gate.open.set()
        client.join(10)
        assert entered.is_set()
        assert all(future.result() for future in first)


def test_a_cancelled_task_makes_room(gate: Gate) -> None:
    with Scheduler(backends=backends(cpu(), Fake("gpu", gate)), costs=None, queue_size=2) as s:
        s.submit("mine", queries(), DATA, device="gpu")
        gate.entered.wait()
        s.submit("mine", queries(), DATA, device="gpu").cancel()
        s.submit("mine", queries(), DATA, device="gpu")  # would wait forever
        gate.open.set()


def test_from_coroutines(threads: None) -> None:
    async def main(s: Scheduler) -> list[str]:
        results = await asyncio.gather(*(s.run_async("mine", queries(seed=i), DATA) for i in range(50)))
        return [result.answered_by for result in results]

    # Far more tasks than places: each waits for room without blocking the loop.
    with Scheduler(backends=backends(cpu()), costs=None, queue_size=3) as s:
        assert asyncio.run(main(s)) == ["cpu"] * 50


def test_a_coroutine_that_is_cancelled_while_it_waits_for_room(gate: Gate) -> None:
    async def main(s: Scheduler) -> str:
        s.submit("mine", queries(), DATA, device="gpu")
        waiters = [asyncio.create_task(s.run_async("mine", queries(), DATA, device="gpu")) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiters[0].cancel()
        gate.open.set()
        await asyncio.wait(waiters, timeout=10)
        return ", ".join("cancelled" if w.cancelled() else w.result().answered_by for w in waiters)

    with Scheduler(backends=backends(cpu(), Fake("gpu", gate)), costs=None, queue_size=1) as s:
        assert asyncio.run(main(s)) == "cancelled, gpu, gpu"


def test_a_future_can_be_awaited() -> None:
    async def main(s: Scheduler) -> str:
        return (await s.submit("mine", queries(), DATA)).answered_by

    with Scheduler(backends=backends(cpu()), costs=None) as s:
        assert asyncio.run(main(s)) == "cpu"


def test_from_many_threads() -> None:
    answers: list[bool] = []
    with Scheduler(backends=backends(cpu(), Fake("gpu")), costs=None, queue_size=16) as s:
        wanted = [s.run("mine", queries(seed=i), DATA, k=3, device="cpu").values["ids"] for i in range(10)]

        def client(number: int) -> None:
            futures = [s.submit("mine", queries(seed=i), DATA, k=3) for i in range(10) for _ in range(number % 3 + 1)]
            ids = [wanted[i] for i in range(10) for _ in range(number % 3 + 1)]
            answers.extend(np.array_equal(f.result().values["ids"], w) for f, w in zip(futures, ids, strict=True))

        clients = [threading.Thread(target=client, args=(i,)) for i in range(12)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
    assert len(answers) == 240
    assert all(answers)


def test_leaving_the_block_waits_and_leaves_no_thread(threads: None) -> None:
    with Scheduler(backends=backends(cpu(), Fake("gpu")), costs=None) as s:
        futures = [s.submit("mine", queries(seed=i), DATA) for i in range(30)]
    assert all(future.done() for future in futures)
    with pytest.raises(InputError, match=r"^the scheduler is closed$"):
        s.submit("mine", queries(), DATA)
    s.close()


def test_leaving_the_block_by_an_error_cancels(gate: Gate) -> None:
    def leave() -> tuple[Scheduler, Future, Future]:
        with Scheduler(backends=backends(cpu(), Fake("gpu", gate)), costs=None) as s:
            try:
                first = s.submit("mine", queries(), DATA, device="gpu")
                gate.entered.wait()
                second = s.submit("mine", queries(), DATA, k=3, device="gpu")
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                left.append((s, first, second))
                raise

    left: list[tuple[Scheduler, Future, Future]] = []
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        leave()
    s, running, waiting = left[0]
    assert waiting.cancelled()
    with pytest.raises(DeviceError, match=r"^the scheduler was closed while the task ran$"):
        running.result(timeout=0)
    assert s.hung == 1
    assert time.monotonic() - start < 20  # not for as long as the call hangs
    gate.open.set()


def test_the_cpu_does_the_work_of_a_missing_device_and_says_so() -> None:
    fakes = backends(cpu(), Fake("fpga", missing="no board on any port"))
    with Scheduler(backends=fakes, costs=None) as s:
        result = s.run("mine", queries(), DATA, device="fpga")
        with pytest.raises(UnavailableError, match=r"^fpga is not available: no board on any port; plug fpga in$"):
            s.run("mine", queries(), DATA, device="fpga", strict=True)
    assert (result.asked_for, result.answered_by) == ("fpga", "cpu")
    assert result.fallbacks == ("fpga is not available: no board on any port; plug fpga in",)
    assert result.why == f"fell back: {result.fallbacks[0]}"


def test_an_operator_that_the_device_does_not_run() -> None:
    fakes = backends(cpu(), Fake("gpu", reasons={"mine": "its kernels sort nothing"}))
    with Scheduler(backends=fakes, costs=None) as s:
        with pytest.raises(UnsupportedError, match=r"^gpu does not run mine: its kernels sort nothing$"):
            s.run("mine", queries(), DATA, device="gpu", strict=True)
        assert s.run("mine", queries(), DATA, device="gpu").answered_by == "cpu"


def test_one_task_on_a_scheduler_of_its_own(monkeypatch: pytest.MonkeyPatch, threads: None) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    scores = np.arange(6, dtype=np.int32).reshape(2, 3)
    result = run(Task("topk", {"scores": scores}, {"k": 2}, device="cpu"))
    assert result.values["ids"].tolist() == [[2, 1], [2, 1]]
    assert (result.asked_for, result.answered_by, result.why) == ("cpu", "cpu", "asked for by name")


def test_a_name_that_no_probe_gives_is_opened() -> None:
    opened: list[str] = []

    class Named(Fake):
        def open(self, instance: str = "") -> FakeDevice:
            opened.append(instance)
            if instance == "nowhere":
                raise UnavailableError("board has no nowhere", "plug it in")
            return super().open(instance)

    with Scheduler(backends=backends(cpu(), Named("board")), costs=None) as s:
        assert s.run("mine", queries(), DATA, device="board:A7").answered_by == "board:A7"
        with pytest.raises(UnavailableError, match=r"^board has no nowhere; plug it in$"):
            s.run("mine", queries(), DATA, device="board:nowhere", strict=True)
    assert opened == ["A7", "nowhere"]


def test_the_shape_of_null() -> None:
    with Scheduler(costs=None) as s:
        result = s.run("mine", queries(3), DATA, k=7, device="null")
        assert result.values["ids"].shape == (3, 7)
        assert not result.values["scores"].any()
        nits = s.run("quantise", np.zeros((2, 3, 4), np.float16), scale=1.0, device="null").values["nits"]
    assert nits.shape == (2, 3, 4)
    assert nits.dtype == np.int8


def test_a_state_must_be_handed_over_first() -> None:
    refused = r"^running_sum takes so_far by handle: load the state sum first$"
    with Scheduler(backends=backends(cpu()), operators=ALL, costs=None) as s, pytest.raises(InputError, match=refused):
        s.run("running_sum", np.arange(3), total())


def test_the_timeout_of_a_task_is_not_the_last_resorts(gate: Gate) -> None:
    slow = cpu(behaviour=lambda *_: time.sleep(0.3))
    with Scheduler(backends=backends(slow, Fake("gpu", gate)), costs=None) as s:
        result = s.run("mine", queries(), DATA, device="gpu", timeout_s=0.1)
        assert result.answered_by == "cpu"
        with pytest.raises(DeviceError, match=r"^cpu: the call did not end within 0.1 s$"):
            s.run("mine", queries(), DATA, device="cpu", timeout_s=0.1, strict=True)
        gate.open.set()


def test_a_task_is_checked_before_it_is_made() -> None:
    with Scheduler(backends=backends(cpu(), Fake("fpga", missing="no board")), costs=None) as s:
        s.check_task(s.task("mine", queries(), DATA))
        s.check_task(s.task("mine", queries(), DATA, device="fpga"))
        with pytest.raises(UnavailableError, match="no board"):
            s.check_task(s.task("mine", queries(), DATA, device="fpga", strict=True))
        with pytest.raises(InputError, match="not 'tpu'"):
            s.check_task(s.task("mine", queries(), DATA, device="tpu"))


def test_a_device_goes_by_other_names_of_its_backend() -> None:
    class Named(Fake):
        def resolve(self, instance: str) -> str:
            if instance != "big":
                raise UnavailableError(f"gpu:{instance} is no device here")
            return "gpu"

    fakes = backends(cpu(), Named("gpu"))
    with Scheduler(backends=fakes, costs=None) as s:
        assert s.run("mine", queries(), DATA, device="gpu:big").answered_by == "gpu"
        assert s.run("mine", queries(), DATA, device="gpu:small").fallbacks == ("gpu:small is no device here",)
    assert len(fakes["gpu"].opened) == 1


def test_a_device_that_no_probe_lists_is_told_of_by_its_backend() -> None:
    class Unlisted(Fake):
        def probe(self) -> list[Found | Missing]:
            return [Missing("fpga:usb", "no board is plugged in")]

        def resolve(self, instance: str) -> Found:
            return Found(f"fpga:{instance}", "a board at that port", {"mine": 9}, named_only=True, kind="fpga")

    fakes = backends(cpu(), Unlisted("fpga"))
    with Scheduler(backends=fakes, costs=None) as s:
        for _ in range(2):
            result = s.run("mine", queries(), DATA, device="fpga:tcp://there:1")
            assert (result.answered_by, result.fallbacks) == ("fpga:tcp://there:1", ())
            s.refresh()  # does not strike it
        (status,) = [status for status in s.devices() if status.device == "fpga:tcp://there:1"]
        assert (status.state, list(status.residents or {})) == ("ready", [DATA.digest])
        assert s.run("mine", queries(), DATA).answered_by == "cpu"
    assert len(fakes["fpga"].opened) == 1


def test_a_missing_processor_is_worth_a_word() -> None:
    fakes = backends(cpu(missing="NINEFOLD_CPU_PATH must be one of avx2, numpy, not 'nonsense'"), Fake("gpu"))
    with Scheduler(backends=fakes, costs=None) as s:
        result = s.run("mine", queries(), DATA)
    assert result.answered_by == "gpu"
    assert result.fallbacks[0].startswith("cpu is not available: NINEFOLD_CPU_PATH must be")


def test_an_idle_device_that_is_never_given_up_is_lent_to_who_waits() -> None:
    fake = cpu()
    with Scheduler(backends=backends(fake, Fake("gpu")), costs=None) as s:
        wanted = s.run("mine", queries(), DATA, device="cpu")  # opens and loads it, too
        assert fake.device.threads == {threading.get_ident()}
        s.run("mine", queries(), DATA, device="gpu")
        s.run("mine", queries(), DATA, device="gpu")
        # From many threads it is still used by one at a time (the fake would say so), lent or not.
        answers: list[bool] = []

        def client() -> None:
            for _ in range(20):
                result = s.run("mine", queries(), DATA, device="cpu", strict=True)
                answers.append(np.array_equal(result.values["ids"], wanted.values["ids"]))
                s.submit("mine", queries(), DATA, device="cpu", strict=True)

        clients = [threading.Thread(target=client) for _ in range(6)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
    assert answers == [True] * 120
    assert fake.calls <= 241
    assert len(fake.opened) == 1
    assert fake.device.closed


def test_a_device_that_was_only_lent_is_closed_with_the_scheduler(threads: None) -> None:
    fake, before = cpu(), set(threading.enumerate())
    with Scheduler(backends=backends(fake), costs=None) as s:
        s.run("mine", queries(), DATA, device="cpu", strict=True)
        assert not {thread.name for thread in set(threading.enumerate()) - before}
        assert not fake.device.closed
    assert fake.device.closed


def test_what_fails_on_a_lent_device_moves_on() -> None:
    def second(device: FakeDevice, call: Call) -> None:
        if len(device.calls) == 2:
            raise DeviceError("no memory")

    fakes = backends(cpu(behaviour=second), Fake("gpu"))
    with Scheduler(backends=fakes, costs=None) as s:
        s.run("mine", queries(), DATA, device="gpu")
        s.run("mine", queries(), DATA, device="cpu")
        result = s.run("mine", queries(), DATA, device="cpu")
        assert (result.answered_by, result.fallbacks) == ("gpu", ("cpu: no memory",))
        assert s.run("mine", queries(), DATA, device="cpu").answered_by == "cpu"


def test_an_interrupt_leaves_a_lent_device_at_once(threads: None) -> None:
    def interrupted(device: FakeDevice, call: Call) -> None:
        if len(device.calls) in (1, 3):
            raise KeyboardInterrupt

    fake = cpu(behaviour=interrupted)
    with Scheduler(backends=backends(fake), costs=None) as s:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                s.run("mine", queries(), DATA)
            assert s.run("mine", queries(), DATA).answered_by == "cpu"
    assert len(fake.opened) == 1, "what was opened was forgotten"
    assert fake.device.closed


def test_a_small_task_takes_few_calls_of_python() -> None:
    """Count the calls for one task besides its device's own, which computes nothing here."""
    q = queries()
    answer = Answer(golden.answer(OPERATORS["mine"].bind({"q": q, "database": DATA}, {"k": 10})))
    calls = 0

    def slow(_device: FakeDevice, _call: Call) -> Answer:
        time.sleep(0.005)
        return answer

    def count(_frame: object, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    fakes = backends(cpu(behaviour=lambda *_: answer), Fake("gpu", slow), Fake("npu", slow))
    with Scheduler(backends=fakes, costs=None) as s:
        data = s.load(DATA)
        s.devices()
        for _ in range(20):  # until every device has had its trial
            s.run("mine", q, data, k=10)
        for settings, most in (({"device": "cpu"}, 80), ({}, 125)):
            least = most + 1
            # The least of several runs: on a busy machine one may meet a device that has not finished its trial.
            for _ in range(5):
                calls = 0
                sys.setprofile(count)
                try:
                    by = s.run("mine", q, data, k=10, **settings).answered_by
                finally:
                    sys.setprofile(None)
                assert by == "cpu"
                least = min(least, calls)
            assert least <= most, settings
