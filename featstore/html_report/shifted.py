"""Shifted: whether two sets of rows are alike, from a result of `featstore shift`."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from featstore import plots
from featstore.analysis.label_shift import LabelShift
from featstore.html_report.exhibit import Exhibit, Sheet, sheet
from featstore.html_report.figure import figure
from featstore.html_report.numbers import hundredths
from featstore.numerals import NONE, p_value, plural, points

LISTED = 20
"""Classes in the figure and the table; the file has all."""

_ALPHA = 0.05
_LEAST_EXPECTED = 5


def shift_exhibit(key: str, document: dict[str, Any]) -> Exhibit:
    """Show how far the features and the labels of two sets of rows are apart.

    Parameters
    ----------
    key
        The exhibit's anchor.
    document
        a, b, n_a, n_b, features, measures, labels: as `featstore shift` writes them.
    """
    a, b = document["a"], document["b"]
    measures = pd.DataFrame(document["measures"]).astype({"value": float, "p": float})
    labels = _labels(document["labels"])
    return Exhibit(
        key=key,
        heading=f"Shift: {a} to {b}",
        sentences=[_of_features(document, measures), *_of_labels(labels)],
        figures=[]
        if labels is None
        else [
            figure(
                plots.shift(labels, a=a, b=b, limit=LISTED),
                key=f"{key}-labels",
                caption="Classes whose shares of the rows differ most",
            )
        ],
        sheets=[_measures(measures), *_classes(labels, a, b)],
        note="Reference: what two sets of one distribution have. With thousands of rows everything "
        "differs: p says whether, the held-out AUC and Cramér's V how much. A split by time or "
        f"place should differ. At most {LISTED} classes are listed.",
    )


def _labels(fields: dict[str, Any] | None) -> LabelShift | None:
    if fields is None:
        return None
    classes = pd.DataFrame(fields["classes"]).astype({"p": float, "q": float})
    whole: dict[str, Any] = {
        name: math.nan if fields[name] is None else fields[name]
        for name in ("chi2", "dof", "p", "cramers_v", "least_expected")
    }
    return LabelShift(classes=classes, **whole)


def _of_features(document: dict[str, Any], measures: pd.DataFrame) -> str:
    rows = " and ".join(
        f"{plural(document[f'n_{side}'], 'row')} of {document[side]}" for side in "ab"
    )
    (row,) = measures[measures["measure"] == "held_out_auc"].to_dict("records")
    features = " + ".join(document["features"])
    apart = "can be told apart" if row["p"] < _ALPHA else "cannot be told apart"
    p = p_value(row["p"])
    return (
        f"{rows} {apart} by {features}: AUC {row['value']:.3f} of a probe on rows that it did not "
        f"see, where 0.5 is a guess (p {'' if p.startswith('<') else '= '}{p})."
    )


def _of_labels(labels: LabelShift | None) -> list[str]:
    if labels is None:
        return []
    frame = labels.classes
    gap = frame["share_b"] - frame["share_a"]
    most = int(gap.abs().argmax())
    name, size = frame["class"].iloc[most], float(gap.iloc[most])
    told = f"The share of {name} differs most, by {points(size)} points"
    if not labels.dof:
        return [f"{told}."]
    p = p_value(labels.p)
    rough = ", roughly" if labels.least_expected < _LEAST_EXPECTED else ""
    return [
        f"{told}; of all classes Cramér's V is {labels.cramers_v:.3f} "
        f"(chi-square: p {'' if p.startswith('<') else '= '}{p}{rough})."
    ]


def _measures(measures: pd.DataFrame) -> Sheet:
    table = pd.DataFrame(
        {
            "measure": measures["measure"].str.replace("_", " "),
            "value": measures["value"].map("{:.4g}".format),
            "reference": measures["reference"].astype(float).map("{:.4g}".format),
            "p": [NONE if math.isnan(p) else p_value(p) for p in measures["p"]],
        }
    )
    return sheet("Features", table, text=["measure"])


def _classes(labels: LabelShift | None, a: str, b: str) -> list[Sheet]:
    if labels is None:
        return []
    frame = labels.classes
    gap = frame["share_b"] - frame["share_a"]
    shown = frame.loc[gap.abs().sort_values(ascending=False, kind="stable").index].head(LISTED)
    table = pd.DataFrame(
        {
            "class": shown["class"],
            f"{a} %": shown["share_a"].map(hundredths),
            f"{b} %": shown["share_b"].map(hundredths),
            "difference, points": (shown["share_b"] - shown["share_a"]).map(points),
            "q": shown["q"].map(p_value),
        }
    )
    return [sheet("Classes", table, text=["class"])]
