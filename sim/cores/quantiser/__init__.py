"""Parts of the core `ninefold.hdl.cores.quantiser`."""
