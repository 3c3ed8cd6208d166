"""Parts of the core `ninefold.hdl.cores.phase_hash`."""
