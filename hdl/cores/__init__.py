"""Cores: one Amaranth component for each operator that runs on the fabric."""

from ninefold.hdl.cores.pipeline import Pipeline
from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.cores.similarity import SimilarityEngine
from ninefold.hdl.cores.topk import TopKMiner

__all__ = ["Pipeline", "Quantiser", "SimilarityEngine", "TopKMiner"]
