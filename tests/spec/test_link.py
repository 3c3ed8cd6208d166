from ninefold.spec.formats import DIMENSIONS_MAX
from ninefold.spec.link import (
    BODY_MAX,
    BODY_MIN,
    COBS_RUN,
    COMMANDS,
    ENCODED_MAX,
    ERROR,
    ERROR_PAYLOAD,
    PAYLOAD_MAX,
    PREFIX_BYTES,
    REPLY,
    WINDOW,
    WINDOW_MAX,
    Fault,
    Kind,
)
from ninefold.spec.stream_link import STREAM_CHECKS, STREAM_COMMANDS, STREAM_FAULTS, StreamFault, StreamKind


def test_a_query_of_the_most_dimensions_fits() -> None:
    assert PAYLOAD_MAX >= PREFIX_BYTES + 2 * DIMENSIONS_MAX


def test_limits_follow_from_one_another() -> None:
    assert (BODY_MIN, BODY_MAX) == (8, PAYLOAD_MAX + 8)
    # A code byte each 254, and one more at the end.
    assert ENCODED_MAX == BODY_MAX + BODY_MAX // COBS_RUN + 1
    assert WINDOW <= WINDOW_MAX <= 128


def test_each_command_has_one_layout() -> None:
    commands = (*COMMANDS, *STREAM_COMMANDS)
    assert [command.kind for command in commands] == [*Kind, *StreamKind]
    assert len({int(command.kind) for command in commands}) == len(commands)
    assert ERROR not in {command.kind | REPLY for command in commands}
    assert len({int(fault) for fault in (*Fault, *StreamFault)}) == len(Fault) + len(StreamFault)
    assert set(STREAM_FAULTS) == set(StreamFault)
    assert set(STREAM_CHECKS) == set(StreamKind)
    sizes = {"u8": 1, "u16": 2, "u32": 4}
    assert sum(sizes[field.type] for field in ERROR_PAYLOAD) == 8
    for command in commands:
        for fields in (command.request, command.reply):
            # Only the last field may be of any length.
            assert all(field.type in sizes for field in fields[:-1])
