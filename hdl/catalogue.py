"""Catalogue of cores: constructors by command-line name, with plain parameters."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from amaranth.hdl import UnusedElaboratable
from amaranth.lib import wiring

from ninefold.hdl.cores.cobs_decoder import CobsDecoder
from ninefold.hdl.cores.cobs_encoder import CobsEncoder
from ninefold.hdl.cores.frame_receiver import FrameReceiver
from ninefold.hdl.cores.frame_sender import FrameSender
from ninefold.hdl.cores.insertion import Insertion
from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.cores.pipeline import Pipeline
from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.cores.similarity import Similarity
from ninefold.hdl.cores.topk import TopK
from ninefold.hdl.cores.uart_receiver import UartReceiver
from ninefold.hdl.cores.uart_transmitter import UartTransmitter
from ninefold.hdl.miner import MinerParameters
from ninefold.spec.errors import InputError
from ninefold.spec.formats import Mode

__all__ = ["CORES", "DEFAULTS", "make_core", "parameters_of"]

# Cores may be constructed only to inspect their ports, of which Amaranth would warn at exit.
warnings.filterwarnings("ignore", category=UnusedElaboratable)


def _queue(width: int, depth: int) -> Queue:
    return Queue(width, depth)


def _miner(
    dimensions: int,
    lanes: int,
    depth: int,
    k: int,
    mode: Mode,
    window: int,
    buffer_bytes: int,
    reply_bytes: int,
    clock_hz: int,
    count_from: int = 0,
) -> Miner:
    parameters = MinerParameters(dimensions, lanes, depth, k, clock_hz, mode, window, buffer_bytes, reply_bytes)
    return Miner(parameters, count_from)


#: Constructor of each core, by command-line name.
CORES: Mapping[str, Callable[..., wiring.Component]] = MappingProxyType(
    {
        "quantiser": Quantiser,
        "similarity": Similarity,
        "topk": TopK,
        "pipeline": Pipeline,
        "insertion": Insertion,
        "queue": _queue,
        "cobs_encoder": CobsEncoder,
        "cobs_decoder": CobsDecoder,
        "frame_sender": FrameSender,
        "frame_receiver": FrameReceiver,
        "uart_transmitter": UartTransmitter,
        "uart_receiver": UartReceiver,
        "miner": _miner,
    }
)


#: Default parameters on the command line.
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "quantiser": {"mode": "tanh", "lanes": 16},
        "similarity": {"dimensions": 384, "lanes": 64, "depth": 512, "registered": True},
        "topk": {"k": 8, "score_width": 16, "id_width": 10, "signed": True},
        "pipeline": {"mode": "tanh", "dimensions": 384, "lanes": 64, "depth": 512, "k": 16},
        "insertion": {"k": 8, "score_width": 16, "id_width": 10},
        "queue": {"width": 8, "depth": 16},
        "cobs_encoder": {"group": 254},
        "cobs_decoder": {"group": 254},
        "frame_sender": {},
        "frame_receiver": {"capacity": 2048, "frames": 8},
        "uart_transmitter": {"divisor": 8},
        "uart_receiver": {"divisor": 8},
        "miner": {
            "dimensions": 32,
            "lanes": 8,
            "depth": 64,
            "k": 8,
            "mode": "tanh",
            "window": 8,
            "buffer_bytes": 2048,
            "reply_bytes": 1024,
            "clock_hz": 100_000_000,
            "count_from": 0,
        },
    }
)


def parameters_of(name: str) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a core's constructor by name, in order.

    Raises
    ------
    InputError
        There is no core with this name.
    """
    if name not in CORES:
        raise InputError(f"core must be one of {', '.join(CORES)}, not {name!r}")
    return inspect.signature(CORES[name]).parameters


def make_core(name: str, **parameters: Any) -> wiring.Component:
    """Construct a core.

    Parameters
    ----------
    name : str
        Name of the core, one of ``CORES``.
    **parameters
        Parameters of the core.

    Returns
    -------
    wiring.Component
        The core.

    Raises
    ------
    InputError
        The core or a parameter is unknown, a parameter is missing, or a value is not allowed.
    """
    known = parameters_of(name)
    unknown = [given for given in parameters if given not in known]
    if unknown:
        takes = f"its parameters are {', '.join(known)}" if known else "it has no parameters"
        raise InputError(f"{name} does not take {', '.join(unknown)}; {takes}")
    missing = [p.name for p in known.values() if p.default is p.empty and p.name not in parameters]
    if missing:
        raise InputError(f"{name} needs {', '.join(missing)}; its parameters are {', '.join(known)}")
    return CORES[name](**parameters)
