"""Analyses: predictions or features in, data frames out; no probe is fitted."""

from __future__ import annotations

from featstore.analysis.cca import pwcca, svcca
from featstore.analysis.cka import linear_cka, minibatch_cka
from featstore.analysis.coarsening import coarsen
from featstore.analysis.compare import Comparison, compare
from featstore.analysis.confusion import confusion
from featstore.analysis.crossing import Crossing, crossing
from featstore.analysis.doubling import doubling
from featstore.analysis.granularity import granularity
from featstore.analysis.granularity_gap import GranularityGap, granularity_gap
from featstore.analysis.labels_needed import LabelsNeeded, labels_needed
from featstore.analysis.linear_map import linear_map_r2
from featstore.analysis.mutual_neighbours import mutual_knn
from featstore.analysis.per_class import per_class
from featstore.analysis.severity import severity
from featstore.analysis.similarity import SimilaritySettings, similarity
from featstore.analysis.trained_coarse import trained_coarse

__all__ = [
    "Comparison",
    "Crossing",
    "GranularityGap",
    "LabelsNeeded",
    "SimilaritySettings",
    "coarsen",
    "compare",
    "confusion",
    "crossing",
    "doubling",
    "granularity",
    "granularity_gap",
    "labels_needed",
    "linear_cka",
    "linear_map_r2",
    "minibatch_cka",
    "mutual_knn",
    "per_class",
    "pwcca",
    "severity",
    "similarity",
    "svcca",
    "trained_coarse",
]
