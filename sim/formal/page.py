"""Documentation page on proofs, generated from the catalogue."""

from __future__ import annotations

import textwrap

from ninefold.sim.formal.catalogue import proofs
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["page"]

_HEAD = """# Proofs

<!-- Written by `ninefold prove all --page`; change `sim/cores` or `sim/parts` instead. -->

`ninefold prove CORE` shows with SymbiYosys and Bitwuzla that a core meets its specification for all inputs and any
back-pressure, at the small parameters below. `pip install "ninefold[prove]"` installs both. A failure leaves a trace
(VCD) and names the assertion. Results are cached by the digest of design, specification, depth and tools.

- **k-induction** is an unbounded proof: all assertions hold in the first cycles after reset (base case), and in any
  cycle that follows this many cycles in which all assertions, invariants included, held (induction step).
- **bounded** proofs hold for this many cycles after reset, whatever the inputs. In that time whole batches and frames
  pass and others follow. Their invariants are still missing: what a cell of the top-k core keeps is decided two cycles
  earlier, and the state of the similarity engine and of COBS is spread over many stages and queues.
- **cover** guards against vacuous proofs: the interesting states are reachable under the assumptions, such as a full
  queue, a second batch or a lost byte.

Inputs are offered at any time and stay stable until they are accepted. Outputs are accepted at any time, and every
specification asserts that an offer stays stable until then. Registers start with their initial values. A memory word
that is read in the cycle in which it is written is arbitrary unless its port promises otherwise; no proof below relies
on it. Each proof must find faults planted in its core (`tests/sim/test_formal.py`). Faults are also planted at each
comparison in the sources of all cores, and a proof or a testbench must fail (see [Mutation](mutation.md)).

A part that has its own proof is replaced in the proof of its core by one that behaves arbitrarily within the rules of
the part's ports (`sim/formal/stand_ins.py`). The assumptions of one proof about neighbouring parts are what their
proofs show. That these fit together was reviewed, not proved, and is simulated with the whole miner. Liveness is not
proved unless a number of cycles is stated.

| core | parameters | proof | method | cycles | cover reached in |
| --- | --- | --- | --- | ---: | ---: |
"""


def page() -> str:
    """Return the page as Markdown."""
    found = [proof for group in proofs().values() for proof in group]
    claims = [f"\n## {proof.core}: {proof.name}\n\n{_claim(proof)}\n" for proof in found]
    return _HEAD + "".join(map(_row, found)) + "".join(claims)


def _row(proof: Proof) -> str:
    parameters = ", ".join(f"{name} {value}" for name, value in proof.parameters.items())
    return f"| {proof.core} | {parameters} | {proof.name} | {proof.method} | {proof.depth} | {proof.cover} |\n"


def _claim(proof: Proof) -> str:
    claim = proof.claim[0].upper() + proof.claim[1:] + "."
    extent = "all cycles" if proof.method is Method.INDUCTION else f"{proof.depth} cycles after reset"
    return textwrap.fill(f"{claim} Proved for {extent}.", 120)
