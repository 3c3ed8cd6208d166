"""The cores: one Amaranth component for each operator of the fabric."""

import inspect
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from amaranth.hdl import UnusedElaboratable
from amaranth.lib import wiring

from ninefold.hdl.cores.pipeline import Pipeline
from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.cores.similarity import SimilarityEngine
from ninefold.hdl.cores.topk import TopKMiner
from ninefold.spec.errors import InputError

__all__ = [
    "CORES",
    "DEFAULTS",
    "Pipeline",
    "Quantiser",
    "SimilarityEngine",
    "TopKMiner",
    "make_core",
    "parameters_of",
]

# Looking at a core's ports, or being refused one, is a use of it here; Amaranth would warn of it at exit.
warnings.filterwarnings("ignore", category=UnusedElaboratable)

#: The cores by the names of the command line.
CORES: Mapping[str, type[wiring.Component]] = MappingProxyType(
    {"quantiser": Quantiser, "similarity": SimilarityEngine, "topk": TopKMiner, "pipeline": Pipeline}
)


#: Parameters that the command line fills in when they are left out.
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "quantiser": {"mode": "tanh", "lanes": 16},
        "similarity": {"dimensions": 384, "lanes": 64, "depth": 512},
        "topk": {"k": 8, "score_width": 16, "id_width": 10, "signed": True},
        "pipeline": {"mode": "tanh", "dimensions": 384, "lanes": 64, "depth": 512, "k": 16},
    }
)


def parameters_of(name: str) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a core by name, in the order of its ``__init__``.

    Raises
    ------
    InputError
        There is no core of that name.
    """
    if name not in CORES:
        raise InputError(f"core must be one of {', '.join(CORES)}, not {name!r}")
    return inspect.signature(CORES[name]).parameters


def make_core(name: str, **parameters: Any) -> wiring.Component:
    """Make a core.

    Parameters
    ----------
    name : str
        One of ``CORES``.
    **parameters
        Parameters of the core.

    Returns
    -------
    wiring.Component
        The core.

    Raises
    ------
    InputError
        For an unknown core, a parameter that it does not take or that is missing, and a value outside what is allowed.
    """
    known = parameters_of(name)
    unknown = [given for given in parameters if given not in known]
    if unknown:
        raise InputError(f"{name} does not take {', '.join(unknown)}; its parameters are {', '.join(known)}")
    missing = [p.name for p in known.values() if p.default is p.empty and p.name not in parameters]
    if missing:
        raise InputError(f"{name} needs {', '.join(missing)}; its parameters are {', '.join(known)}")
    return CORES[name](**parameters)
