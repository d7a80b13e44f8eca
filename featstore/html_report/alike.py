"""Alike: how similar features are, from a result of `featstore similarity`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from featstore import plots
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.figure import figure


def similarity_exhibit(key: str, records: Sequence[dict[str, Any]]) -> Exhibit:
    """Show every measure of a similarity result.

    Parameters
    ----------
    key
        The exhibit's anchor.
    records
        Rows a, b, measure, value.
    """
    frame = pd.DataFrame(records).astype({"value": float})
    measures = list(frame["measure"].unique())
    pairs = frame[(frame["measure"] == measures[0]) & (frame["a"] != frame["b"])]
    values = pairs["value"].to_numpy(float)
    most, least = pairs.iloc[int(values.argmax())], pairs.iloc[int(values.argmin())]
    told = f"By {measures[0]}, {most['a']} and {most['b']} are alike to {most['value']:.2f}"
    if frame["a"].nunique() > 2:
        told += f", most of all; {least['a']} and {least['b']} are so least, {least['value']:.2f}"
    table = (
        frame[frame["a"] != frame["b"]]
        .pivot_table(index=["a", "b"], columns="measure", values="value", sort=False)[measures]
        .map("{:.3f}".format)
        .reset_index()
        .rename_axis(columns=None)
        .rename(columns={"a": "from", "b": "to"})
    )
    return Exhibit(
        key=key,
        heading="Similarity of features",
        sentences=[f"{told}."],
        figures=[
            figure(
                plots.similarity(frame, str(measure)),
                key=f"{key}-{i}",
                caption=f"{measure} of every two features",
            )
            for i, measure in enumerate(measures)
        ],
        sheets=[sheet("Similarity of every two features", table, text=["from", "to"])],
        note="No labels and no probes: 0 is unrelated, 1 the same up to what the measure ignores. "
        "pwcca and r2 depend on the direction.",
    )
