"""``docs/link.md``: how to speak with a board, for whoever writes another client or another board."""

from __future__ import annotations

from ninefold.drivers.protocol import encode, requests
from ninefold.spec.link import (
    BODY_MAX,
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

How a host and a board speak, version {VERSION}. Any byte stream that keeps order carries it: a UART (8 data bits, no
parity, 1 stop bit, no flow control), a byte FIFO, TCP. Bytes may be lost, damaged, repeated or late; whole frames
survive that or are dropped. The host asks, the board answers; it never speaks first. Every number is little endian.
This page and [registers.md](registers.md) are all that a client needs; `tests/fixtures/link/frames.json` has frames
with their fields to check one against."""


def _frames() -> str:
    return f"""## Frames

    COBS( type u8 | sequence u8 | priority u8 | epoch u8 | payload | CRC-32 u32 )  00

The CRC is that of zlib, PNG and Ethernet (polynomial 0x04C11DB7 reflected, begun with all ones, inverted at the end),
over header and payload. A payload has 0 to {PAYLOAD_MAX} bytes, a body with header and CRC at most {BODY_MAX}, and
between two delimiters there are at most {ENCODED_MAX} bytes. A board may have smaller limits: register `limits`, at
least 8 bytes there and {4 + 4 * len(IDENTITY)} back. Where it names more than {PAYLOAD_MAX}, that is still the most.

COBS takes the zeros out of a body, so that a zero can end it. Put a zero after the body, then cut it behind each zero
and behind each run of 254 bytes that are not zero. A piece that ends with a zero becomes its length, as one byte, and
then its bytes without that zero; a run of 254 becomes ff and its bytes. An empty piece at the end, after a run of 254,
may be written (01) or left out; a reader takes both. To undo it: read a code byte n, copy n - 1 bytes, add a zero
unless n is ff or the frame ends there; a code that points past the end is damage.

A reader collects bytes until a zero. Nothing between two zeros means nothing. Bad COBS, a wrong CRC, a body shorter
than 8 bytes or one too long is dropped without an answer, and with it the whole piece up to the zero: the next frame
is found again behind any garbage. Whoever opens the stream sends one zero first, which ends what an earlier speaker
may have begun.

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
| priority | 0 where it does not matter | the request's; boards serve in the order of arrival |
| epoch | of a QUERY: the epoch that it is meant for; else 0 | the board's, once the request is done |

**Window.** A client may send requests before earlier ones are answered, up to a window of W (register `window`, at most
{WINDOW_MAX}): the request s + W only when request s is answered or given up. Before it knows W it takes 1. New requests
are carried out and answered in the order of arrival.

**Repeats.** A client that gets no reply sends the same frame again. The board keeps its last W replies, in the places
sequence mod W; a request whose sequence number is the kept one is answered from there, at once, and not carried out
again; one that is being carried out is dropped, since its reply will come. So a request has its effect once, however
often it is sent. Since order is kept, the reply to a request that was sent once shows that an unanswered one sent
before it was lost, or its reply was: it can be repeated at once. What else is not answered is repeated after a while. A
client gives up after a number of tries and calls the link dead. Replies that nothing waits for are discarded.

**Beginning.** A client sends a zero, then IDENTIFY, and nothing else until that is answered with its nonce. It empties
the board's kept replies. It checks `magic` and `version`, and may check `digest`.

**Epochs.** The board copies its register `epoch` into every reply. It is 0 after power-on and reset and from the
beginning of a load on; after a load the client writes one that differs from the last, 1 to 255. A reply to a QUERY with
another epoch is discarded, whatever it says. Where such replies go on, the board was reset or loaded by someone
else: the client begins again with IDENTIFY and loads again.

**Loading.** LOAD from offset 0 on in blocks, the last one final; then compare `rows`, `load_bytes` and `load_check`
with what was sent; then write `epoch`. Where a board may have other clients, IDENTIFY again before each load, and draw
an epoch that is neither the last one nor the board's. LOADs may be sent ahead as all requests may. Where one is lost,
those behind it are refused with OFFSET, and the client goes on with new requests from the offset in the detail. A board
with `load_bytes` above 0 and `epoch` 0 was left in the middle of a load, or not given its epoch: load it again."""


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

A request that is refused has changed nothing."""


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
