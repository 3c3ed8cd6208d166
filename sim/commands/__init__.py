"""Commands that the simulation folder contributes to ``ninefold``."""
