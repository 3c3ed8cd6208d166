"""Samples of mutants, and what was found of them and of faults at comparisons in the last run that was kept.

``CORE.txt`` is the sample of a core, ``CORE.json`` what was found of it; ``comparisons.json`` has the faults.
"""
