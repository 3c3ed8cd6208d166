"""What every test process needs before the first test."""

import os
import signal

# Before NumPy is imported: with several test processes, threads inside each only wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A shell starts background jobs with SIGINT ignored, and children inherit that; some tests interrupt themselves or one.
signal.signal(signal.SIGINT, signal.default_int_handler)
