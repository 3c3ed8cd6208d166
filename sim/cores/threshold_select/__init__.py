"""Parts of the core `ninefold.hdl.cores.threshold_select`."""
