"""Checks of the parameters of cores."""

from ninefold.spec.errors import InputError
from ninefold.spec.formats import MODES, Mode

__all__ = ["check_integer", "check_mode"]


def check_integer(name: str, value: object, low: int, high: int) -> int:
    """Check an integer parameter and return it.

    Parameters
    ----------
    name : str
        Name in the error message.
    value : object
        Value of the parameter.
    low, high : int
        Smallest and largest allowed value.

    Returns
    -------
    int
        ``value``.

    Raises
    ------
    InputError
        ``value`` is not an integer in the range.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return value


def check_mode(mode: Mode) -> Mode:
    """Check a mode of the quantiser and return it.

    Parameters
    ----------
    mode : Mode
        Mode to check.

    Returns
    -------
    Mode
        ``mode``.

    Raises
    ------
    InputError
        ``mode`` is not in ``ninefold.spec.formats.MODES``.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    return mode
