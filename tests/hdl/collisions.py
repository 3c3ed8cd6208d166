"""Memories that show a wrong word after a collision, to find out whether anybody looks at it."""

from typing import Any

from amaranth.hdl import Elaboratable, Fragment, Module, Signal
from amaranth.lib import memory, wiring


class CollidingMemories:
    """Platform whose memories, where a word is read in the cycle in which it is written, show its complement."""

    def get_memory(self, given: memory.Memory) -> Any:
        if not given.write_ports:
            return given.elaborate(None)
        m = Module()
        words = memory.Memory(given.data, attrs=given.attrs)
        writes = []
        for port in given.write_ports:
            write = words.write_port(granularity=port.signature.granularity)
            m.d.comb += [write.en.eq(port.en), write.addr.eq(port.addr), write.data.eq(port.data)]
            writes.append(port)
        for port in given.read_ports:
            if port.domain == "comb":  # distributed RAM: the word is the old one until the clock edge
                at_once = words.read_port(domain="comb")
                m.d.comb += [at_once.addr.eq(port.addr), port.data.eq(at_once.data)]
                continue
            read = words.read_port()
            collided = Signal()
            m.d.comb += [
                read.en.eq(port.en),
                read.addr.eq(port.addr),
                port.data.eq(read.data ^ collided.replicate(len(read.data))),
            ]
            with m.If(port.en):
                m.d.sync += collided.eq(sum(w.en.any() & (w.addr == port.addr) for w in writes) != 0)
        # The component's own elaboration; this platform would recurse forever.
        m.submodules.words = _Elaborated(Fragment.get(words, None))
        return m


class Colliding(wiring.Component):
    """A component made with such memories."""

    def __init__(self, core: wiring.Component) -> None:
        self._core = core
        super().__init__(core.signature)

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        fragment = Fragment.get(self._core, CollidingMemories())
        m.submodules.core = _Elaborated(fragment)
        for path, member, port in self._core.signature.flatten(self._core):
            own: Any = self
            for name in path:
                own = getattr(own, str(name))
            m.d.comb += port.eq(own) if member.flow is wiring.In else own.eq(port)
        return m


class _Elaborated(Elaboratable):
    def __init__(self, fragment: Fragment) -> None:
        self._fragment = fragment

    def elaborate(self, _platform: object) -> Fragment:
        return self._fragment
