"""``Vector6D`` records: against a plain reader and writer of one record, and damaged."""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.numerics import vector6d
from ninefold.numerics.vector6d import Vector6DColumns, decode, encode
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.vector6d import FIELDS, LINK_FIELDS

#: The layout as the page of operators states it, for `struct`: without alignment, little endian.
PARTS = "<512H QH BHH HB 256HH HH B"
NAMES = ("timestamp", "horizon", "modality", "subtype", "modality_confidence", "momentum", "impact")
ENDS = ("intent_confidence", "confidence", "calibration")

Record = dict[str, Any]


def plain_encode(record: Record) -> bytes:
    """Write one record; floats are given by their bits."""
    links = record["links"]
    values = [*record["embedding"], *(record[name] for name in NAMES), *record["intent"]]
    payload = struct.pack(PARTS, *values, *(record[name] for name in ENDS), len(links))
    payload += b"".join(struct.pack("<BHB", *link) for link in links)
    return struct.pack("<I", len(payload)) + payload


def plain_decode(data: bytes) -> list[Record] | int:
    """Return the records, or the position at which the first wrong one begins."""
    found, place = [], 0
    while place < len(data):
        start, size = place, struct.calcsize(PARTS)
        if len(data) - place < 4:
            return start
        (length,) = struct.unpack_from("<I", data, place)
        if length < size or place + 4 + length > len(data):
            return start
        values = struct.unpack_from(PARTS, data, place + 4)
        count = values[-1]
        if count > 8 or length != size + 4 * count:
            return start
        record: Record = {"embedding": values[:512], "intent": values[519:775]}
        record |= dict(zip(NAMES, values[512:519], strict=True)) | dict(zip(ENDS, values[775:778], strict=True))
        record["links"] = [struct.unpack_from("<BHB", data, place + 4 + size + 4 * i) for i in range(count)]
        found.append(record)
        place += 4 + length
    return found


def columns(records: list[Record]) -> Vector6DColumns:
    """Return records as columns, number by number."""
    arrays = {name: array.copy() for name, array in Vector6DColumns.zeros(len(records)).arrays.items()}
    for row, record in enumerate(records):
        for name in ("embedding", "intent", *NAMES, *ENDS):
            array = arrays[name]
            (array.view(np.uint16) if array.dtype == np.float16 else array)[row] = record[name]
        arrays["links"][row] = len(record["links"])
        for place, link in enumerate(record["links"]):
            for field, value in zip(LINK_FIELDS, link, strict=True):
                arrays[field.name][row, place] = value
    return Vector6DColumns(arrays)


def same(a: Vector6DColumns, b: Vector6DColumns) -> bool:
    """Compare every bit: NaN has many."""
    return all(array.tobytes() == b.arrays[name].tobytes() for name, array in a.arrays.items())


def drawn(seed: int, links: int | None = None) -> Record:
    """Return a record of any bits."""
    source = random.Random(seed)

    def numbers(bits: int, count: int) -> list[int]:
        return [source.getrandbits(bits) for _ in range(count)]

    record: Record = {"embedding": numbers(16, 512), "intent": numbers(16, 256)}
    for name, bits in zip((*NAMES, *ENDS), (64, 16, 8, 16, 16, 16, 8, 16, 16, 16), strict=True):
        record[name] = source.getrandbits(bits)
    count = source.randrange(9) if links is None else links
    record["links"] = [tuple(source.getrandbits(bits) for bits in (8, 16, 8)) for _ in range(count)]
    return record


SEEDS = st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 8)), max_size=9)


@settings(deadline=None, max_examples=40)
@given(seeds=SEEDS, block=st.integers(1, 4))
def test_bytes_and_columns_are_those_of_the_plain_records(seeds: list[tuple[int, int]], block: int) -> None:
    records = [drawn(*seed) for seed in seeds]
    expected = b"".join(map(plain_encode, records))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector6d, "_BLOCK", block)
        made = columns(records)
        assert encode(made).tobytes() == expected
        assert same(decode(expected), made)
        assert same(decode(np.frombuffer(expected, np.uint8)), made)
    assert plain_decode(expected) == [
        {**one, "embedding": tuple(one["embedding"]), "intent": tuple(one["intent"])} for one in records
    ]


def test_sizes() -> None:
    assert [len(plain_encode(drawn(1, links))) for links in (0, 8)] == [1565, 1597]
    assert [encode(columns([drawn(1, links)])).size for links in range(9)] == list(range(1565, 1598, 4))
    assert sum(field.bytes for field in FIELDS) == 1561
    assert decode(b"").arrays["embedding"].shape == (0, 512)
    assert encode(Vector6DColumns.zeros(0)).tobytes() == b""


def test_records_of_several_lengths_whose_sum_is_a_multiple_of_the_first() -> None:
    made = columns([drawn(seed, links) for seed, links in enumerate([0, *[8] * 195, 5])])
    data = encode(made)
    assert data.size % 1565 == 0
    assert same(decode(data), made)


def test_a_memory_map_is_read(tmp_path: Path) -> None:
    made = columns([drawn(seed) for seed in range(40)])
    encode(made).tofile(tmp_path / "records.bin")
    assert same(decode(np.memmap(tmp_path / "records.bin", np.uint8, "r")), made)


def test_rows_are_records() -> None:
    records = [drawn(seed) for seed in range(6)]
    made = columns(records)
    assert same(made[2:5], columns(records[2:5]))
    assert np.shares_memory(made[2:5].arrays["embedding"], made.arrays["embedding"])
    assert same(made[np.array([4, 0, 4])], columns([records[4], records[0], records[4]]))
    assert same(made[made.arrays["links"] >= 4], columns([one for one in records if len(one["links"]) >= 4]))
    assert (len(made), len(made[:2])) == (6, 2)


@pytest.mark.parametrize(
    ("cut", "change", "message"),
    [
        (2, None, "record 2 at byte {0:,} is cut off: 2 of the 4 bytes of its length are there"),
        (1000, None, "record 2 at byte {0:,} is cut off: 996 of the 1,565 bytes of its payload are there"),
        (
            0,
            (0, 0),
            "record 2 at byte {0:,} is damaged: its payload must have 1,561 to 1,593 bytes in steps of 4, not 1,536",
        ),
        (0, (3, 9), "in steps of 4, not 150,996,509"),
        (0, (1564, 7), "record 2 is damaged at byte {1:,}: it says 7 links, and has room for 1"),
        (0, (0, 0x1D + 4), "record 2 at byte {0:,} is cut off: 1,565 of the 1,569 bytes of its payload are there"),
    ],
)
def test_damage_is_told_with_its_position(cut: int, change: tuple[int, int] | None, message: str) -> None:
    parts = [plain_encode(drawn(1, 3)), plain_encode(drawn(2, 0)), plain_encode(drawn(3, 1))]
    start = len(parts[0]) + len(parts[1])
    data = bytearray(b"".join(parts))
    if change is not None:
        data[start + change[0]] = change[1]
    del data[start + cut if cut else len(data) :]
    with pytest.raises(DamagedDataError, match=re.escape(message.format(start, start + 1564)) + "$"):
        decode(bytes(data))


def test_the_first_damage_is_told() -> None:
    data = bytearray(b"".join(plain_encode(drawn(seed, 2)) for seed in range(700)))
    data[300 * 1573 + 1564] = 3
    data[600 * 1573] = 0
    with pytest.raises(DamagedDataError, match=r"^record 300 is damaged at byte 473,464: "):
        decode(data)


def mutated(source: random.Random, data: bytes) -> bytes:
    """Return records with some bytes changed, left out, repeated or added."""
    made = bytearray(data)
    for _ in range(source.randrange(1, 4)):
        # Half of the changes meet lengths and counts, of which there are few.
        record = source.randrange(1 + len(made) // 1581) * 1581
        near = record + source.choice((0, 1, 2, 3, 1564, 1565))
        place = min(len(made), near if source.random() < 0.5 else source.randrange(len(made) + 1))
        kind = source.randrange(4)
        if kind == 0:
            made[place : place + 1] = bytes([source.randrange(256)])
        elif kind == 1:
            del made[place : place + source.choice((1, 4, 1581))]
        elif kind == 2:
            made[place:place] = made[place : place + source.choice((1, 4, 1581))]
        else:
            made[place:place] = bytes(source.randrange(256) for _ in range(source.randrange(1, 9)))
    return bytes(made)


def check_mutants(seed: int, number: int) -> None:
    """Hold mutated records to the plain reader: refused at the same record, or the same bytes again."""
    source = random.Random(seed)
    sound = b"".join(plain_encode(drawn(one, 4)) for one in range(3))
    accepted = 0
    for _ in range(number):
        data = mutated(source, sound)
        expected = plain_decode(data)
        place, again = -1, b""
        try:
            again = encode(decode(data)).tobytes()
        except DamagedDataError as error:
            place = int(re.findall(r"at byte ([\d,]+)", str(error))[0].replace(",", ""))
        if isinstance(expected, int):
            assert place in (expected, expected + 1564), (seed, place, data.hex())
        else:
            assert again == data, (seed, data.hex())
            accepted += 1
    assert number / 20 < accepted < number * 19 / 20


def test_mutated_records_are_refused_or_read_exactly() -> None:
    check_mutants(1, 1500)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_million_mutated_records(seed: int) -> None:
    check_mutants(seed, 34_000)  # about three records each


def test_bad_columns_are_refused() -> None:
    arrays = dict(columns([drawn(1, 2), drawn(2, 8)]).arrays)

    def refused(change: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Vector6DColumns({**arrays, **change})

    refused({"intent": arrays["intent"][:, :255]}, r"^intent must be float16 of shape \(2, 256\), not float16 of shape")
    refused({"timestamp": arrays["timestamp"].astype(np.int64)}, r"must be uint64 of shape \(2,\), not int64")
    refused({"horizon": arrays["horizon"][:1]}, r"not float16 of shape \(1,\)")
    refused({"colour": arrays["horizon"]}, "^columns must be embedding, .*: 'colour' is unknown$")
    refused({"links": np.array([2, 9], np.uint8)}, "^links must be at most 8: row 1 has 9$")
    lag = arrays["link_lag"].copy()
    lag[0, 5] = 1
    refused({"link_lag": lag}, "^link_lag must be 0 after the 2 links of row 0: place 5 is not$")
    del arrays["impact"]
    refused({}, "'impact' is missing$")
