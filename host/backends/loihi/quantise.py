"""Reason that Loihi does not run ``quantise``."""

__all__ = ["REASON"]

REASON = "its first step is a float32 product, and a membrane adds integers; mine quantises its queries on the host"
