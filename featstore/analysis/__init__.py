"""Analyses: predictions or features in, data frames out.

No probe is fitted to labels; `classifier_two_sample` fits one to tell two samples apart.
"""

from __future__ import annotations

from featstore.analysis.aligned_runs import AlignedRuns, align
from featstore.analysis.all_pairs import AllPairs, all_pairs
from featstore.analysis.calibration import calibration, classwise_ece
from featstore.analysis.cca import pwcca, svcca
from featstore.analysis.changed_classes import changed_classes
from featstore.analysis.cka import linear_cka, minibatch_cka
from featstore.analysis.class_averages import class_averages
from featstore.analysis.coarsening import coarsen
from featstore.analysis.compare import Comparison, compare
from featstore.analysis.confident_joint import ConfidentJoint
from featstore.analysis.confusion import confusion
from featstore.analysis.corruption_drop import CorruptionDrop, corruption_drop
from featstore.analysis.critical_difference import CriticalDifference, critical_difference
from featstore.analysis.crossing import Crossing, crossing
from featstore.analysis.difficulty import Difficulty, difficulty
from featstore.analysis.doubling import doubling
from featstore.analysis.duplicate_threshold import suggested_threshold
from featstore.analysis.frechet import frechet_distance, random_frechet
from featstore.analysis.friedman import Friedman, friedman
from featstore.analysis.gains import Gains, gains
from featstore.analysis.granularity import granularity
from featstore.analysis.granularity_gap import GranularityGap, granularity_gap
from featstore.analysis.group_gains import group_gains
from featstore.analysis.kin_confusion import kin_confusion
from featstore.analysis.label_noise import LabelNoise, label_noise
from featstore.analysis.label_shift import LabelShift, label_shift
from featstore.analysis.labels_needed import LabelsNeeded, labels_needed
from featstore.analysis.leak_effect import leak_effect
from featstore.analysis.linear_map import linear_map_r2
from featstore.analysis.mmd import MMD, mmd
from featstore.analysis.mutual_neighbours import mutual_knn
from featstore.analysis.near_duplicates import NearDuplicates, near_duplicates
from featstore.analysis.per_class import per_class
from featstore.analysis.reliability import reliability
from featstore.analysis.seeds_and_draws import SeedsAndDraws, seeds_and_draws
from featstore.analysis.severity import severity
from featstore.analysis.shift import shift
from featstore.analysis.similarity import SimilaritySettings, similarity
from featstore.analysis.temperature import fit_temperature, with_temperature
from featstore.analysis.trained_coarse import trained_coarse
from featstore.analysis.two_sample import TwoSample, classifier_two_sample

__all__ = [
    "MMD",
    "AlignedRuns",
    "AllPairs",
    "Comparison",
    "ConfidentJoint",
    "CorruptionDrop",
    "CriticalDifference",
    "Crossing",
    "Difficulty",
    "Friedman",
    "Gains",
    "GranularityGap",
    "LabelNoise",
    "LabelShift",
    "LabelsNeeded",
    "NearDuplicates",
    "SeedsAndDraws",
    "SimilaritySettings",
    "TwoSample",
    "align",
    "all_pairs",
    "calibration",
    "changed_classes",
    "class_averages",
    "classifier_two_sample",
    "classwise_ece",
    "coarsen",
    "compare",
    "confusion",
    "corruption_drop",
    "critical_difference",
    "crossing",
    "difficulty",
    "doubling",
    "fit_temperature",
    "frechet_distance",
    "friedman",
    "gains",
    "granularity",
    "granularity_gap",
    "group_gains",
    "kin_confusion",
    "label_noise",
    "label_shift",
    "labels_needed",
    "leak_effect",
    "linear_cka",
    "linear_map_r2",
    "minibatch_cka",
    "mmd",
    "mutual_knn",
    "near_duplicates",
    "per_class",
    "pwcca",
    "random_frechet",
    "reliability",
    "seeds_and_draws",
    "severity",
    "shift",
    "similarity",
    "suggested_threshold",
    "svcca",
    "trained_coarse",
    "with_temperature",
]
