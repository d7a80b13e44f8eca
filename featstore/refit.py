"""Refit: a stored run's probe, fitted again so that it predicts rows it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast

from featstore.errors import InvalidInputError
from featstore.groups import Groups
from featstore.learner import KeptProbe, Learner
from featstore.nested import nested_predictions
from featstore.predictions import Predictions
from featstore.protocol import chosen_preset, make_estimator
from featstore.run_config import RunConfig
from featstore.scaling import ScalingKind
from featstore.selection_plan import SelectionPlan
from featstore.split_parts import SplitParts
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False)
class Refit:
    """The probe of a run with the value that the run chose, and the rows that it was fitted to.

    A run stores what it says of the rows that it reports on.  What it would say of a training row
    that it had not seen takes another fit, without that row.

    Attributes
    ----------
    store
        Of the run.
    learner
        The probe.
    values
        The value of its hyper-parameter; none where the probe settles on one by itself.
    parts
        The run's rows.
    groups
        Rows that stay together.
    seed
        Of the run.
    """

    store: FeatureStore
    learner: Learner
    values: tuple[float, ...]
    parts: SplitParts
    groups: Groups | None
    seed: int

    @classmethod
    def of(cls, store: FeatureStore, config: RunConfig, *, device: str = "cpu") -> Self:
        """Find the rows of a run and make its probe.

        Raises
        ------
        FeatureNotFoundError, NotSealedError
            If a feature, target or split of the run is not there any more.
        InvalidInputError
            If a feature is another than the run's, or the training rows are.
        """
        names = list(config.features)
        _, labels = store.target(config.target)
        train, val = _splits(store, config)
        parts = SplitParts.of(
            store,
            names,
            labels,
            train=train,
            val=val,
            test=None if config.nested else config.test_split,
            by=config.select,
            train_subset=config.train_subset,
        )
        digests = tuple(block.spec.digest for block in parts.train.view.blocks)
        if digests != config.spec_digests or len(parts.refit) != config.n_train:
            raise InvalidInputError(
                f"the run was trained on {config.n_train} rows of {' + '.join(names)}, and the "
                f"store has {len(parts.refit)} of "
                f"{'them' if digests == config.spec_digests else 'another feature of this name'}; "
                "run the probe again"
            )
        protocol = chosen_preset(None, config.preset, None)
        estimator = make_estimator(protocol, parts.train.view, device=device, seed=config.seed)
        fixed = config.selected_on == "fixed"
        values = (config.value,) if protocol.values or fixed else ()
        scaling = cast("ScalingKind", config.scaling)
        groups = None
        if config.groups is not None:
            groups = Groups.of(store, config.groups, target=config.target)
        return cls(store, Learner(estimator, labels, scaling), values, parts, groups, config.seed)

    def whole(self) -> KeptProbe:
        """Fit the probe to all rows that the run's was fitted to at the end."""
        blocks = self.learner.fit(self.parts.refit, self._value)
        return self.learner.kept(blocks, self.parts.refit)

    def out_of_fold(self, *, folds: int = 5) -> Predictions:
        """Predict every training row by a probe of the other folds; the value stays the run's."""
        plan = SelectionPlan(folds=folds, seed=self.seed)
        return nested_predictions(
            self.store, self.learner, self.values, self.parts.refit, plan, groups=self.groups
        ).predictions

    def held_out(self, *, folds: int = 5) -> tuple[Predictions, str]:
        """Predict rows that are neither trained on nor reported on, and say in words which.

        The validation split by a probe of the training split, or without one every training row
        by a probe of the other folds.
        """
        parts = self.parts
        if parts.val is None or parts.chooses_on_reported:
            return self.out_of_fold(folds=folds), f"{parts.refit_name}, {folds} folds"
        blocks = self.learner.fit(parts.train, self._value)
        return self.learner.predict(blocks, parts.train, parts.val), str(parts.val_name)

    @property
    def _value(self) -> float | None:
        return self.values[0] if self.values else None


def _splits(store: FeatureStore, config: RunConfig) -> tuple[str, str | None]:
    """Names of the training split and of the split that chose, of `RunConfig.train_split`."""
    known = store.samples.split_names
    if config.train_split in known:
        chose = config.selected_on
        return config.train_split, chose if chose in known and config.select == "val" else None
    for train in known:
        val = config.train_split.removeprefix(f"{train}+")
        if val != config.train_split and val in known:
            return train, val
    raise InvalidInputError(
        f"the store has no split {config.train_split!r}, which the run was trained on; it has "
        f"{', '.join(known)}"
    )
