"""Bytes to a device and back: protocol codec, transports, register access, programming."""
