"""Parts of the core `ninefold.hdl.cores.wave_lattice`."""
