"""Analyses: predictions in, data frames out; nothing is refitted."""

from __future__ import annotations

from featstore.analysis.coarsening import coarsen
from featstore.analysis.compare import Comparison, compare
from featstore.analysis.confusion import confusion
from featstore.analysis.granularity import granularity
from featstore.analysis.granularity_gap import GranularityGap, granularity_gap
from featstore.analysis.per_class import per_class
from featstore.analysis.severity import severity
from featstore.analysis.trained_coarse import trained_coarse

__all__ = [
    "Comparison",
    "GranularityGap",
    "coarsen",
    "compare",
    "confusion",
    "granularity",
    "granularity_gap",
    "per_class",
    "severity",
    "trained_coarse",
]
