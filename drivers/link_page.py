"""``docs/link.md``: the protocol of the link, for authors of other clients and boards."""

from __future__ import annotations

from ninefold.drivers.link import TIMEOUT_S, TRIES
from ninefold.drivers.protocol import encode, requests
from ninefold.spec.link import (
    BODY_MAX,
    CHECKS,
    COMMANDS,
    ENCODED_MAX,
    ERROR,
    ERROR_PAYLOAD,
    FAULTS,
    PAYLOAD_MAX,
    REPLY,
    WINDOW_MAX,
    Field,
    Frame,
    Kind,
)
from ninefold.spec.registers import BY_NAME, IDENTITY, VERSION

__all__ = ["link_page"]


def link_page() -> str:
    """Return the page."""
    return "\n\n".join([_opening(), _frames(), _requests_and_replies(), _commands(), _values()]) + "\n"


def _opening() -> str:
    return f"""# The link

<!-- Written by `ninefold registers --format link`; change `spec/link.py` or `drivers/link_page.py` instead. -->

This page defines the protocol between a host and a board, version {VERSION}, for authors of other clients and boards.
It needs a byte stream that keeps order: a UART (8 data bits, no parity, 1 stop bit, no flow control), a byte FIFO,
TCP. Bytes may be lost, damaged, repeated or late; a frame arrives whole or is dropped. The host sends requests; the
board replies, and sends nothing else. Every number is little endian. A client needs this page and
[registers.md](registers.md); `tests/fixtures/link/frames.json` has frames with their fields to test it."""


def _frames() -> str:
    return f"""## Frames

    COBS( type u8 | sequence u8 | priority u8 | epoch u8 | payload | CRC-32 u32 )  00

The CRC-32 is the one of zlib, PNG and Ethernet (polynomial 0x04C11DB7 reflected, initial value all ones, inverted at
the end), over header and payload. A payload has 0 to {PAYLOAD_MAX} bytes, a body with header and CRC at most
{BODY_MAX}, and between two delimiters there are at most {ENCODED_MAX} bytes. A board may have smaller limits:
register `limits`, at least 8 bytes for requests and {4 + 4 * len(IDENTITY)} for replies. A larger limit than
{PAYLOAD_MAX} counts as {PAYLOAD_MAX}.

COBS removes the zeros from a body, so that a zero can end it. To encode, append a zero to the body, and cut it after
each zero and after each run of 254 bytes that are not zero. A piece that ends with a zero becomes its length, as one
byte, and its bytes without that zero; a run of 254 becomes ff and its bytes. An empty piece at the end, after a run
of 254, may be written (01) or omitted; a reader accepts both. To decode, read a code byte n, copy n - 1 bytes, and
append a zero unless n is ff or the frame ends there. A code that points beyond the end is damage.

A reader collects bytes up to a zero. Nothing between two zeros means nothing. Invalid COBS, a wrong CRC, a body of
less than 8 bytes and a body that is too long are dropped without a reply, with all bytes up to the zero. So the next
frame is found after any garbage. A client that opens the stream first sends a zero, which ends whatever came before.

Examples (hexadecimal, delimiter included):

| frame | bytes |
| --- | --- |
{_examples()}"""


def _requests_and_replies() -> str:
    return f"""## Requests and replies

| field | in a request | in the reply |
| --- | --- | --- |
| type | one of the commands below | the same + 0x{REPLY:02x}, or 0x{ERROR:02x} |
| sequence | one more than in the request before, modulo 256 | the request's |
| priority | 0 if it does not matter | the request's; boards serve in the order of arrival |
| epoch | of a QUERY: the epoch that it is meant for; else 0 | the board's after the request was executed |

**Window.** A client may send requests before earlier ones are answered, up to a window of W (register `window`, at
most {WINDOW_MAX}). It sends request s + W only after request s is answered or given up. Before it knows W it uses 1.
New requests are executed and answered in the order of arrival.

**Repeats.** A client that receives no reply in time sends the same bytes again. The board keeps one reply in each of
W slots, refusals included, with the CRC-32 of its request. The slot of a request is its sequence number modulo W. A
request is a repeat if its slot holds a reply and its CRC-32 is the one kept with that reply. The CRC covers header
and payload, so a different request with the same sequence number is no repeat.

- A repeat is not executed: the board sends the kept reply again, byte for byte, with the epoch that it had then.
- If the reply is still being made or sent, the repeat is dropped, since that reply will come.
- A request that is no repeat is executed, and its reply replaces the one in its slot.
- IDENTIFY is always executed and its reply is not kept. If it succeeds, the board forgets all kept replies; if it is
  refused, only the reply in its slot.
- RESET, and a WRITE that sets bit 0 of `control`, forget all kept replies. The reply to that request itself is kept.

So a request has its effect once, however often it is sent, as long as the window is respected. Since order is kept, a
reply to a request that was sent once shows that an earlier unanswered request, or its reply, was lost: repeat that
request at once. Discard replies that no request waits for.

**Time before a repeat.** Wait longer than the slowest reply can take: the time of all bytes in flight in both
directions (10 bit times a byte on a UART), up to 16 ms for a USB serial chip, and for each query in flight `depth` x
`dimensions` / `lanes` cycles of `clock_hz`. A simulated board is slower than its clock. If nothing is known of the
board, wait {TIMEOUT_S:g} s, and call the link dead after {TRIES} tries. A repeat that is sent too early does no harm:
it is dropped, or answered once more.

**Start.** A client sends a zero, then IDENTIFY, and nothing else until the reply with its nonce arrives. It checks
`magic` and `version`, and may check `digest`. A lost IDENTIFY is sent again as any request is.

**Epochs.** The board copies its register `epoch` into every reply. It is 0 after power-on, after a reset, and from
the start of a load. After a load the client writes an epoch from 1 to 255 that differs from the one before. It
discards a reply to a QUERY with another epoch, whatever the reply contains. If such replies continue, the board was
reset, or loaded by another client: the client starts with IDENTIFY and loads again.

**Loading.** Send LOAD from offset 0, in blocks, the last one final. Then compare `rows`, `load_bytes` and
`load_check` with the rows that were sent, and write `epoch`. If a board may have other clients, send IDENTIFY before
each load, and choose an epoch that is neither the last one nor the board's. LOADs may be in flight like any requests.
If one is lost, those after it are refused with OFFSET: continue with new requests from the offset in the detail. A
board with `load_bytes` above 0 and `epoch` 0 is within a load, or was not given its epoch: load it again."""


def _commands() -> str:
    commands = "\n".join(
        f"### {command.kind.name} (0x{command.kind:02x})\n\n{command.doc}\n\n"
        f"Request:{_layout(command.request)}\n\nReply (0x{command.kind | REPLY:02x}):{_layout(command.reply)}\n"
        for command in COMMANDS
    )
    faults = "\n".join(f"| {f.value} | {f.name} | {why} | {detail} |" for f, (why, detail) in FAULTS.items())
    return f"""## Commands

{commands}
### Refusals (0x{ERROR:02x})

Payload:{_layout(ERROR_PAYLOAD)}

| code | name | why | detail |
| --- | --- | --- | --- |
{faults}

A refused request changes nothing.

### Order of the checks

A type that is no command is refused with KIND. Any other request is checked in this order, and the first check that
fails is answered:

| request | check | refused if |
| --- | --- | --- |
{_checks()}"""


def _checks() -> str:
    return "\n".join(
        f"| {kind.name} | {fault.name} | {why} |" for kind, checks in CHECKS.items() for fault, why in checks
    )


def _values() -> str:
    return """## Values

- **Packed nits**: two a byte, each a two's complement nibble from -4 to 4, the first in the low nibble.
- **Grid values**: i16, g = clip(round-half-even(4096 y), -32768, 32767); the board takes as magnitude of the nit how
  many thresholds |g| reaches (>=), and the sign of g.
- A vector of fewer dimensions than the board's is filled with zero nits, or zero grid values, which change no score.
- **Scores** are dot products of nits. Results are the largest, largest first; of equal scores the lower id first.
- A database of more rows than `depth` is loaded and asked part by part; results are merged by (score descending, row
  ascending)."""


def _layout(fields: tuple[Field, ...]) -> str:
    if not fields:
        return " empty."
    table = "\n".join(f"| `{field.name}` | {field.type} | {field.doc} |" for field in fields)
    return f"\n\n| field | type | what it is |\n| --- | --- | --- |\n{table}"


def _examples() -> str:
    epoch = BY_NAME["epoch"].address
    frames = {
        "IDENTIFY with nonce 0xdeadbeef, sequence 0": Frame(Kind.IDENTIFY, 0, 0, 0, requests.identify(0xDEADBEEF)),
        "WRITE 7 to `epoch`, sequence 2": Frame(Kind.WRITE, 2, 0, 0, requests.write(epoch, [7])),
        "its reply": Frame(Kind.WRITE | REPLY, 2, 0, 7),
        "STATISTICS, sequence 254": Frame(Kind.STATISTICS, 254, 0, 0),
    }
    return "\n".join(f"| {name} | `{encode(frame).hex(' ')}` |" for name, frame in frames.items())
