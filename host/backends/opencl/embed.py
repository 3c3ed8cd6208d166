"""embed: not run here."""

__all__ = ["REASON"]

REASON = "the sentence model runs through OpenVINO, which brings its own kernels for GPUs; none are written here"
