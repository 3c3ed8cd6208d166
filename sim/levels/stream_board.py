"""Board level of a core: its plain vectors on a board of design stream, real or simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ninefold.drivers.stream_core import BoardCore, interface_of, open_board_core
from ninefold.hdl.stream_board.configurations import VIRTUAL
from ninefold.sim.levels.case import Beats, Case, Reading
from ninefold.spec.errors import DeviceError, InputError, UnsupportedError
from ninefold.spec.streams import StreamLayout
from ninefold.spec.text import counted

__all__ = ["on_stream_board"]


def on_stream_board(case: Case, core: str, parameters: Mapping[str, Any]) -> Case:
    """Return the case of a core with a board that holds the core alone.

    Parameters
    ----------
    case : Case
        The case.
    core : str
        Name or path of the core.
    parameters : mapping
        All parameters of the core.
    """
    return replace(
        case, board=partial(_answers, case), opens=partial(_opened, case, core, parameters), answers_all=True
    )


def _opened(case: Case, core: str, parameters: Mapping[str, Any], place: str) -> BoardCore:
    try:
        known = {one.name for one in interface_of(core, parameters).streams}
        if strange := {name for step in case.steps for name in (*step.inputs, *step.outputs)} - known:
            raise UnsupportedError(
                f"the vectors are of a testbench around the core: the core alone has no {', '.join(sorted(strange))}"
            )
        return open_board_core(core, f"board:{place}", parameters)
    except InputError as error:
        if place != VIRTUAL:  # which may be what is wrong
            raise
        raise UnsupportedError(f"the virtual board cannot hold it: {error}") from error


def _answers(case: Case, board: BoardCore) -> Reading:
    """Send the plain vectors, and read all payloads that come."""
    client = board.client
    layouts = {one.name: one for one in client.streams}
    plain = [step for step in case.steps if not step.number]
    due = {name: sum(len(step.outputs.get(name, ())) for step in plain) for name in case.expected()}
    came: dict[str, list[Beats]] = {name: [] for name in due}
    client.reset()
    for step in plain:
        if step.reset:
            client.reset()
        sent = {name: _payloads(layouts[name], beats) for name, beats in step.inputs.items()}
        for name, payloads in client.exchange(sent).items():
            came[name].append(_beats(layouts[name], payloads))
    found = {name: np.concatenate(parts) for name, parts in came.items()}
    reading = case.read(found)
    for name, count in due.items():
        if len(found[name]) > count:
            gave = counted(len(found[name]), "payload")
            raise DeviceError(f"the board gave {gave} of {name}, where {count} are right")
    return reading


def _payloads(layout: StreamLayout, beats: Beats) -> Beats:
    """Return beats as payloads of the link: the fields in whole bytes, then a byte for ``last``."""
    data = beats[:, : layout.data_bytes].copy()
    if not layout.last:
        return data
    byte, bit = divmod(layout.bits, 8)
    last = beats[:, byte] >> bit & 1
    if bit:
        data[:, byte] &= (1 << bit) - 1
    return np.concatenate([data, last[:, None]], axis=1)


def _beats(layout: StreamLayout, payloads: Beats) -> Beats:
    """Return payloads of the link as beats: the inverse of `_payloads`."""
    if not layout.last:
        return payloads
    byte, bit = divmod(layout.bits, 8)
    beats = np.zeros((len(payloads), byte + 1), np.uint8)
    beats[:, : layout.data_bytes] = payloads[:, :-1]
    beats[:, byte] |= (payloads[:, -1] & 1) << bit
    return beats
