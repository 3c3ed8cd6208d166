"""Registers over the link: what is written is read, and a load of any rows in blocks of any size leaves these rows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.drivers.link import Link, RefusedError
from ninefold.drivers.loading import holds, load, read_register, write_register
from ninefold.spec.link import EPOCH_MAX, Fault
from ninefold.spec.registers import REGISTERS, Register
from tests.drivers.board_model import BoardModel, Clock, ModelTransport

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
WORD = st.integers(0, 2**32 - 1)
#: Rows of 32 nits, as the model has them.
ROW_BYTES = 16


def linked(model: BoardModel) -> Link:
    link = Link(ModelTransport(model, clock := Clock()), clock=clock)
    link.window = 4
    return link


@QUICK
@given(st.lists(WORD, min_size=4, max_size=4), st.integers(1, EPOCH_MAX))
def test_what_is_written_is_read_and_nothing_else_changes(words: list[int], epoch: int) -> None:
    link = linked(BoardModel())
    counted = {"queries", "cycles_low", "cycles_high", "accepted_low", "accepted_high", "stalls", "crc_errors"}
    others = [r.name for r in REGISTERS if r.name not in {"threshold", "epoch", *counted}]
    before = {name: read_register(link, name) for name in others}
    write_register(link, "threshold", *words)
    write_register(link, "epoch", epoch)
    assert read_register(link, "threshold") == tuple(word % 2**16 for word in words)
    assert read_register(link, "epoch") == (epoch,)
    assert {name: read_register(link, name) for name in others} == before


@pytest.mark.parametrize("register", [r for r in REGISTERS if r.access == "r"], ids=lambda r: r.name)
def test_what_is_read_only_cannot_be_written(register: Register) -> None:
    link = linked(BoardModel())
    with pytest.raises(RefusedError) as refusal:
        write_register(link, register.name, *[1] * register.count)
    assert refusal.value.refusal.code == Fault.ADDRESS
    assert refusal.value.refusal.detail == register.address


@QUICK
@given(
    st.lists(st.binary(min_size=ROW_BYTES, max_size=ROW_BYTES), min_size=1, max_size=20).map(b"".join),
    st.integers(1, 300),
    st.integers(1, EPOCH_MAX),
    st.sets(st.integers(0, 40), max_size=6),
)
def test_any_load_leaves_its_rows_whatever_frames_are_lost(rows: bytes, block: int, epoch: int, lost: set[int]) -> None:
    model, written = BoardModel(), 0

    def lose(data: bytes) -> bytes:
        nonlocal written
        written += 1
        return b"" if written in lost else data

    link = Link(ModelTransport(model, clock := Clock(), there=lose), clock=clock)
    link.window = 4
    load(link, rows, ROW_BYTES, block, epoch, (1, 2, 3, 4))
    assert (model.loaded, model.rows, model.epoch, link.epoch) == (rows, len(rows) // ROW_BYTES, epoch, epoch)
    assert model.thresholds == [1, 2, 3, 4]
    assert holds(link, rows, ROW_BYTES)
    other = bytes([rows[0] ^ 1]) + rows[1:]
    assert not holds(link, other, ROW_BYTES)
    assert not holds(link, rows + rows[:ROW_BYTES], ROW_BYTES)
