"""Tables for papers: one call each, from runs, results or stores.

Every function returns a `featstore.typeset.Table`, which renders itself as Markdown
(``to_markdown``), LaTeX (``to_latex``), CSV (``to_csv``) and a data frame (``to_frame``), and is
written as a suffix says (``save("table.tex")``).
"""

from __future__ import annotations

from featstore.tables.amounts import few_shot, quantity
from featstore.tables.changed_classes import changed_classes
from featstore.tables.comparison import comparison
from featstore.tables.corruption_drop import corruption_drop
from featstore.tables.cross_domain import cross_domain
from featstore.tables.fusion import fusion
from featstore.tables.granularity import granularity
from featstore.tables.leaderboard import leaderboard
from featstore.tables.per_class import per_class
from featstore.tables.similarity import similarity
from featstore.typeset import Column, Table

__all__ = [
    "Column",
    "Table",
    "changed_classes",
    "comparison",
    "corruption_drop",
    "cross_domain",
    "few_shot",
    "fusion",
    "granularity",
    "leaderboard",
    "per_class",
    "quantity",
    "similarity",
]
