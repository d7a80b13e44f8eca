"""Plots: runs, results or data frames in, matplotlib axes out, without pyplot's global state.

Every function draws on `ax`, or on a new figure of a fitting size, and returns the axes.
``with style("cvpr"):`` gives figures the widths, fonts and sizes of a venue; ``save(ax, path)``
writes PDF, SVG or PNG; ``to_svg(ax.figure)`` gives text to embed in a page, legible on a light and
on a dark ground.  Colours are those of Okabe & Ito, and every line has a marker of its own as well.
"""

from __future__ import annotations

from featstore.plots.class_averages import class_averages
from featstore.plots.confusion import confusion
from featstore.plots.corruption_drop import corruption_drop
from featstore.plots.critical_difference import critical_difference, pairwise_groups
from featstore.plots.cross_domain import cross_domain
from featstore.plots.difficulty import difficulty
from featstore.plots.doubling import doubling
from featstore.plots.duplicates import duplicates
from featstore.plots.few_shot import few_shot
from featstore.plots.gain_curve import gain_curve
from featstore.plots.granularity import granularity
from featstore.plots.granularity_gap import granularity_gap
from featstore.plots.group_gains import group_gains
from featstore.plots.kin_confusion import kin_confusion
from featstore.plots.label_noise import label_noise
from featstore.plots.leaderboard import leaderboard
from featstore.plots.per_class import per_class
from featstore.plots.quantity import quantity
from featstore.plots.reliability import reliability
from featstore.plots.saving import save
from featstore.plots.seeds_and_draws import seeds_and_draws
from featstore.plots.selection_curve import selection_curve
from featstore.plots.shift import shift
from featstore.plots.similarity import similarity
from featstore.plots.style import style
from featstore.plots.svg import to_svg

__all__ = [
    "class_averages",
    "confusion",
    "corruption_drop",
    "critical_difference",
    "cross_domain",
    "difficulty",
    "doubling",
    "duplicates",
    "few_shot",
    "gain_curve",
    "granularity",
    "granularity_gap",
    "group_gains",
    "kin_confusion",
    "label_noise",
    "leaderboard",
    "pairwise_groups",
    "per_class",
    "quantity",
    "reliability",
    "save",
    "seeds_and_draws",
    "selection_curve",
    "shift",
    "similarity",
    "style",
    "to_svg",
]
