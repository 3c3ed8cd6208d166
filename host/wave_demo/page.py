"""HTML page of a wave: animation, devices and their comparison in one file that fetches nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
import numpy.typing as npt

from .picture import NEGATIVE, POSITIVE
from .runs import Outcome, Plan

__all__ = ["verdict", "wave_page"]

#: Frames a second.
_RATE: Final = 24

_STYLE: Final = """
:root { color-scheme: light dark; --page: #fff; --text: #1d1f21; --dim: #5d646b; --line: #d8dcdf; --card: #f6f7f8;
  --good: #0a7a3d; --bad: #b3261e; --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --text: #e4e6e8; --dim: #9aa3ab; --line: #3a4047; --card: #1c2025; --good: #58c98a;
    --bad: #ff8a80; --link: #7db8f0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 44rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 0.5rem; } h2 { font-size: 1.2rem; margin: 1.5rem 0 0.5rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .dim { color: var(--dim); }
figure { margin: 0; padding: 0.75rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
canvas, noscript img { display: block; width: 100%; height: auto; border-radius: 4px; }
.controls { display: flex; gap: 0.75rem; align-items: center; margin-top: 0.75rem; }
button { min-width: 5.5rem; min-height: 44px; font: inherit; color: var(--text); background: var(--page);
  border: 1px solid var(--line); border-radius: 8px; cursor: pointer; }
input[type=range] { flex: 1; min-width: 0; min-height: 44px; accent-color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
output { min-width: 5.5rem; text-align: right; font-variant-numeric: tabular-nums; }
kbd { border: 1px solid var(--line); border-radius: 4px; padding: 0 0.3em; font: 0.85em monospace; }
.scale { display: flex; gap: 0.5rem; align-items: center; font-size: 0.85rem; color: var(--dim); margin-top: 0.5rem; }
#ramp { height: 0.75rem; width: 0; min-width: 0; flex: 1; }
.scale span { white-space: nowrap; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; }
th, td { text-align: left; padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th { background: var(--card); } tr:last-child td { border-bottom: 0; }
td:first-child { white-space: nowrap; }
"""

_SCRIPT: Final = """
"use strict";
const wave = JSON.parse(document.getElementById("wave").textContent);
const bytes = Uint8Array.from(atob(wave.levels), letter => letter.charCodeAt(0));
const size = wave.width * wave.height;
const canvas = document.getElementById("lattice"), ramp = document.getElementById("ramp");
const button = document.getElementById("play"), slider = document.getElementById("frame");
const shown = document.getElementById("step");
const still = matchMedia("(prefers-reduced-motion: reduce)"), dark = matchMedia("(prefers-color-scheme: dark)");
let frame = 0, playing = false, due = 0, colours;

function mixed() {
  const page = dark.matches ? [20, 23, 26] : [255, 255, 255];
  colours = Array.from({length: 256}, (_, level) => {
    const share = Math.abs(level - 128) / 127, end = level >= 128 ? wave.positive : wave.negative;
    return page.map((from, i) => Math.round(from + Math.min(1, share) * (end[i] - from)));
  });
}

function paint(where, levels, width, height) {
  const context = where.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [red, green, blue] = colours[levels[i]];
    image.data.set([red, green, blue, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function draw() {
  paint(canvas, bytes.subarray(frame * size, (frame + 1) * size), wave.width, wave.height);
  slider.value = frame;
  shown.value = "step " + frame * wave.steps;
  slider.setAttribute("aria-valuetext", shown.value);
}

function theme() {
  mixed();
  paint(ramp, Uint8Array.from({length: 255}, (_, level) => level + 1), 255, 1);
  draw();
}

function tick(now) {
  if (!playing) return;
  if (now >= due) {
    due = Math.max(due + 1000 / wave.rate, now);
    frame = (frame + 1) % wave.frames;
    draw();
  }
  requestAnimationFrame(tick);
}

function play(on) {
  if (on === playing) return;
  playing = on;
  button.textContent = playing ? "Pause" : "Play";
  if (playing) { due = performance.now(); requestAnimationFrame(tick); }
}

function go(to) { play(false); frame = (to + wave.frames) % wave.frames; draw(); }

button.addEventListener("click", () => play(!playing));
slider.addEventListener("input", () => go(Number(slider.value)));
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && event.target !== button) { event.preventDefault(); play(!playing); }
  if (event.target === slider) return;
  if (event.key === "ArrowRight") { event.preventDefault(); go(frame + 1); }
  if (event.key === "ArrowLeft") { event.preventDefault(); go(frame - 1); }
});
still.addEventListener("change", () => { if (still.matches) play(false); });
dark.addEventListener("change", theme);
document.getElementById("player").hidden = false;
theme();
play(!still.matches);
"""


def verdict(found: Sequence[Outcome]) -> tuple[str, bool | None]:
    """Return a sentence about the comparison, and True if all runs are equal, False if not, None if one or none ran."""
    ran = [one for one in found if one.frames is not None]
    different = [one.device for one in ran if one.differs is not None]
    if different:
        return f"{', '.join(different)} and {ran[0].device} differ.", False
    if len(ran) < 2:
        return f"Only {ran[0].device} ran: nothing was compared." if ran else "No device ran.", None
    names = f"{', '.join(one.device for one in ran[:-1])} and {ran[-1].device}"
    return f"{names} agree: psi and v of every cell in every frame are identical, bit for bit.", True


def wave_page(plan: Plan, found: Sequence[Outcome], shown: npt.NDArray[np.uint8], sheet: bytes) -> str:
    """Return the page.

    Parameters
    ----------
    plan : Plan
        Lattice and frames.
    found : sequence of Outcome
        Devices in their order.
    shown : uint8 array of shape (F, H, W)
        Levels of ``psi`` of all frames, as `levels` returns them.
    sheet : bytes
        PNG that is shown where scripts are off.
    """
    sentence, equal = verdict(found)
    style = {True: "good", False: "bad", None: "dim"}[equal]
    data = {
        "width": plan.width,
        "height": plan.height,
        "frames": plan.frames,
        "steps": plan.steps,
        "rate": _RATE,
        "positive": POSITIVE,
        "negative": NEGATIVE,
        "levels": base64.b64encode(shown.tobytes()).decode(),
    }
    extents = f"{plan.height} x {plan.width}"
    options = ", ".join(f"{name} = {value}" for name, value in plan.options.items())
    still = base64.b64encode(sheet).decode()
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>A wave on a lattice of {extents} cells, by Ninefold</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>A wave on a lattice of {extents} cells</h1>
<p class="{style}"><strong>{escape(sentence)}</strong></p>
<figure>
<div id="player" hidden>
<canvas id="lattice" width="{plan.width}" height="{plan.height}" role="img"
  aria-label="Two drops of opposite sign spread in rings, which cross. A ring that leaves at an edge returns opposite.">
</canvas>
<div class="controls">
<button id="play" type="button" aria-keyshortcuts="Space">Play</button>
<input id="frame" type="range" min="0" max="{plan.frames - 1}" value="0" aria-label="Frame">
<output id="step" for="frame">step 0</output>
</div>
<div class="scale"><span>below 0</span><canvas id="ramp" width="255" height="1" aria-hidden="true"></canvas>
<span>above 0</span></div>
<p class="dim"><kbd>Space</kbd> pauses, <kbd>←</kbd> and <kbd>→</kbd> show the frame before and after.</p>
</div>
<noscript>
<img alt="Eight frames of the wave, from the first to the last." src="data:image/png;base64,{still}">
</noscript>
</figure>
<h2>Devices</h2>
<div class="wide"><table>
<tr><th>device</th><th>result</th></tr>
{"".join(map(_row, found))}
</table></div>
<h2>What was computed</h2>
<p>The operator <code>wave_step_fixed</code> advances integers with 24 fraction bits on a periodic lattice:
{plan.frames - 1} times {plan.steps} steps{f" with {options}" if options else ""}. Colours grow with the square root of
the displacement.</p>
<script type="application/json" id="wave">{json.dumps(data)}</script>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _row(one: Outcome) -> str:
    return f"<tr><td>{escape(one.device)}</td><td>{escape(one.text)}</td></tr>\n"
