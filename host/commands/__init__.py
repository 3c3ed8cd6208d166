"""Commands that the host folder contributes to ``ninefold``."""
