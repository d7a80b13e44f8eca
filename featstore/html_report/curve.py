"""Curve: how runs fare with ever more labels, from few-shot and quantity results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from featstore import plots
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.figure import figure
from featstore.html_report.numbers import hundredths
from featstore.numerals import percent, points, span


class _Kind(NamedTuple):
    """What few-shot and quantity results differ in."""

    heading: str
    amount: str
    unit: str
    caption: str


_KINDS = {
    "few-shot": _Kind("Few shots", "shots", "per class", "training images of each class"),
    "quantity": _Kind("Training labels", "n", "labels", "training labels"),
}


def curve_exhibit(
    key: str,
    kind: str,
    documents: Sequence[dict[str, Any]],
    *,
    digests: Mapping[str, str],
) -> Exhibit:
    """Show the curves of one target.

    Parameters
    ----------
    key
        The exhibit's anchor.
    kind
        What made them: ``"few-shot"`` or ``"quantity"``.
    documents
        Of `FewShot.to_json` or `Quantity.to_json`, one for each feature.
    digests
        Feature -> digest of its spec as it is stored now; results on other values say so.
    """
    about = _KINDS[kind]
    summary = pd.concat([pd.DataFrame(one["summary"]) for one in documents], ignore_index=True)
    bounds = ["mean", "low", "high"]
    # Null where a draw could be made in one way only.
    summary[bounds] = summary[bounds].astype(float)
    metric = str(summary["metric"].iloc[0])
    own = summary[summary["metric"] == metric]
    config = documents[0]["config"]
    drawn = (plots.few_shot if kind == "few-shot" else plots.quantity)(own, metric=metric)
    return Exhibit(
        key=key,
        heading=f"{about.heading}: {config['target']}",
        sentences=[_sentence(own, about), *_stale(documents, digests)],
        figures=[
            figure(
                drawn,
                key=f"{key}-curve",
                caption=f"{metric} against {about.caption}: means over draws, and 95 % t intervals "
                "that say what other draws of the training rows would change",
            )
        ],
        sheets=[sheet(f"{metric} %", _table(own, about), text=["feature", "probe"])],
        note=f"{config['preset']}, drawn from {config['train_split']}, reported on "
        f"{config['n_test']:,} rows of {config['test_split']}. The mean, and beneath it the "
        "interval over draws.",
    )


def _stale(documents: Sequence[dict[str, Any]], digests: Mapping[str, str]) -> list[str]:
    """Warn of results on features that are not those of the store."""
    return [
        f"Beware: {' + '.join(one['config']['features'])} was evaluated on other values than this "
        "store holds now."
        for one in documents
        if [digests.get(name) for name in one["config"]["features"]]
        != list(one["config"]["spec_digests"])
    ]


def _sentence(own: pd.DataFrame, about: _Kind) -> str:
    """Who leads at both ends, and what the whole way gains."""
    amounts = sorted(own[about.amount].unique())
    first, last = (_best(own[own[about.amount] == amount]) for amount in (amounts[0], amounts[-1]))
    told = (
        f"With {amounts[-1]:,} {about.unit}, {last['name']} leads at {percent(last['mean'])}"
        f"{_interval(last)}"
    )
    if len(amounts) == 1:
        return f"{told}."
    same = own[(own["feature"] == last["feature"]) & (own["probe"] == last["probe"])]
    start = same.iloc[int(same[about.amount].to_numpy().argmin())]
    gain = points(last["mean"] - start["mean"])
    lead = (
        f"as it does with {amounts[0]:,}"
        if first["name"] == last["name"]
        else f"with {amounts[0]:,} it is {first['name']} at {percent(first['mean'])}"
    )
    return f"{told}; {lead}. From {start[about.amount]:,} on it gains {gain} points."


def _best(rows: pd.DataFrame) -> pd.Series[Any]:
    best: pd.Series[Any] = rows.iloc[int(rows["mean"].to_numpy().argmax())].copy()
    best["name"] = f"{best['feature']} · {best['probe']}"
    return best


def _interval(row: pd.Series[Any]) -> str:
    return "" if pd.isna(row["low"]) else f" ({span(row['low'], row['high'])})"


def _table(own: pd.DataFrame, about: _Kind) -> pd.DataFrame:
    """Features against amounts."""
    rows = []
    for (feature, probe), line in own.groupby(["feature", "probe"], sort=False):
        row = {"feature": str(feature), "probe": str(probe)}
        for _, one in line.sort_values(about.amount).iterrows():
            row[f"{one[about.amount]:,} {about.unit}"] = hundredths(one["mean"]) + _interval(one)
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")
