"""Host side of the link: codec, transports, board driver, programming."""
