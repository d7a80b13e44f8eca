"""Studies: grids of stores, features, probes, subsets, seeds and targets, run resumably."""

from featstore.study.plan import StudyPlan
from featstore.study.study import Study

__all__ = ["Study", "StudyPlan"]
