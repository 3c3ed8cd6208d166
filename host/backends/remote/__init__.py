"""The backend ``remote``: devices of other machines, by the servers that `ninefold serve` runs there."""

from .device import Remote, RemoteDevice
from .servers import FILE, VARIABLE, RemoteServer, servers

__all__ = ["FILE", "VARIABLE", "Remote", "RemoteDevice", "RemoteServer", "servers"]
