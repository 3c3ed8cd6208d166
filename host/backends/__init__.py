"""Backends that need no HDL, one package each."""
