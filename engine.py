"""What the operators of the processor compute with: compiled code, OpenVINO, or NumPy alone."""

from dataclasses import dataclass

from .kernel import Kernel
from .openvino_products import PackedProducts

__all__ = ["Engine", "blocks"]


@dataclass(frozen=True)
class Engine:
    """One path of the processor.

    An operator uses `kernel` if there is one and it has compiled code, else `openvino` if that helps, else NumPy.

    Attributes
    ----------
    path : str
        Name of the path in results.
    kernel : Kernel or None
        Compiled code, on the paths of the kernel.
    openvino : PackedProducts or None
        Products by OpenVINO, on the path ``openvino``.
    """

    path: str
    kernel: Kernel | None = None
    openvino: PackedProducts | None = None


def blocks(total: int, step: int) -> list[slice]:
    """Return slices of at most `step` that cover `total`."""
    return [slice(i, min(i + step, total)) for i in range(0, total, step)]
