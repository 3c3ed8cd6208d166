"""Probing is bounded in time, never raises, and gives a reason for everything that is missing."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from ninefold.host.scheduler.devices import Prober
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import Found, Missing

from .fakes import Fake, backends


class Raising(Fake):
    def probe(self) -> Sequence[Found | Missing]:
        raise OSError("libfoo.so: cannot open shared object file")


class Hanging(Fake):
    release = threading.Event()

    def probe(self) -> Sequence[Found | Missing]:
        self.release.wait(30)
        return super().probe()


def test_found_and_missing() -> None:
    probes = Prober(backends(Fake("a"), Fake("b", missing="no b on any port"))).probe()
    assert [found.device for found in probes["a"].found] == ["a"]
    assert probes["b"].missing == (Missing("b", "no b on any port", "plug b in"),)


def test_a_probe_that_raises_gives_its_reason() -> None:
    (missing,) = Prober(backends(Raising("x"))).probe()["x"].missing
    assert missing.reason == "its probe failed: OSError: libfoo.so: cannot open shared object file"


def test_a_probe_that_hangs_is_given_up_counted_and_heard_later() -> None:
    prober = Prober(backends(Hanging("slow"), Fake("a")), probe_s=0.1)
    probes = prober.probe()
    assert probes["a"].found
    assert probes["slow"].missing[0].reason == "the probe of slow has not returned for 0.1 s"
    assert prober.hung == 1
    Hanging.release.set()
    prober._probes["slow"].join(10)
    assert prober.hung == 0
    assert prober.probed("slow") is not None
    assert [found.device for found in prober.probe()["slow"].found] == ["slow"]


def test_probed_once_unless_asked_again() -> None:
    fake = Fake("a")
    prober = Prober(backends(fake))
    prober.probe()
    prober.probe()
    assert fake.probes == 1
    prober.probe(["a"], again=True)
    assert fake.probes == 2


def test_an_unknown_backend_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"^device must be auto or one of a, b, alone or with :INSTANCE, not 'c:0'$"):
        Prober(backends(Fake("a"), Fake("b"))).check("c:0")
    with pytest.raises(InputError, match=r"not 'a:'$"):
        Prober(backends(Fake("a"))).check("a:")


@pytest.mark.parametrize(
    ("device", "hint"),
    [
        ("tpu:0", ""),
        ("virtual/tiny", "; did you mean 'board:virtual/tiny'?"),
        ("sim://virtual/tiny", "; did you mean 'board:sim://virtual/tiny'?"),
    ],
)
def test_a_board_without_its_backend(device: str, hint: str) -> None:
    with pytest.raises(InputError) as refusal:
        Prober(backends(Fake("board"), Fake("opencl"))).check(device)
    assert str(refusal.value).endswith(f"not {device!r}{hint}")


def test_the_installed_backends_all_say_something() -> None:
    probes = Prober().probe()
    assert {"cpu", "null", "rtl"} <= set(probes)
    for family, probed in probes.items():
        assert probed.found or probed.missing, family
        assert all(len(entry.reason) > 10 for entry in probed.missing)
