"""Parts of the core `ninefold.hdl.cores.sign_engine`."""
