"""The documentation page on proofs, written from the catalogue."""

from __future__ import annotations

import textwrap

from ninefold.sim.formal.catalogue import PROOFS
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["page"]

_HEAD = """# Proofs

<!-- Written by `ninefold prove all --page`; change `sim/formal` instead. -->

`ninefold prove CORE` shows by SymbiYosys and Bitwuzla that a core keeps to its specification for all inputs and any
back-pressure, at the small parameters below; `pip install "ninefold[prove]"` brings both. A failure leaves a trace
(VCD) and names the assertion. Results are kept by the digest of design, specification, depth and tools.

- **k-induction** holds for ever: in the first cycles after reset, and in a cycle behind any so many cycles that kept to
  all assertions, invariants among them.
- **bounded** holds in that many cycles after reset, whatever the inputs; the depth is one in which whole batches and
  frames pass and others follow them. The invariants of these are still missing: what a cell of the top-k miner keeps
  is decided two cycles before, and what engine and stuffing have inside is spread over many stages and queues.
- **cover** shows that assumptions leave something to prove: what the specification names as worth seeing is reached,
  with a full queue, a second batch or a lost byte for instance.

Inputs are offered at any time and stand until they are accepted; outputs are accepted at any time, and every
specification asserts that an offer stands unchanged until then. Registers begin with their initial values. A memory
word that is read in the cycle in which it is written is arbitrary, unless its port promises otherwise: no proof below
needs one. Each proof has faults planted in its core that it must find (`tests/sim/test_formal.py`).

A part that is proved by itself is replaced, where its core is proved, by one that does anything that keeps to the
part's ports (`sim/formal/parts.py`). What one proof assumes of the parts around its core is what theirs prove; that
these fit together is read, not proved, and simulated with the miner as a whole. Nor is it proved that what waits goes
on, where no number of cycles is named.

| core | parameters | proof | method | cycles | cover reached in |
| --- | --- | --- | --- | ---: | ---: |
"""


def page() -> str:
    """Return the page as Markdown."""
    proofs = [proof for group in PROOFS.values() for proof in group]
    claims = [f"\n## {proof.core}: {proof.name}\n\n{_claim(proof)}\n" for proof in proofs]
    return _HEAD + "".join(map(_row, proofs)) + "".join(claims)


def _row(proof: Proof) -> str:
    parameters = ", ".join(f"{name} {value}" for name, value in proof.parameters.items())
    return f"| {proof.core} | {parameters} | {proof.name} | {proof.method} | {proof.depth} | {proof.cover} |\n"


def _claim(proof: Proof) -> str:
    claim = proof.claim[0].upper() + proof.claim[1:] + "."
    extent = "for ever" if proof.method is Method.INDUCTION else f"for {proof.depth} cycles after reset"
    return textwrap.fill(f"{claim} Proved {extent}.", 120)
