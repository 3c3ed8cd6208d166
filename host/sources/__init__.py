"""Where the entries of an index come from."""
