"""Commands of ``ninefold`` for elaboration, synthesis, builds and exploration."""
