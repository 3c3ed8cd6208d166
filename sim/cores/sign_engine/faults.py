"""Faults of the sign engine, and assumptions on its inputs in proofs about its mutants."""

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
        ("hdl.cores.sign_engine", "score.eq(0)", "score.eq(score)"),
        ("hdl.cores.sign_engine", "wait = self._store().latency - 1", "wait = self._store().latency"),
        ("hdl.cores.sign_engine", "slot.eq(~slot), rest.eq(0)]", "rest.eq(0)]"),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "a credit is lost when one comes back": [
        ("hdl.parts.credit", "self.take & ~given", "self.take & (~given | FAULT)")
    ],
    "a load does not wait for a query that is accepted in part": [
        (
            "hdl.cores.sign_engine",
            "(queued == 0) & (query_word == 0)",
            "(queued == 0) & ((query_word == 0) | FAULT)",
        )
    ],
    "a load does not wait for queries": [("hdl.cores.sign_engine", "(queued == 0) &", "((queued == 0) | FAULT) &")],
    "the store stays full": [("hdl.cores.sign_engine", "full.eq(0)]", "full.eq(full & FAULT)]")],
    "a load that is broken off leaves its place in a row": [
        (
            "hdl.cores.sign_engine",
            "piece.eq(0), full",
            "piece.eq(Mux(FAULT & (piece != self.dimensions // self.width - 1), piece + 1, 0)), full",
        )
    ],
    "a load that is broken off leaves its place in a part of the store": [
        ("hdl.cores.sign_engine", "m.d.sync += count.eq(0)\n", "m.d.sync += count.eq(Mux(FAULT, count + 1, 0))\n")
    ],
    "a pass ends where the load before did": [
        (
            "hdl.cores.sign_engine",
            "[last_word.eq(word), last",
            "[last_word.eq(Mux(FAULT, last_word | word, word)), last",
        )
    ],
}

STREAM_FAULTS = StreamFaults(
    {"dimensions": 8, "lanes": 16, "depth": 11, "width": 4, "passes": 1},
    "load",
    "scores",
    seen_by={"input stalls": "no_bubbles", "reset ignored": "reset_in_mid_run"},
)
