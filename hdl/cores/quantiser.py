"""Quantiser of grid values to nits, with four writable thresholds."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer, check_mode
from ninefold.hdl.core import Core
from ninefold.hdl.parts.credit import CreditQueue
from ninefold.spec.formats import DIMENSIONS_MAX, NIT_BITS, THRESHOLDS, Mode

__all__ = ["CORE", "Quantiser"]

#: Registers between the input and the queue: magnitude, comparisons, nit.
_STAGES = 3


class Quantiser(wiring.Component):
    """Streaming quantiser of 16-bit grid values.

    The magnitude of a nit is the number of thresholds that the magnitude of the grid value reaches (``>=``); its sign
    is the sign of the grid value. The magnitude of -32768 is 32768.

    Throughput is one word of ``lanes`` grid values a cycle. Latency is 5 cycles: a word accepted in cycle t is offered
    from cycle t + 5 on, if the words before it have been accepted.

    One transfer of ``threshold``, which is always ready, writes a threshold. It applies to words accepted in the same
    cycle or later and to no earlier word, however long the output was stalled. Thresholds need not ascend.

    Parameters
    ----------
    mode : {"tanh", "linear"}
        Thresholds after reset: ``spec.formats.THRESHOLDS[mode].reached_at``.
    lanes : int
        Grid values per word, 1 to 4096.

    Members
    -------
    values : In(stream.Signature({grid: signed(16)[lanes], last: 1}))
        Grid values with 12 fraction bits.
    threshold : In(stream.Signature({index: 2, value: 16}))
        Writes to threshold register ``index`` (0 for nit 1). Always ready.
    nits : Out(stream.Signature({nits: signed(4)[lanes], last: 1}))
        Nits of each word, with its ``last``.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    #: Maximum number of words in the quantiser.
    CAPACITY = _STAGES + 3

    def __init__(self, mode: Mode, lanes: int) -> None:
        self.mode = check_mode(mode)
        self.lanes = check_integer("lanes", lanes, 1, DIMENSIONS_MAX)
        super().__init__(
            {
                "values": In(
                    stream.Signature(data.StructLayout({"grid": data.ArrayLayout(signed(16), lanes), "last": 1}))
                ),
                "threshold": In(stream.Signature(data.StructLayout({"index": 2, "value": unsigned(16)}))),
                "nits": Out(
                    stream.Signature(data.StructLayout({"nits": data.ArrayLayout(signed(NIT_BITS), lanes), "last": 1}))
                ),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the thresholds, the lanes and the output queue."""
        m = Module()
        m.submodules.queue = queue = CreditQueue(self.nits.payload.shape(), depth=self.CAPACITY)
        wiring.connect(m, queue.output, wiring.flipped(self.nits))

        thresholds = Array(
            Signal(16, name=f"threshold_{n}", init=value)
            for n, value in enumerate(THRESHOLDS[self.mode].reached_at, start=1)
        )
        m.d.comb += self.threshold.ready.eq(1)
        with m.If(self.threshold.valid):
            m.d.sync += thresholds[self.threshold.payload.index].eq(self.threshold.payload.value)

        accepted = Signal(_STAGES + 1)
        last = Signal(_STAGES + 1)
        m.d.comb += [
            self.values.ready.eq(queue.credit),
            accepted[0].eq(self.values.valid & self.values.ready),
            last[0].eq(self.values.payload.last),
            queue.take.eq(accepted[0]),
            queue.push.eq(accepted[_STAGES]),
            queue.element.last.eq(last[_STAGES]),
        ]
        m.d.sync += [accepted[1:].eq(accepted), last[1:].eq(last)]

        for lane in range(self.lanes):
            grid = self.values.payload.grid[lane]
            negative = Signal(2, name=f"negative_{lane}", reset_less=True)
            magnitude = Signal(16, name=f"magnitude_{lane}", reset_less=True)
            reached = Signal(4, name=f"reached_{lane}", reset_less=True)
            nit = Signal(signed(NIT_BITS), name=f"nit_{lane}", reset_less=True)
            count = sum(reached)
            m.d.sync += [
                negative.eq(Cat(grid < 0, negative)),
                magnitude.eq(Mux(grid < 0, -grid, grid)),
                reached.eq(Cat(magnitude >= threshold for threshold in thresholds)),
                nit.eq(Mux(negative[1], -count, count)),
            ]
            m.d.comb += queue.element.nits[lane].eq(nit)
        return m


CORE = Core(
    Quantiser,
    defaults={"mode": "tanh", "lanes": 16},
    small={"lanes": 2},
    smallest={"mode": "tanh", "lanes": 1},
)
