"""Distribution of a pulse to places all over a device."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["NEAR", "relay", "relays_to"]

#: Maximum number of places, such as groups of lanes, that one register reaches in a cycle.
NEAR = 8
#: Number of places that each intermediate register serves.
_NEIGHBOURS = 4


def relays_to(places: int) -> int:
    """Return the number of relay stages to reach this many places: 2 for more than `NEAR` places, else 0."""
    return 0 if places <= NEAR else 2


def relay(m: Module, name: str, pulse: Value, places: int, relays: int) -> list[Value]:
    """Return a pulse for each place, delayed by one cycle per relay stage.

    Each place has its own last relay; the first of two is shared by several consecutive places. A relay signals a pulse
    by a change of level, because synthesis would merge identical registers.

    Parameters
    ----------
    m : Module
        Module to which the relays are added.
    name : str
        Prefix of register names: ``{name}_0`` and ``{name}_before_0`` for the first place; shared registers have
        ``region`` before the number.
    pulse : Value
        Pulse of one bit, from a register.
    places : int
        Number of places.
    relays : int
        Number of relay stages, 0 to 2.
    """
    if relays == 0:
        return [pulse] * places
    if relays == 1:
        return [_pass_on(m, name, str(i), pulse) for i in range(places)]
    regions = [_pass_on(m, name, f"region_{i}", pulse) for i in range(-(-places // _NEIGHBOURS))]
    return [_pass_on(m, name, str(i), regions[i // _NEIGHBOURS]) for i in range(places)]


def _pass_on(m: Module, name: str, place: str, pulse: Value) -> Value:
    """Return the pulse delayed by one cycle."""
    changes, before = Signal(name=f"{name}_{place}"), Signal(name=f"{name}_before_{place}")
    m.d.sync += [changes.eq(changes ^ pulse), before.eq(changes)]
    return changes ^ before
