"""COBS encoder: bytes of frames to stuffed bytes.

Consistent overhead byte stuffing removes zero bytes from frames, so that 0 can delimit them: S. Cheshire and M. Baker,
"Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999. A frame is divided into groups: a
code byte c, then c - 1 nonzero bytes. A 0 is implied between groups, except after c = 255.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.parts.layouts import BYTE, FRAME_BYTE
from ninefold.spec.link import COBS_RUN

__all__ = ["CORE", "CobsEncoder"]


class CobsEncoder(wiring.Component):
    """COBS encoder: bytes of frames to stuffed bytes, with a 0 after each frame.

    A group is held until its length is known, while earlier groups leave. Throughput at the output is one byte a cycle
    for groups of equal length; before a longer group the output waits. Latency is 3 cycles from the byte that closes a
    group to its code. For each frame, the output has two bytes more than the input (a code and the delimiter), and one
    code for each 254 bytes without a 0.

    Parameters
    ----------
    group : int
        Maximum number of bytes in a group without its code, 2 to 254; below 254 only for tests of short groups.
    groups : int
        Maximum number of groups that wait, a power of two from 2 to 256. Short groups fill it while a long one leaves.

    Members
    -------
    input : In(stream.Signature({data: 8, last: 1}))
        Bytes of frames; ``last`` on the final one.
    output : Out(stream.Signature({data: 8}))
        Bytes to send.
    """

    def __init__(self, group: int = COBS_RUN, groups: int = 4) -> None:
        self.group = check_integer("group", group, 2, COBS_RUN)
        self._groups = check_integer("groups", groups, 2, 256)
        super().__init__({"input": In(stream.Signature(FRAME_BYTE)), "output": Out(stream.Signature(BYTE))})

    def elaborate(self, _platform: object) -> Module:
        """Build the queue of bytes, the queue of codes, and the merging of both."""
        m = Module()
        # Holds two groups: one leaves while the next is collected.
        m.submodules.held = held = Queue(BYTE, 1 << (2 * self.group - 1).bit_length(), registered=True)
        code_layout = data.StructLayout({"code": 8, "end": 1})
        m.submodules.codes = codes = Queue(code_layout, self._groups)
        self._collect(m, held, codes)

        group = codes.output.payload
        left = Signal(8)
        with m.FSM():
            with m.State("CODE"):
                m.d.comb += [self.output.valid.eq(codes.output.valid), self.output.payload.data.eq(group.code)]
                with m.If(codes.output.valid & self.output.ready):
                    m.d.sync += left.eq(group.code - 1)
                    with m.If(group.code != 1):
                        m.next = "BYTES"
                    with m.Elif(group.end):
                        m.next = "END"
                    with m.Else():
                        m.d.comb += codes.output.ready.eq(1)
            with m.State("BYTES"):
                m.d.comb += [
                    self.output.valid.eq(held.output.valid),
                    self.output.payload.data.eq(held.output.payload.data),
                    held.output.ready.eq(self.output.ready),
                ]
                with m.If(held.output.valid & self.output.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        with m.If(group.end):
                            m.next = "END"
                        with m.Else():
                            m.d.comb += codes.output.ready.eq(1)
                            m.next = "CODE"
            with m.State("END"):
                m.d.comb += [self.output.valid.eq(1), self.output.payload.data.eq(0)]
                with m.If(self.output.ready):
                    m.d.comb += codes.output.ready.eq(1)
                    m.next = "CODE"
        return m

    def _collect(self, m: Module, held: Queue, codes: Queue) -> None:
        """Store the nonzero bytes, and a code at the end of each group."""
        # Compares with 0 and with the maximum length are registered one cycle early.
        byte, last, zero, waits = Signal(8, reset_less=True), Signal(), Signal(), Signal()
        accepts = Signal()
        with m.If(self.input.ready):
            m.d.sync += [
                byte.eq(self.input.payload.data),
                last.eq(self.input.payload.last),
                zero.eq(self.input.payload.data == 0),
                waits.eq(self.input.valid),
            ]
        count = Signal(range(self.group))
        longest = Signal()
        # A frame that ends with a 0 ends with an empty group.
        empty_due = Signal()
        closes = zero | last | longest
        m.d.comb += [
            accepts.eq(waits & codes.input.ready & held.input.ready & ~empty_due),
            self.input.ready.eq(~waits | accepts),
            held.input.payload.data.eq(byte),
            held.input.valid.eq(accepts & ~zero),
            codes.input.valid.eq(empty_due | (accepts & closes)),
            codes.input.payload.code.eq(Mux(empty_due, 1, count + 1 + ~zero)),
            codes.input.payload.end.eq(empty_due | (last & ~zero)),
        ]
        with m.If(accepts):
            m.d.sync += [
                count.eq(Mux(closes, 0, count + 1)),
                longest.eq(~closes & (count == self.group - 2)),
                empty_due.eq(zero & last),
            ]
        with m.If(empty_due & codes.input.ready):
            m.d.sync += empty_due.eq(0)


CORE = Core(
    CobsEncoder,
    defaults={"group": COBS_RUN, "groups": 4},
    smallest={"group": COBS_RUN},
)
