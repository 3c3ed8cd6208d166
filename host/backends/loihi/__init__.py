"""The Loihi backend: search by spikes on nengo-loihi's emulator of the neuromorphic chip."""

from .device import Loihi

__all__ = ["Loihi"]
