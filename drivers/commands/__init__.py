"""Commands that the drivers contribute to ``ninefold``."""
