"""The report: what it holds, that it fetches nothing, and, on demand, that a browser shows it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ninefold.host.bench.compare import compare
from ninefold.host.bench.records import Run
from ninefold.host.bench.report import charts, selection, write
from ninefold.spec.benchmark import Figure
from tests.host.bench.made_up import run, search_figures

CORES = [
    Figure("ECP5-85F, speed 6", "topk", "LUT4", 800, "", {"k": 8}, kind="exact", better="less", target="<= 900"),
    Figure("ECP5-85F, speed 6", "topk", "fmax", 190.0, "MHz", {"k": 8}, kind="exact", better="more", target=">= 200"),
    Figure("ECP5-85F, speed 6", "similarity", "LUT4 a lane", 20, "", {"lanes": 256}, kind="exact", better="less"),
    Figure("ECP5-85F, speed 6", "similarity", "fmax", 160.0, "MHz", {"lanes": 256}, kind="exact", better="more"),
    Figure("queries", "a/board", "queries a second", 1e5, "1/s", {"rows": 64, "dimensions": 32}, kind="projected"),
    Figure("queries", "cpu", "queries a second", 3e4, "1/s", {"rows": 64, "dimensions": 32}),
    Figure("queries", "b/board", "queries a second", 1e4, "1/s", {"rows": 99, "dimensions": 32}, kind="projected"),
]
STAGES = [Figure("one question", "cpu", stage, ms, "ms") for stage, ms in (("embedding", 9.0), ("search", 0.5))]


@pytest.fixture(scope="module")
def made() -> Run:
    return replace(run(), suites={"search": tuple(search_figures()), "cores": tuple(CORES), "stages": tuple(STAGES)})


@pytest.fixture(scope="module")
def folder(made: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    better = replace(made.suites["cores"][0], value=700)
    old = replace(made, suites={**made.suites, "cores": (better, *made.suites["cores"][1:])})
    (folder / "run.trace.json").write_text('{"traceEvents": []}')
    paths = write(made, folder / "run.html", compare(old, made), folder / "run.trace.json")
    assert all(path.exists() for path in paths)
    return folder


class Page(HTMLParser):
    """Checks that elements nest, and collects what a browser would fetch."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "path", "use", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in self.VOID else [tag]
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []
        self.fetched += [str(values[name]) for name in ("src", "xlink:href") if name in values]
        if tag == "link":
            self.fetched.append(str(values["href"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing(folder: Path) -> None:
    text = (folder / "run.html").read_text()
    page = Page(text)
    assert page.open == []
    assert all(link.startswith(("#", "data:")) for link in page.fetched), page.fetched
    assert re.findall(r"url\((?!#)", text) == []
    assert len(set(page.ids)) == len(page.ids)
    for needed in ("width=device-width", "prefers-color-scheme: dark", "PROJECTED", "+14.3 %"):
        assert needed in text, needed
    assert '<a download="run.trace.json" href="data:application/json;base64,eyJ0' in text
    # Names are text, never markup.
    assert "faiss &lt;SQ4&gt;" in text
    assert "<SQ4>" not in text
    # The page chooses the colours of text and grid.
    assert "#010203" not in text
    assert "currentColor" in text
    assert "var(--line)" in text


def test_targets_and_regressions_are_in_colour(folder: Path) -> None:
    text = (folder / "run.html").read_text()
    assert '<td class="good">800 (met)</td>' in text
    assert '<td class="bad">190 MHz (missed)</td>' in text
    assert '<p class="bad">1 regression, 0 improvements, of 4 compared; 0 missing, 0 new</p>' in text
    assert "1 of 2 met in this run" in text


def test_the_table_beside_the_best_peers_is_first(tmp_path: Path) -> None:
    rest = {"repetitions": 9, "better": "less", "beside": "peer <1>", "ratio": 0.25, "ratio_spread": 0.02}
    figures = [
        Figure("best", "cpu", "time", 1.0, "ms", {"rows": 9}, **rest, target="<= 0.5", task="search, 9 rows"),  # type: ignore[arg-type]
        Figure("best", "cpu", "time", 1.0, "ms", {"rows": 8}, **rest, target="<= 0.2", task="search, 8 rows"),  # type: ignore[arg-type]
        Figure("best", "cpu", "time", 1.0, "ms", {"rows": 7}, **rest, task="search, 7 rows"),  # type: ignore[arg-type]
    ]
    write(run(*figures, *CORES), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert re.findall("<h2>(.*?)</h2>", text)[0] == "Ninefold beside the best peer at equal recall"
    rows = re.findall("<tr><td>search.*?</tr>", text)[:3]
    plain = [re.sub("<.*?>", "|", row).strip("|").replace("||", "|") for row in rows]
    assert plain == [
        "search, 9 rows|cpu: time 1 ms ±0|peer &lt;1&gt;|0.25 x ±0.01|&lt;= 0.5|met",
        "search, 8 rows|cpu: time 1 ms ±0|peer &lt;1&gt;|0.25 x ±0.01|&lt;= 0.2|missed",
        "search, 7 rows|cpu: time 1 ms ±0|peer &lt;1&gt;|0.25 x ±0.01",
    ]


def test_contenders_differ_without_colour() -> None:
    marks = [charts._mark(i) for i in range(26)]
    assert len({(mark["marker"], mark["fillstyle"]) for mark in marks}) == len(marks)
    # Neighbours also differ in colour and dashes.
    for first, second in pairwise(marks):
        assert first["color"] != second["color"]
        assert first["linestyle"] != second["linestyle"]


def test_a_contender_looks_alike_in_all_charts() -> None:
    tuned = [replace(f, subject="graph at recall 0.99") for f in search_figures() if f.subject == "faiss flat"]
    again = [replace(f, subject="graph at recall 0.998") for f in tuned]
    assert charts._styles(run(*search_figures(), *tuned, *again)) == {
        "cpu": 0,
        "faiss flat": 1,
        "faiss <SQ4>": 2,
        "graph": 3,
    }


def test_json_and_png_stand_beside_it(made: Run, folder: Path) -> None:
    assert Run.from_json((folder / "run.json").read_text()) == made
    pngs = sorted(path.name for path in folder.glob("*.png"))
    names = ["cores", "fabric", *(f"recall-{i}" for i in range(4)), "roofline", "scaling-1", "scaling-64", "stages"]
    assert pngs == [f"run-{name}.png" for name in names]
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in pngs)


def test_a_run_without_figures_has_a_page(tmp_path: Path) -> None:
    assert [path.name for path in write(run(), tmp_path / "r.html")] == ["r.html", "r.json"]
    Page((tmp_path / "r.html").read_text())


def test_what_the_charts_show(made: Run) -> None:
    assert selection.recalls(made)[1000, "made up, tiled with noise", 64][1] == selection.Point("faiss flat", 2.0, 0.9)
    assert [(p.x, p.y) for p in selection.scaling(made)[1]["cpu"]] == [(100, 0.1), (1000, 1.0)]
    assert selection.roof(made) == (20.0, 400.0)
    assert selection.under_the_roof(made)[64][0] == selection.Point("cpu, 100 rows", 256.0, 100.0)
    points = [(p.name, p.x, p.y) for p in selection.implementations(made)]
    assert points == [("topk, k = 8", 800, 190.0), ("similarity", 5120, 160.0)]
    assert [(b.name, b.projected, b.measured) for b in selection.fabric(made)] == [
        ("a/board", 1e5, 3e4),
        ("b/board", 1e4, None),
    ]
    assert selection.stage_times(made) == {"cpu": [("embedding", 9.0), ("search", 0.5)]}


def test_one_size_of_database_has_no_scaling() -> None:
    assert selection.scaling(run(*search_figures(rows=(100,)))) == {}
    assert selection.roof(run()) is None


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_shows_it(browser: Any, folder: Path, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme, offline=True)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda asked: wrong.append(asked.url) if asked.url.startswith("http") else None)
    page.goto((folder / "run.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    # The table of targets is read without being moved.
    assert page.locator("h2:text('Targets') ~ .wide").first.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert page.locator("figure svg").count() == len(list(folder.glob("run-*.png")))
    widths = page.locator("figure svg").evaluate_all("all => all.map(e => e.getBoundingClientRect().width)")
    assert all(250 < width <= 390 for width in widths)
    # Text of the page and of the charts stands out from what is behind it.
    page_colour, text_colour, chart_colour = page.evaluate(
        """() => {
            const colour = (e, name) => getComputedStyle(e)[name].match(/\\d+/g).slice(0, 3).map(Number);
            return [colour(document.body, 'backgroundColor'), colour(document.body, 'color'),
                    colour(document.querySelector('figure svg text'), 'fill')];
        }"""
    )
    assert (sum(page_colour) < 150) == (scheme == "dark")
    assert abs(sum(page_colour) - sum(text_colour)) > 450
    assert abs(sum(page_colour) - sum(chart_colour)) > 450
    page.screenshot(path=str(folder / f"{scheme}.png"), full_page=True)
    assert wrong == []
