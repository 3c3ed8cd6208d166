"""Reason that Loihi does not run ``embed``."""

__all__ = ["REASON"]

REASON = "the sentence model is a floating-point transformer, and the chip adds integers"
