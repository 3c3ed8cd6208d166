"""Parts of the core `ninefold.hdl.cores.frame_receiver`."""
