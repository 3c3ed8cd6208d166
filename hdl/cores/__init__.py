"""Cores: one file each, with the component and ``CORE``, by which `ninefold.hdl.catalogue` finds it."""
