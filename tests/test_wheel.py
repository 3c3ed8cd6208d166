"""The built wheel, installed in an empty environment, indexes and searches."""

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTES = {
    "bread.txt": "Knead the dough for ten minutes, let it rise until it has doubled, then bake it in a hot oven.",
    "roof.txt": "Replace cracked tiles before winter, or rain will find its way into the attic.",
    "bees.txt": "A hive is inspected on warm days, when most of the foragers are out.",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # A copy of what is committed or about to be: build folders of the checkout must not leak into the wheel.
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        source, target = ROOT / name, folder / "source" / name
        if source.is_file() and not name.startswith(("tests/", "typing/")):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(folder / "source")], check=True)
    return next(folder.glob("ninefold-*.whl"))


def test_the_wheel_holds_every_package_and_only_those(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    sources = {
        str(Path("ninefold") / p.relative_to(ROOT))
        for folder in ("spec", "numerics", "hdl", "drivers", "host", "sim", "bitstreams")
        for p in (ROOT / folder).rglob("*")
        if p.suffix in {".py", ".cl", ".cpp", ".h", ".html", ".json", ".txt"} or p.name == "py.typed"
    }
    packed = {n for n in names if ".dist-info/" not in n}
    assert packed == sources


def test_it_searches_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    venv.create(environment)
    pip = [sys.executable, "-m", "pip", "--python", str(environment), "--disable-pip-version-check", "install"]
    options = ["--quiet", "--no-compile", "--constraint", str(ROOT / "requirements.lock")]
    subprocess.run([*pip, *options, f"{wheel}[embed]"], check=True)
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, text in NOTES.items():
        (notes / name).write_text(text)
    ninefold = str(environment / "bin" / "ninefold")
    version = subprocess.run([ninefold, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert version.stdout.split()[-1] == wheel.name.split("-")[1]
    index = str(tmp_path / "notes.index")
    subprocess.run([ninefold, "index", str(notes), "-o", index], cwd=tmp_path, check=True, capture_output=True)
    question = [ninefold, "search", index, "looking after insects that make honey", "-k", "2", "--json"]
    answer = subprocess.run(question, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "bees" in json.dumps(json.loads(answer.stdout)["hits"][0])
