"""Noisy: labels that may be wrong, from a result of `featstore label-noise`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from featstore import plots
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.figure import Figure, figure
from featstore.html_report.numbers import hundredths
from featstore.numerals import percent, plural

LISTED = 20
"""Candidates in the table; the file has all."""


def label_noise_exhibit(key: str, document: dict[str, Any]) -> Exhibit:
    """Show which labels are doubted.

    Parameters
    ----------
    key
        The exhibit's anchor.
    document
        run, rows, noise_rate, pairs, labels: as `featstore label-noise` writes them.
    """
    labels, pairs = (pd.DataFrame(document[frame]) for frame in ("labels", "pairs"))
    flagged = labels[labels["confident"]]
    voted = "disputed" in labels
    candidates = flagged[flagged["disputed"]] if voted else flagged
    told = (
        f"{document['run']}: {len(flagged):,} of {plural(len(labels), document['rows'] + ' row')} "
        "confidently belong to another class than their label"
    )
    if voted:
        told += f", {len(candidates):,} of them disputed by their neighbours too"
    told += f"; an estimated {percent(document['noise_rate'])} of the labels are wrong"
    shown = candidates.head(LISTED)
    table = pd.DataFrame(
        {
            "id": shown["id"],
            "label": shown["label"],
            "rather": shown["suggested"],
            "label, %": shown["p_label"].map(hundredths),
            "rather, %": shown["p_suggested"].map(hundredths),
            **({"neighbours for the label, %": _votes(shown)} if voted else {}),
        }
    )
    drawn = [] if pairs.empty else [_drawn(key, pairs, document["noise_rate"])]
    return Exhibit(
        key=key,
        heading="Label noise",
        sentences=[f"{told}."],
        figures=drawn,
        sheets=[sheet("Candidates for wrong labels", table, text=["id", "label", "rather"])]
        if len(table)
        else [],
        note="Candidates to look at, the most suspect first, not to delete: a hard image looks "
        f"like a wrong label. At most {LISTED} are listed. No row was judged by a probe fitted to "
        "it.",
    )


def _drawn(key: str, pairs: pd.DataFrame, rate: float) -> Figure:
    return figure(
        plots.label_noise(pairs, noise_rate=rate),
        key=f"{key}-pairs",
        caption="Rows by their label and the class that they confidently belong to",
    )


def _votes(shown: pd.DataFrame) -> pd.Series[str]:
    return shown["agreement"].map(hundredths)
