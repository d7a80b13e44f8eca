"""Analyses: predictions in, data frames out; nothing is refitted."""

from __future__ import annotations

from featstore.analysis.compare import Comparison, compare
from featstore.analysis.confusion import confusion
from featstore.analysis.granularity import granularity
from featstore.analysis.per_class import per_class

__all__ = ["Comparison", "compare", "confusion", "granularity", "per_class"]
