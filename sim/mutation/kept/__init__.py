"""Samples of mutants (``CORE.txt``), and what was found of them in the last full run that was kept (``CORE.json``)."""
