"""SelectionPlan: which rows choose a value, by what search, metric and rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from featstore.divisions import Division, drawn_shares, k_folds
from featstore.errors import InvalidInputError
from featstore.groups import Groups
from featstore.parts import Part
from featstore.search import SearchKind
from featstore.store import FeatureStore

#: Rows that choose: a validation split or drawn share, folds, or folds within folds.
SelectBy = Literal["val", "kfold", "nested"]

#: The value with the best score, or the most regularised within one standard error of it.
Rule = Literal["best", "one-se"]


@dataclass(frozen=True)
class SelectionPlan:
    """How a hyper-parameter is chosen.

    Attributes
    ----------
    by
        ``"val"``: on a validation split, or a share of the training rows.  ``"kfold"``: by the
        mean over folds of the training rows.  ``"nested"``: the same within each of several
        outer folds, which report.
    folds
        Number of folds; of outer ones too.
    repeats
        Draws of the share or of the folds.
    rule
        ``"best"``, or ``"one-se"``: the most regularised value within one standard error.
    search
        See `featstore.search.search`.
    metric
        What is maximised.
    val_fraction
        Share of the training rows that chooses where there is no validation split.
    seed
        Of the draws.

    Raises
    ------
    InvalidInputError
        If there are fewer than two folds or no repeats, or a name is not known.
    """

    by: SelectBy = "val"
    folds: int = 5
    repeats: int = 1
    rule: Rule = "best"
    search: SearchKind = "grid"
    metric: str = "top1"
    val_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for what, value, known in (
            ("select", self.by, SelectBy),
            ("rule", self.rule, Rule),
            ("search", self.search, SearchKind),
        ):
            if value not in get_args(known):
                choices = ", ".join(map(repr, get_args(known)))
                raise InvalidInputError(f"{what} is one of {choices}, got {value!r}")
        if self.folds < 2 or self.repeats < 1:
            raise InvalidInputError(
                f"{self.folds} folds drawn {self.repeats} times cannot choose: at least 2 folds "
                "are needed, and one draw"
            )

    def divide(
        self, store: FeatureStore, rows: Part, groups: Groups | None = None
    ) -> list[Division]:
        """Divide training rows into those to fit on and those to choose on."""
        if self.by == "val":
            return drawn_shares(
                store,
                rows,
                fraction=self.val_fraction,
                seed=self.seed,
                repeats=self.repeats,
                groups=groups,
            )
        return k_folds(
            store, rows, folds=self.folds, seed=self.seed, repeats=self.repeats, groups=groups
        )

    def rows_in_words(self, rows: str, groups: Groups | None = None) -> str:
        """Say which rows of `rows` (a split's name) choose.

        Examples
        --------
        >>> SelectionPlan().rows_in_words("train")
        '20% of train'
        >>> SelectionPlan("kfold", repeats=3).rows_in_words("train+val")
        '5 folds of train+val, drawn 3 times'
        """
        words = {
            "val": f"{self.val_fraction:.0%} of {rows}",
            "kfold": f"{self.folds} folds of {rows}",
            "nested": f"{self.folds} folds within each of {self.folds} outer folds of {rows}",
        }[self.by]
        words += f", drawn {self.repeats} times" if self.repeats > 1 else ""
        return words if groups is None else f"{words}, grouped by {groups.name}"
