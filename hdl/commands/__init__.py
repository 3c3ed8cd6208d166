"""Commands that the HDL folder contributes to ``ninefold``."""
