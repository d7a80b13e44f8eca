"""CrossDomain: features against data sets, with what can be told apart in each column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from featstore.analysis.critical_difference import CriticalDifference, PostHoc, critical_difference
from featstore.displayed import Displayed
from featstore.marked_table import latex_table, markdown_table

#: How the metrics are called in a header.
_METRICS = {"top1": "top-1", "top5": "top-5", "mean_per_class": "mean per class", "mAP": "mAP"}


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
    def rule(self) -> str:
        """What the marks mean, in words."""
        return (
            "bold: best of the column; underlined: second best; =: not distinguishable from the "
            f"best (paired {self.level:.0%} bootstrap interval of the difference, not adjusted for "
            "many rows); °: pretrained on this data set; –: no run"
        )

    def critical_difference(
        self, *, post_hoc: PostHoc = "wilcoxon", alpha: float = 0.05, complete: bool = False
    ) -> CriticalDifference:
        """Which features can be told apart over these data sets; see `critical_difference`."""
        return critical_difference(self.values, post_hoc=post_hoc, alpha=alpha, complete=complete)

    def to_markdown(self) -> str:
        """Return the table as Markdown, with the rule and the notes below."""
        return markdown_table(self.texts(), self._emphasis(), notes=(self.rule, *self.notes))

    def to_latex(self) -> str:
        """Return the table as a LaTeX ``tabular`` of the package booktabs."""
        return latex_table(self.texts(), self._emphasis())

    def texts(self) -> pd.DataFrame:
        """Cells as text: the value in percent, and signs for what it is; a row per feature."""
        rows = []
        cells = self.cells.set_index(["feature", "dataset"])
        for feature in self.features.to_dict("records"):
            row = {"pretrained on": feature["pretrained_on"]} if self._origins else {}
            for column in self.datasets.to_dict("records"):
                label = f"{column['dataset']} ({_METRICS[column['metric']]})"
                row[label] = _text(cells.loc[(feature["feature"], column["dataset"])])
            rank = feature["mean_rank"]
            row["mean rank"] = "–" if np.isnan(rank) else f"{rank:.2f}"
            rows.append({"feature": feature["feature"], **row})
        return pd.DataFrame(rows)

    @property
    def _origins(self) -> bool:
        return bool((self.features["pretrained_on"] != "").any())

    def _emphasis(self) -> pd.DataFrame:
        """``"best"``, ``"second"`` or ``""`` for each cell of `texts`."""
        table = self.texts()
        marks = pd.DataFrame("", index=table.index, columns=table.columns, dtype=object)
        start = 2 if self._origins else 1
        for place, dataset in enumerate(self.datasets["dataset"]):
            column = self.values[dataset].to_numpy()
            levels = np.unique(column[~np.isnan(column)])[::-1]
            for level, mark in zip(levels, ("best", "second"), strict=False):
                marks.iloc[np.flatnonzero(column == level), start + place] = mark
        return marks


def _text(cell: pd.Series) -> str:
    if cell["missing"]:
        return "–"
    equal = " =" if cell["alike"] and cell["gap"] > 0 else ""
    return f"{100 * cell['value']:.1f}{equal}{' °' if cell['in_domain'] is True else ''}"
