"""Lazy, silent import of nengo-loihi, adapted to NumPy 2."""

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from ninefold.spec.errors import DeviceError, UnavailableError

__all__ = ["INSTALL", "NumpyView", "failures", "installed", "library"]

INSTALL = "pip install 'ninefold[loihi]'"


class NumpyView(ModuleType):
    """NumPy for nengo-loihi 1.1.0, in which ``np.array(..., copy=False)`` copies if necessary.

    NumPy 2 raises an error instead, and spells the old behaviour ``copy=None``. Everything else is NumPy's own.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def array(*arguments: Any, copy: bool | None = True, **keywords: Any) -> Any:
        """Call ``numpy.array`` with ``copy=None`` instead of ``copy=False``."""
        return np.array(*arguments, copy=copy or None, **keywords)


def installed() -> bool:
    """Return True if nengo-loihi is installed, without importing it."""
    return importlib.util.find_spec("nengo_loihi") is not None


@cache
def library() -> SimpleNamespace:
    """Import the parts of nengo-loihi that describe a chip and emulate it.

    Returns
    -------
    SimpleNamespace
        ``LoihiBlock``, ``Axon``, ``Synapse``, ``SpikeInput``, ``Model``, ``validate_model``, ``discretize_weights``,
        ``NengoException``, ``csr_matrix`` and ``Emulator``, the emulator in strict mode, which raises if the chip would
        overflow.

    Raises
    ------
    UnavailableError
        The package is missing or does not import.
    """
    if not installed():
        raise UnavailableError("the package nengo-loihi is not installed", INSTALL)
    try:
        # It warns about every nengo newer than itself.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block, neurons, inputs, model, validate, discretize, emulator, exceptions, sparse = (
                importlib.import_module(name)
                for name in (
                    "nengo_loihi.block",
                    "nengo_loihi.neurons",
                    "nengo_loihi.inputs",
                    "nengo_loihi.builder.builder",
                    "nengo_loihi.builder.validate",
                    "nengo_loihi.builder.discretize",
                    "nengo_loihi.emulator.interface",
                    "nengo.exceptions",
                    "scipy.sparse",
                )
            )
    except ImportError as error:
        raise UnavailableError(f"nengo-loihi is installed but does not import: {error}", INSTALL) from error
    # The only two modules that use copy=False; NumPy itself is not changed.
    for module in (block, neurons):
        vars(module)["np"] = NumpyView("numpy")
    return SimpleNamespace(
        LoihiBlock=block.LoihiBlock,
        Axon=block.Axon,
        Synapse=block.Synapse,
        SpikeInput=inputs.SpikeInput,
        Model=model.Model,
        validate_model=validate.validate_model,
        discretize_weights=discretize.discretize_weights,
        NengoException=exceptions.NengoException,
        csr_matrix=sparse.csr_matrix,
        Emulator=type("Emulator", (emulator.EmulatorInterface,), {"strict": True}),
    )


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Convert nengo-loihi's errors into a `DeviceError` of one line."""
    try:
        yield
    except (library().NengoException, AssertionError) as error:
        text = str(error).splitlines() or [type(error).__name__]
        raise DeviceError(f"the Loihi emulator failed: {text[0]}") from error
