"""The way of a pulse to places all over a device."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["NEAR", "relay", "relays_to"]

#: Places, such as groups of lanes, that one register reaches in a cycle.
NEAR = 8
#: Places that a register on the way to more of them has behind it.
_NEIGHBOURS = 4


def relays_to(places: int) -> int:
    """Return how many relays stand between a register and that many places: 2 if they are more than `NEAR`, else 0."""
    return 0 if places <= NEAR else 2


def relay(m: Module, name: str, pulse: Value, places: int, relays: int) -> list[Value]:
    """Return for each of some places a pulse that is high as many cycles after the given one as there are relays.

    The last relay of each place is its own, the first of two is shared by a few places that follow each other. A relay
    tells of a pulse by a change: registers alike would be merged.

    Parameters
    ----------
    m : Module
        Gets the relays.
    name : str
        Of the registers: ``{name}_0`` and ``{name}_before_0`` for the first place; those that are shared have
        ``region`` before the number.
    pulse : Value
        A bit, from a register.
    places : int
        How many.
    relays : int
        0 to 2.
    """
    if relays == 0:
        return [pulse] * places
    if relays == 1:
        return [_pass_on(m, name, str(i), pulse) for i in range(places)]
    regions = [_pass_on(m, name, f"region_{i}", pulse) for i in range(-(-places // _NEIGHBOURS))]
    return [_pass_on(m, name, str(i), regions[i // _NEIGHBOURS]) for i in range(places)]


def _pass_on(m: Module, name: str, place: str, pulse: Value) -> Value:
    """Return the pulse a cycle later."""
    changes, before = Signal(name=f"{name}_{place}"), Signal(name=f"{name}_before_{place}")
    m.d.sync += [changes.eq(changes ^ pulse), before.eq(changes)]
    return changes ^ before
