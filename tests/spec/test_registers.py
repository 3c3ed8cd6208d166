from itertools import pairwise

import pytest

from ninefold.spec.link import EPOCH_MAX, REPLY, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY, MAGIC, NO_TEMPERATURE, REGISTERS, STATISTICS, Register


def test_no_two_registers_share_an_address_and_they_ascend() -> None:
    for one, other in pairwise(REGISTERS):
        assert one.addresses[-1] < other.addresses[0], (one.name, other.name)
    assert len(BY_NAME) == len(REGISTERS)


@pytest.mark.parametrize("register", REGISTERS, ids=lambda r: r.name)
def test_registers_are_whole(register: Register) -> None:
    assert register.name.isidentifier()
    assert register.doc.endswith(".")
    assert register.reset is None or 0 <= register.reset < 2**32
    taken = 0
    for field in register.fields:
        mask = ((1 << field.width) - 1) << field.low
        assert mask < 2**32
        assert not taken & mask
        taken |= mask


def test_what_commands_reply_with_has_no_gaps() -> None:
    known = {address for register in REGISTERS for address in register.addresses}
    assert set(IDENTITY) <= known
    assert set(STATISTICS) <= known


def test_constants() -> None:
    assert MAGIC.to_bytes(4, "little") == b"NFLD"
    assert NO_TEMPERATURE == 2**31
    assert (BY_NAME["digest"].count, BY_NAME["threshold"].count) == (8, 4)
    assert {r.name for r in REGISTERS if "w" in r.access} == {"threshold", "epoch", "control"}
    assert EPOCH_MAX == 255
    assert max(Kind) < REPLY
