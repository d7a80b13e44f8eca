"""Card of a study or its plan: the grid, how far it is, results, and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, fold, frame_table
from featstore.errors import FeatstoreError
from featstore.numerals import plural
from featstore.study import Study, StudyPlan
from featstore.study.table import pivot, results, sheet

SHOWN_ROWS = 15


def headline(subject: Study | StudyPlan) -> str:
    """Count the cells of a plan by their state; of a study, the values of its axes."""
    if isinstance(subject, Study):
        return f"of {plural(len(subject.stores), 'store')}: {_axes(subject)}"
    counts = [f"{n:,} {state}" for state, n in subject.counts.items()]
    return ": ".join([plural(len(subject.cells), "cell"), *([", ".join(counts)] if counts else [])])


def card(subject: Study | StudyPlan) -> Card:
    """Show a study and where it stands; of one that cannot be planned, why."""
    if isinstance(subject, StudyPlan):
        return Card("StudyPlan", "", headline(subject), parts=_parts(subject))
    grid: dict[str, Cell] = {
        "stores": ", ".join(str(table["path"]) for table in _stores(subject)),
        "features": subject.features
        if isinstance(subject.features, str)
        else ", ".join(subject.features),
        "fusions": ", ".join(" + ".join(names) for names in subject.fusions),
        "probes": ", ".join(_name(variant) for variant in subject.variants()),
        "targets": ", ".join(subject.targets),
        "subsets": ", ".join(subject.subsets),
        "scalings": ", ".join(subject.scalings) if subject.scalings != ("none",) else "",
        "seeds": ", ".join(str(seed) for seed in subject.seeds),
        "settings": ", ".join(f"{key} = {value}" for key, value in subject.settings.items()),
        "single cells": len(subject.cells) or "",
        "left out": len(subject.excludes) or "",
    }
    try:
        plan = subject.plan()
    except FeatstoreError as error:
        return Card("Study", "", headline(subject), [str(error)], grid)
    return Card("Study", "", headline(plan), facts=grid, parts=_parts(plan))


def _parts(plan: StudyPlan) -> list[Markup]:
    parts = []
    found = results(plan)
    if len(found):
        laid = sheet(pivot(found), bold=("", ""))
        title = "results: first metric in percent, 95 % interval over test rows"
        parts.append(fold(title, frame_table(laid, limit=SHOWN_ROWS), opened=True))
    frame = plan.frame
    for state, opened in (("failed", True), ("pending", False)):
        chosen = frame[frame["state"] == state]
        if len(chosen):
            columns = ["features", "probe", "target", "scaling", "subset", "seed"]
            columns += ["error", "message"] if state == "failed" else []
            body = frame_table(chosen[columns], limit=SHOWN_ROWS)
            parts.append(fold(f"{len(chosen):,} {state}", body, opened=opened))
    return parts


def _stores(study: Study) -> Sequence[Mapping[str, Any]]:
    return [entry if isinstance(entry, Mapping) else {"path": entry} for entry in study.stores]


def _axes(study: Study) -> str:
    features = study.features if isinstance(study.features, str) else len(study.features)
    return f"{features} features × {plural(len(study.variants()), 'probe')} × " + plural(
        len(study.seeds), "seed"
    )


def _name(variant: Mapping[str, Any]) -> str:
    return str(variant.get("preset") or variant.get("probe") or "logistic")
