"""Code of others on the scheduler's threads: whatever it does, every task is answered and `close` returns."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ninefold.host import hooks
from ninefold.host.scheduler import Future, Scheduler
from ninefold.host.scheduler.guard import report
from ninefold.spec.data import Answer
from ninefold.spec.errors import DeadlineError, DeviceError, InterruptError
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.signature import Call

from .fakes import Fake, FakeDevice, backends, cpu, database, queries, total

DATA = database()
#: Seconds that a test waits for what must happen at once.
SOON_S = 20
RAISED = [ValueError("text"), SystemExit("done"), KeyboardInterrupt(), GeneratorExit(), BaseException("rare")]


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def thrower(error: BaseException) -> Callable[..., Any]:
    def throw(*_: Any, **__: Any) -> Any:
        raise error

    return throw


@pytest.fixture
def closed() -> Iterator[Callable[[Scheduler], None]]:
    """Close a scheduler on another thread, and see that this ends and leaves no thread."""
    before = set(threading.enumerate())

    def close(scheduler: Scheduler) -> None:
        thread = threading.Thread(target=scheduler.close, daemon=True)
        thread.start()
        thread.join(SOON_S)
        assert not thread.is_alive(), "close() does not return"

    yield close
    for thread in set(threading.enumerate()) - before:
        thread.join(SOON_S)
        assert not thread.is_alive(), thread.name


def submit(scheduler: Scheduler, k: int = 3, **settings: Any) -> Future:
    return scheduler.submit("mine", queries(), DATA, k=k, **settings)


@pytest.mark.parametrize("error", [*RAISED, UnspeakableError()], ids=lambda error: type(error).__name__)
def test_a_callback_that_raises(
    error: BaseException, closed: Callable[[Scheduler], None], caplog: pytest.LogCaptureFixture
) -> None:
    go, seen = threading.Event(), threading.Event()
    s = Scheduler(backends=backends(cpu(behaviour=lambda *_: go.wait(SOON_S) and None)), costs=None)
    future = submit(s)
    future.add_done_callback(thrower(error))
    future.add_done_callback(lambda _: seen.set())
    go.set()
    assert future.result(SOON_S).answered_by == "cpu"
    assert seen.wait(SOON_S), "the callbacks after it are not called"
    assert submit(s).result(SOON_S).answered_by == "cpu"
    future.add_done_callback(thrower(error))  # it has ended: called here and now
    closed(s)
    records = [r for r in caplog.records if r.name == "ninefold.scheduler" and r.levelno == logging.ERROR]
    assert [r.message.partition(":")[0] for r in records] == [f"a done-callback raised {type(error).__name__}"] * 2


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_a_callback_that_raises_when_the_task_is_late_or_cancelled(
    error: BaseException, closed: Callable[[Scheduler], None]
) -> None:
    go = threading.Event()
    s = Scheduler(backends=backends(cpu(behaviour=lambda *_: go.wait(SOON_S) and None)), costs=None)
    first, second, third = submit(s), submit(s, deadline_s=0.05), submit(s)
    for future in (second, third):
        future.add_done_callback(thrower(error))
    assert third.cancel()
    assert isinstance(second.exception(SOON_S), DeadlineError)
    fourth = submit(s, deadline_s=0.05)
    assert isinstance(fourth.exception(SOON_S), DeadlineError), "the supervisor ended"
    go.set()
    assert first.result(SOON_S).answered_by == "cpu"
    closed(s)


def test_a_callback_that_closes(closed: Callable[[Scheduler], None]) -> None:
    go, called = threading.Event(), threading.Event()
    fake = cpu(behaviour=lambda *_: go.wait(SOON_S) and None)
    s = Scheduler(backends=backends(fake), costs=None)
    first, second = submit(s), submit(s, k=2, priority=1)
    first.add_done_callback(lambda _: (s.close(), called.set()))
    go.set()
    assert called.wait(SOON_S), "close() waits for the thread that calls it"
    assert second.result(SOON_S).answered_by == "cpu"
    closed(s)
    assert fake.device.closed


def test_callbacks_that_submit_and_cancel(closed: Callable[[Scheduler], None]) -> None:
    go, more = threading.Event(), []
    s = Scheduler(backends=backends(cpu(behaviour=lambda *_: go.wait(SOON_S) and None)), costs=None, queue_size=2)
    first, second = submit(s), submit(s, k=2, priority=1)
    submitted = threading.Event()

    def again(_: Any) -> None:
        second.cancel()
        more.extend(submit(s) for _ in range(3))
        submitted.set()

    first.add_done_callback(again)
    go.set()
    assert submitted.wait(SOON_S), "submit() waits for room that only this thread can make"
    assert [future.result(SOON_S).answered_by for future in more] == ["cpu"] * 3
    assert second.cancelled()
    closed(s)


def test_a_callback_that_runs_a_task_is_told_to_submit_it(
    closed: Callable[[Scheduler], None], caplog: pytest.LogCaptureFixture
) -> None:
    s = Scheduler(backends=backends(cpu()), costs=None)
    future = submit(s)
    future.result(SOON_S)
    future.add_done_callback(lambda _: s.run("mine", queries(), DATA, k=3))
    assert "a done-callback may not wait for a task: call submit instead of run" in caplog.text
    closed(s)


def test_an_event_loop_that_is_closed_before_the_answer(closed: Callable[[Scheduler], None]) -> None:
    go = threading.Event()
    s = Scheduler(backends=backends(cpu(behaviour=lambda *_: go.wait(SOON_S) and None)), costs=None)
    future = submit(s)

    async def wait() -> None:
        await asyncio.wait_for(asyncio.shield(future), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())
    go.set()
    assert future.result(SOON_S).answered_by == "cpu"
    assert submit(s).result(SOON_S).answered_by == "cpu"
    closed(s)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("hook", ["before", "after", "check"])
def test_a_hook_that_raises(
    hook: str, error: BaseException, closed: Callable[[Scheduler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    s = Scheduler(backends=backends(cpu(), Fake("gpu", rating=9)), costs=None, check_every=1)
    with monkeypatch.context() as patch:
        patch.setattr(hooks, hook, thrower(error))
        if hook == "before" and not isinstance(error, Exception):  # on the caller's thread it is the caller's
            with pytest.raises(type(error)):
                submit(s, device="gpu")
        else:
            assert isinstance(submit(s, device="gpu").exception(SOON_S), DeviceError | ValueError)
    assert submit(s, device="gpu").result(SOON_S).answered_by in ("gpu", "cpu")
    closed(s)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["open", "load", "run", "unload", "close"])
def test_a_device_that_raises_anything(
    method: str, error: BaseException, closed: Callable[[Scheduler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Fake("gpu", rating=9)
    s = Scheduler(backends=backends(cpu(), gpu), costs=None)
    monkeypatch.setattr(Fake if method == "open" else FakeDevice, method, _only("gpu", method, error))
    db = s.load(DATA)
    fails = method in ("open", "load", "run")
    for _ in range(7):  # more than open the breaker
        result = s.submit("mine", queries(), db, k=3, device="gpu").result(SOON_S)
        assert result.answered_by == ("cpu" if fails else "gpu")
    s.unload(db)
    assert submit(s, device="cpu").result(SOON_S).answered_by == "cpu"
    closed(s)


def _only(name: str, method: str, error: BaseException) -> Callable[..., Any]:
    inner = getattr(Fake if method == "open" else FakeDevice, method)

    def call(self: Any, *arguments: Any) -> Any:
        if self.name == name:
            raise error
        return inner(self, *arguments)

    return call


@pytest.mark.parametrize("error", [SystemExit(4), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_a_lent_device_that_exits_falls_back(error: BaseException, closed: Callable[[Scheduler], None]) -> None:
    broken = cpu(behaviour=thrower(error))
    s = Scheduler(backends=backends(broken, Fake("gpu")), costs=None)
    s.refresh()
    result = s.run("mine", queries(), DATA, k=3, device="cpu")
    assert result.answered_by == "gpu"
    assert result.fallbacks == (f"cpu raised {type(error).__name__}: {error}",)
    closed(s)


def test_a_state_whose_device_fails_to_drop_it(closed: Callable[[Scheduler], None]) -> None:
    from .fakes import ALL

    def fail(device: FakeDevice, call: Call) -> Answer | None:
        if device.name == "gpu" and call.operator.stateful:
            device.unload = thrower(SystemExit())  # type: ignore[method-assign]
            raise RuntimeError("segment")
        return None

    s = Scheduler(backends=backends(cpu(), Fake("gpu", fail, rating=9)), operators=ALL, costs=None)
    handle = s.load(total())
    numbers = np.arange(3)
    results = [s.submit("running_sum", numbers, handle, device="gpu").result(SOON_S) for _ in range(2)]
    assert [int(r.values["total"]) for r in results] == [3, 6]
    closed(s)


@pytest.mark.parametrize("answer", [None, {"ids": 1}, "text"], ids=["none", "dict", "text"])
def test_an_answer_of_another_type(answer: Any, closed: Callable[[Scheduler], None]) -> None:
    gpu = Fake("gpu", rating=9)
    s = Scheduler(backends=backends(cpu(), gpu), costs=None, check_every=1000)
    s.run("mine", queries(), DATA, k=3, device="gpu")
    gpu.device.run = lambda _call: answer  # type: ignore[method-assign]
    result = submit(s, device="gpu").result(SOON_S)
    assert result.answered_by == "cpu"
    assert result.fallbacks == (f"gpu returned {type(answer).__name__}, not an Answer",)
    closed(s)


def test_an_answer_that_cannot_be_shared_out(closed: Callable[[Scheduler], None]) -> None:
    go = threading.Event()

    def misshapen(_device: FakeDevice, call: Call) -> Answer | None:
        go.wait(SOON_S)
        return Answer({"ids": 3, "scores": 4, "count": 5}) if call.sizes["Q"] > 1 else None

    s = Scheduler(backends=backends(cpu(), Fake("gpu", misshapen, rating=9, timeout_s=None)), costs=None)
    futures = [submit(s, device="gpu") for _ in range(4)]
    go.set()
    assert {future.result(SOON_S).values["ids"].shape for future in futures} == {(1, 3)}
    assert submit(s, device="gpu").result(SOON_S).answered_by == "gpu"
    closed(s)


def test_a_probe_that_exits(closed: Callable[[Scheduler], None], monkeypatch: pytest.MonkeyPatch) -> None:
    class Exiting(Fake):
        def probe(self) -> list[Found | Missing]:
            raise SystemExit(7)

    s = Scheduler(backends=backends(cpu(), Exiting("gpu")), costs=None)
    assert submit(s).result(SOON_S).answered_by == "cpu"
    (status,) = [status for status in s.devices() if status.device == "gpu"]
    assert isinstance(status.entry, Missing)
    assert status.entry.reason == "its probe failed: SystemExit: 7"
    closed(s)


class _Broken(logging.Handler):
    def emit(self, _record: logging.LogRecord) -> None:
        raise SystemExit("full")


def test_a_log_handler_that_exits(closed: Callable[[Scheduler], None]) -> None:
    logger, handler = logging.getLogger("ninefold.scheduler"), _Broken()
    s = Scheduler(backends=backends(cpu(), Fake("gpu", thrower(RuntimeError("x")), rating=9)), costs=None)
    logger.addHandler(handler)
    try:
        assert [submit(s, device="gpu").result(SOON_S).answered_by for _ in range(7)] == ["cpu"] * 7
    finally:
        logger.removeHandler(handler)
    closed(s)


def test_errors_of_user_code_are_seen_without_any_logging(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests of this process may have left handlers and levels.
    for name in ("", "ninefold", "ninefold.scheduler"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [logging.NullHandler()])
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
    report("a done-callback raised", ValueError("the cause"), level=logging.ERROR)
    report("a quiet warning", ValueError("a fallback"))
    said = capsys.readouterr().err
    assert "a done-callback raised" in said
    assert "ValueError: the cause" in said
    assert "quiet" not in said


def test_no_thread_can_be_started(closed: Callable[[Scheduler], None], monkeypatch: pytest.MonkeyPatch) -> None:
    s = Scheduler(backends=backends(cpu(), Fake("gpu", rating=9)), costs=None)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("ninefold"):
            raise RuntimeError("can't start new thread")
        start(thread)

    said = "no thread can be started (can't start new thread): raise the limit of processes or memory"
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert said in str(submit(s).exception(SOON_S)), "probes"
    s.refresh()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for settings in ({}, {"device": "gpu"}, {"deadline_s": 5}):
            assert said in str(submit(s, **settings).exception(SOON_S))
        assert s.run("mine", queries(), DATA, k=3, device="cpu").answered_by == "cpu", "it needs none"
    assert submit(s, device="gpu").result(SOON_S).answered_by == "gpu"
    assert submit(s, deadline_s=5).result(SOON_S)
    closed(s)


def test_an_interrupt_of_a_program_is_the_callers_and_no_failure(closed: Callable[[Scheduler], None]) -> None:
    gpu = Fake("gpu", thrower(InterruptError("c++ was interrupted")), rating=9)
    s = Scheduler(backends=backends(cpu(), gpu), costs=None, failures=1)
    assert isinstance(submit(s, device="gpu").exception(SOON_S), InterruptError)
    with pytest.raises(KeyboardInterrupt):
        s.run("mine", queries(), DATA, k=3, device="gpu")
    (status,) = [status for status in s.devices() if status.device == "gpu"]
    assert status.state == "ready"
    closed(s)
