"""Commands of ``ninefold`` for boards."""
