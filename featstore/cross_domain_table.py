"""CrossDomain: features against data sets, with what can be told apart in each column."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from featstore.analysis.critical_difference import CriticalDifference, PostHoc, critical_difference
from featstore.displayed import Displayed
from featstore.metric_names import metric_name
from featstore.typeset import Column, Table
from featstore.typeset.marks import RULE


@dataclass(frozen=True, eq=False, repr=False)
class CrossDomain(Displayed):
    """Features (rows) evaluated on several data sets (columns), as in Table 1 of Cole et al. 2022.

    Attributes
    ----------
    cells
        One row per feature and data set, also where there is no run: feature, dataset, target,
        metric, value, low, high (bootstrap interval of the value), rank (in its column, 1 is best;
        equal values share their mean), gap (best of the column less value), gap_low, gap_high
        (paired bootstrap interval), alike (whether that interval does not exclude 0: not
        distinguishable from the best; true for the best itself), in_domain (whether the feature was
        pretrained on this data set; None where nobody said), run, n_train, missing (why there
        is no value; empty where there is one).
    features
        One row per feature: feature, mean_rank (over the columns without gaps; NaN if there are
        none), pretrained_on.
    datasets
        One row per column: dataset, store, target, metric, test_split, n (rows compared), left_out
        (most rows of a run that another one lacks), rows_digest.
    protocol
        How all runs were made, in words.
    notes
        What a reader should know.
    level
        Coverage of the intervals.
    """

    cells: pd.DataFrame
    features: pd.DataFrame
    datasets: pd.DataFrame
    protocol: str
    notes: tuple[str, ...]
    level: float

    @property
    def values(self) -> pd.DataFrame:
        """Values, one row per feature, one column per data set; NaN for gaps."""
        table = self.cells.pivot(index="feature", columns="dataset", values="value")
        return table.loc[list(self.features["feature"]), list(self.datasets["dataset"])]

    @property
    def gaps(self) -> pd.DataFrame:
        """Cells without a value: feature, dataset, missing."""
        empty = self.cells[self.cells["missing"] != ""]
        return empty[["feature", "dataset", "missing"]].reset_index(drop=True)

    @property
    def signs(self) -> str:
        """What the signs mean, in words."""
        return (
            f"=: not distinguishable from the best (paired {self.level:.0%} bootstrap interval of "
            "the difference, not adjusted for many rows); °: pretrained on this data set; –: no run"
        )

    @property
    def rule(self) -> str:
        """What marks and signs mean, in words."""
        return f"{RULE}; {self.signs}"

    def critical_difference(
        self, *, post_hoc: PostHoc = "wilcoxon", alpha: float = 0.05, complete: bool = False
    ) -> CriticalDifference:
        """Which features can be told apart over these data sets; see `critical_difference`."""
        return critical_difference(self.values, post_hoc=post_hoc, alpha=alpha, complete=complete)

    def table(self) -> Table:
        """Return the table for a paper: values with their intervals, marks and signs."""
        features, cells = self.features, self.cells.set_index(["feature", "dataset"])
        columns = [Column(name="feature", values=tuple(features["feature"]))]
        if self._origins:
            columns.append(Column(name="pretrained on", values=tuple(features["pretrained_on"])))
        for dataset in self.datasets.to_dict("records"):
            column = [cells.loc[(name, dataset["dataset"])] for name in features["feature"]]
            columns.append(
                Column(
                    name=_header(dataset),
                    values=tuple(float(cell["value"]) for cell in column),
                    low=tuple(float(cell["low"]) for cell in column),
                    high=tuple(float(cell["high"]) for cell in column),
                    kind="share",
                    best="highest",
                    signs=tuple(_signs(cell) for cell in column),
                )
            )
        ranks = tuple(features["mean_rank"].astype(float))
        columns.append(Column(name="mean rank", values=ranks, kind="number", decimals=2))
        return Table(tuple(columns), title=self.protocol, notes=(self.signs, *self.notes))

    def to_markdown(self) -> str:
        """Return the table as Markdown, with the rule and the notes below."""
        return self.table().to_markdown()

    def to_latex(self) -> str:
        """Return the table as a LaTeX ``tabular`` of the package booktabs."""
        return self.table().to_latex()

    def texts(self) -> pd.DataFrame:
        """Cells as text: the value in percent, and signs for what it is; a row per feature."""
        rows = []
        cells = self.cells.set_index(["feature", "dataset"])
        for feature in self.features.to_dict("records"):
            row = {"pretrained on": feature["pretrained_on"]} if self._origins else {}
            for column in self.datasets.to_dict("records"):
                row[_header(column)] = _text(cells.loc[(feature["feature"], column["dataset"])])
            rank = feature["mean_rank"]
            row["mean rank"] = "–" if np.isnan(rank) else f"{rank:.2f}"
            rows.append({"feature": feature["feature"], **row})
        return pd.DataFrame(rows)

    @property
    def _origins(self) -> bool:
        return bool((self.features["pretrained_on"] != "").any())


def _header(dataset: dict[Hashable, Any]) -> str:
    return f"{dataset['dataset']} ({metric_name(dataset['metric'])})"


def _signs(cell: pd.Series[Any]) -> str:
    if cell["missing"]:
        return ""
    equal = "=" if cell["alike"] and cell["gap"] > 0 else ""
    return f"{equal} {'°' if cell['in_domain'] is True else ''}".strip()


def _text(cell: pd.Series[Any]) -> str:
    return "–" if cell["missing"] else f"{100 * cell['value']:.1f} {_signs(cell)}".rstrip()
