"""Domains: features against data sets, from a result of `featstore cross-domain`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from featstore import plots
from featstore.cross_domain_table import CrossDomain
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.figure import figure
from featstore.numerals import plural

_LEVEL = 0.95
_NUMBERS = ["value", "low", "high", "rank", "gap", "gap_low", "gap_high"]


def cross_domain_exhibit(key: str, document: dict[str, Any]) -> Exhibit:
    """Show a table of features and data sets.

    Parameters
    ----------
    key
        The exhibit's anchor.
    document
        protocol, rule, notes, cells, features, datasets, as of
        `featstore.cross_domain_table.CrossDomain`.
    """
    cells = pd.DataFrame(document["cells"])
    table = CrossDomain(
        # Null where there is no run.
        cells=cells.astype(dict.fromkeys(_NUMBERS, float)).astype({"in_domain": object}),
        features=pd.DataFrame(document["features"]).astype({"mean_rank": float}),
        datasets=pd.DataFrame(document["datasets"]),
        protocol=document["protocol"],
        notes=tuple(document["notes"]),
        level=_LEVEL,
    )
    texts = table.texts()
    return Exhibit(
        key=key,
        heading="Features across data sets",
        sentences=[_sentence(table)],
        figures=[
            figure(
                plots.cross_domain(table),
                key=f"{key}-map",
                caption="Features against data sets, each column from its worst (pale) to its best",
            )
        ],
        sheets=[sheet("Features across data sets, %", texts, text=["feature", "pretrained on"])],
        note=". ".join([table.protocol, document["rule"], *table.notes]) + ".",
    )


def _sentence(table: CrossDomain) -> str:
    """Who is highest most often, and what is missing."""
    cells, n = table.cells, len(table.datasets)
    highest = cells.loc[cells["gap"] == 0, "feature"].value_counts()
    if highest.empty:
        return f"Over {plural(n, 'data set')} no feature has a run."
    lead = str(highest.index[0])
    told = f"Over {plural(n, 'data set')}, {lead} is highest on {highest.iloc[0]}"
    rank = table.features.set_index("feature")["mean_rank"][lead]
    told += "" if pd.isna(rank) else f", with a mean rank of {rank:.2f}"
    missing = len(table.gaps)
    told += f"; {plural(missing, 'cell')} without a run" if missing else ""
    return f"{told}."
