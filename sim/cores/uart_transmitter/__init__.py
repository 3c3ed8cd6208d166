"""Parts of the core `ninefold.hdl.cores.uart_transmitter`."""
