"""Parts of the core `ninefold.hdl.cores.cobs_encoder`."""
