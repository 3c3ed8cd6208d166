"""The Loihi backend: search by spikes on a model of the neuromorphic chip, with nengo-loihi's emulator."""

from .device import Loihi

__all__ = ["Loihi"]
