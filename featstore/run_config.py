"""RunConfig: how a run was made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunConfig:
    """How a run was made.

    Attributes
    ----------
    features, spec_digests
        The feature blocks in order, and what exactly they were.
    dims
        Dimensions of the feature blocks.
    target
        Label column.
    probe, preset
        Estimator and protocol.
    parameter, value
        The hyper-parameter (C or k) and the value that was used.
    selected_on
        Which rows chose it: ``"fixed"``, a split, or a share or folds of the training rows.
    scaling
        Per-block scaling.
    train_split, test_split
        Splits trained on (joined by ``+`` where a validation split was refitted on) and
        reported on; a nested selection reports on the rows it trains on, each outer fold in turn.
    n_train, n_test
        Rows trained on at the end, and reported on.
    seed
        Of the validation draw and of the bootstrap.
    select, folds, repeats, rule, search, metric
        How the value was chosen, see `featstore.selection_plan.SelectionPlan`; `folds` is 0 where
        none were drawn, `search` and `metric` are empty in runs of earlier versions.
    groups
        Label column whose classes were kept on one side of every division; None for none.
    shared_groups
        How many of them have rows that were trained on and rows that are reported on.
    thresholds_on
        Which rows chose the thresholds of F1; None for none.
    train_subset, train_subset_digest
        Stored subset of the training split that was trained on, and what it was; None for the
        whole split.
    nonlinear
        Whether what was trained is more than a linear map: then the numbers are no linear
        evaluation.
    test_features, test_spec_digests
        The feature blocks that are reported on, and what exactly they were, where they are not
        those trained on; else empty.
    """

    features: tuple[str, ...]
    spec_digests: tuple[str, ...]
    dims: tuple[int, ...]
    target: str
    probe: str
    preset: str
    parameter: str
    value: float
    selected_on: str
    scaling: str
    train_split: str
    test_split: str
    n_train: int
    n_test: int
    seed: int
    select: str = "val"
    folds: int = 0
    repeats: int = 1
    rule: str = "best"
    search: str = ""
    metric: str = ""
    groups: str | None = None
    shared_groups: int = 0
    thresholds_on: str | None = None
    nonlinear: bool = False
    train_subset: str | None = None
    train_subset_digest: str = ""
    test_features: tuple[str, ...] = ()
    test_spec_digests: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RunConfig:
        """Rebuild a configuration from the fields that a run stores; others are passed over."""
        lists = ("features", "spec_digests", "dims", "test_features", "test_spec_digests")
        known = {field.name for field in dataclasses.fields(cls)} & fields.keys()
        given: dict[str, Any] = {key: fields[key] for key in known}
        return cls(**given | {key: tuple(given[key]) for key in lists if key in given})

    @property
    def probe_label(self) -> str:
        """The estimator as results name it: what is not linear says so."""
        return f"{self.probe} (non-linear)" if self.nonlinear else self.probe

    @property
    def dim(self) -> int:
        """Length of the (fused) feature vector."""
        return sum(self.dims)

    @property
    def selected_on_test(self) -> bool:
        """Whether the reported rows also chose the hyper-parameter: an optimistic number."""
        return self.selected_on == self.test_split

    @property
    def nested(self) -> bool:
        """Whether each reported row was predicted by a probe of the other outer folds."""
        return self.select == "nested"

    @property
    def tested_on(self) -> str:
        """Which rows are reported on, in words."""
        if self.nested:
            return f"{self.folds} outer folds of {self.test_split}"
        other = f" as {' + '.join(self.test_features)}" if self.test_features else ""
        return f"{self.test_split}{other}"

    @property
    def how_chosen(self) -> str:
        """How the hyper-parameter got its value, in words."""
        if self.selected_on == "fixed":
            return "fixed"
        rule = ", one-standard-error rule" if self.rule == "one-se" else ""
        return f"chosen on {self.selected_on}{rule}"
