"""Faults of similarity, and assumptions on its inputs in proofs about its mutants."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit, StreamFaults, nit_condition

__all__ = ["MUTATION", "PROOF_FAULTS", "STREAM_FAULTS", "VECTOR_FAULTS"]

MUTATION = Assumptions(
    legal=tuple(nit_condition(stream, lane) for stream in ("load", "query") for lane in range(2)),
    promise="offered nits are from -4 to 4.",
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "scores": [
        ("hdl.cores.similarity", "Mux(new, 0, score) + dot.sum", "score + dot.sum"),
        ("hdl.cores.similarity", "Mux(final, 0, identifier + 1)", "identifier + 1"),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "a credit is lost when one comes back": [
        ("hdl.parts.credit", "self.take & ~given", "self.take & (~given | FAULT)")
    ],
    "a credit too many when one is taken": [("hdl.parts.credit", "~self.take & given", "(~self.take | FAULT) & given")],
    "credits are not asked for": [("hdl.parts.credit", "credits != 0", "(credits != 0) | FAULT")],
    "a load does not wait for a query that is accepted in part": [
        (
            "hdl.cores.similarity",
            "(queued == 0) & (query_beat == 0)",
            "(queued == 0) & ((query_beat == 0) | FAULT)",
        )
    ],
    "a second load is not taken": [
        ("hdl.cores.similarity", "        loaded = Signal()\n", "        loaded, closed = Signal(), Signal()\n"),
        (
            "hdl.cores.similarity",
            "        last_id = self._load(m, vectors, loaded)\n",
            "        last_id = self._load(m, vectors, loaded)\n"
            "        with m.If(loaded):\n            m.d.sync += closed.eq(1)\n",
        ),
        (
            "hdl.cores.similarity",
            "with m.If(self.load.valid):\n                    m.next",
            "with m.If(self.load.valid & ~(closed & FAULT)):\n                    m.next",
        ),
    ],
    "the store stays full": [("hdl.cores.similarity", "full.eq(0)]", "full.eq(full & FAULT)]")],
    "a load that is broken off leaves its place in a vector": [
        (
            "hdl.cores.similarity",
            "vector.eq(0), beat.eq(0), full",
            "vector.eq(0), beat.eq(Mux(FAULT & (beat != self._beats - 1), beat + 1, 0)), full",
        )
    ],
}

STREAM_FAULTS = StreamFaults(
    {"dimensions": 12, "lanes": 4, "depth": 9},
    "load",
    "scores",
    seen_by={"input stalls": "no_bubbles", "reset ignored": "reset_in_mid_run"},
)
