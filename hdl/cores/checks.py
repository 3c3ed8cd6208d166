"""Checks of the parameters that the cores are made with."""

from ninefold.spec.errors import InputError
from ninefold.spec.formats import MODES, Mode

__all__ = ["check_integer", "check_mode"]


def check_integer(name: str, value: object, low: int, high: int) -> int:
    """Return an integer parameter, or refuse it.

    Parameters
    ----------
    name : str
        What the message calls it.
    value : object
        The parameter as given.
    low, high : int
        The smallest and the largest allowed value.

    Returns
    -------
    int
        ``value``.

    Raises
    ------
    InputError
        ``value`` is not an integer of the range.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return value


def check_mode(mode: Mode) -> Mode:
    """Return a mode of the quantiser, or refuse it.

    Parameters
    ----------
    mode : Mode
        The mode as given, which may be anything.

    Returns
    -------
    Mode
        ``mode``.

    Raises
    ------
    InputError
        ``mode`` is none of ``ninefold.spec.formats.MODES``.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    return mode
