"""Public API, backends that need no HDL, embedding, index, and the command line's frame."""
