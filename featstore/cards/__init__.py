"""Cards: how stores, features, runs, taxonomies, studies and results look in a notebook.

`featstore.displayed.Displayed` calls this package by name: the core does not import it.
"""

from __future__ import annotations

import importlib
from types import ModuleType

#: Class -> module with ``card(subject)`` and ``headline(subject)``; other results share one.
_HOMES = {
    "AllPairs": "all_pairs",
    "Comparison": "comparison",
    "FeatureInfo": "feature",
    "FeatureStore": "store",
    "FewShot": "curve",
    "FusionTable": "fusion",
    "GranularityGap": "gap",
    "ProbeRun": "run",
    "Quantity": "curve",
    "Study": "study",
    "StudyPlan": "study",
    "Taxonomy": "taxonomy",
}


def html(subject: object) -> str:
    """Return the HTML that a notebook shows for an object of featstore."""
    found: str = _home(subject).card(subject).html()
    return found


def line(subject: object) -> str:
    """Return the line that a terminal shows for an object of featstore."""
    return f"<{type(subject).__name__} {_home(subject).headline(subject)}>"


def _home(subject: object) -> ModuleType:
    names = (_HOMES[kind.__name__] for kind in type(subject).__mro__ if kind.__name__ in _HOMES)
    return importlib.import_module(f"featstore.cards.{next(names, 'result')}")
