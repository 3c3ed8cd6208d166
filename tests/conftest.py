"""Set before NumPy is imported: with several test processes, threads inside each only wait for one another."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
