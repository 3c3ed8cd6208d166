"""The RTL backend."""
