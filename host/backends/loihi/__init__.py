"""The Loihi backend: search by spikes on nengo-loihi's emulator of the neuromorphic chip."""

from .device import Loihi

__all__ = ["REASON", "REASONS", "Loihi"]

#: Reason why an operator is not run, unless `REASONS` has a better one.
REASON = "no network of neurons is written for it"
REASONS = {
    "probe": "a database has 1,088 centroids, which the host scores before the chip has taken one spike",
    "calibrate": "the scale is chosen once per database by a floating-point search, before the chip is loaded",
    "embedding": "the sentence model is a floating-point transformer, and the chip adds integers",
    "memory": "its rows are float16 numbers, updated by float32 products, and a membrane adds small integers",
    "search6d": "its second stage is similarity6d, whose exponentials and quotients no membrane computes",
    "similarity6d": "it needs exponentials and quotients of floating-point numbers, and a membrane adds small integers",
    "batch_similarity": "it needs products and exponentials of floats, and a membrane adds small integers",
    "wave": "its numbers are floating-point, or integers of up to 64 bits, and a membrane adds small integers",
    "quantise": "its first step is a float32 product, and a membrane adds integers; "
    "mine quantises its queries on the host",
}
