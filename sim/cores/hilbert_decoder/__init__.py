"""Parts of the core `ninefold.hdl.cores.hilbert_decoder`."""
