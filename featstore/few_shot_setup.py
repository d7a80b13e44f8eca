"""FewShotSetup: the estimator, the splits and the labels of a few-shot evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from featstore.errors import InvalidInputError
from featstore.estimator import Estimator
from featstore.few_shot_result import FewShotConfig
from featstore.parts import Part, labelled_part
from featstore.presets import Preset
from featstore.protocol import chosen_preset, make_estimator
from featstore.samples import Target
from featstore.scaling import BlockScaling
from featstore.store import FeatureStore

#: A scaling that needs no training rows.
RowScaling = Literal["none", "l2"]


@dataclass(frozen=True, eq=False)
class FewShotSetup:
    """What does not depend on the draws.

    Attributes
    ----------
    store
        The store.
    protocol, estimator
        Values of the hyper-parameter, and what is fitted.
    target_name, labels
        The target, single-label.
    train, test
        Labelled rows to draw from, and to report on.
    train_split, test_split
        Names of the splits.
    blocks
        Scaling of the rows.
    """

    store: FeatureStore
    protocol: Preset
    estimator: Estimator
    target_name: str
    labels: Target
    train: Part
    test: Part
    train_split: str
    test_split: str
    blocks: BlockScaling

    @classmethod
    def of(
        cls,
        store: FeatureStore | str | Path,
        features: str | Sequence[str],
        *,
        probe: str | None,
        preset: str | None,
        value: float | None,
        target: str | None,
        scaling: RowScaling,
        train: str,
        test: str | None,
        seed: int,
        device: str,
    ) -> Self:
        """Resolve names; the arguments are those of `featstore.few_shot`.

        Raises
        ------
        FeatureNotFoundError, NotSealedError
            If a feature, target or split is not there or not finished.
        InvalidInputError
            If the target is multi-label, or names do not go together.
        """
        if not isinstance(store, FeatureStore):
            store = FeatureStore.open(store)
        names = [features] if isinstance(features, str) else list(features)
        store.view(names)  # a wrong name is told before a probe's libraries are loaded
        target_name, labels = store.target(target)
        protocol = chosen_preset(probe, preset, value)
        if labels.kind == "multi":
            raise InvalidInputError(
                f"{target_name!r} has several labels per row: k rows per class are not defined, "
                "since a row of one class is one of others too; choose a single-label target "
                "(--target)"
            )
        if scaling not in ("none", "l2"):
            raise InvalidInputError(
                f"scaling must be 'none' or 'l2', got {scaling!r}: means and deviations would be "
                "those of rows that were not drawn"
            )
        if test is None:
            known = store.samples.split_names
            test = next((split for split in ("test", "val") if split in known), "test")
        train_part, test_part = (
            labelled_part(store, names, labels, split) for split in (train, test)
        )
        return cls(
            store=store,
            protocol=protocol,
            estimator=make_estimator(protocol, train_part.view, device=device, seed=seed),
            target_name=target_name,
            labels=labels,
            train=train_part,
            test=test_part,
            train_split=train,
            test_split=test,
            blocks=BlockScaling.fit(train_part.view, scaling),
        )

    @property
    def chooses(self) -> bool:
        """Whether there are several values of the hyper-parameter."""
        return len(self.protocol.values) > 1

    @property
    def n_classes(self) -> int:
        """Classes of the target."""
        return len(self.labels.classes)

    def config(self, draws: Mapping[str, Any], *, chosen_on: str, **more: Any) -> FewShotConfig:
        """Return the record of how results were made.

        Parameters
        ----------
        draws
            What was drawn.
        chosen_on
            What would have chosen the hyper-parameter, where there was a choice.
        more
            Other fields of the record.
        """
        selected_on = chosen_on if self.chooses else "fixed"
        return FewShotConfig(
            features=self.train.view.names,
            spec_digests=tuple(block.spec.digest for block in self.train.view.blocks),
            dims=tuple(block.shape[1] for block in self.train.view.blocks),
            target=self.target_name,
            probe=self.protocol.probe,
            preset=self.protocol.name,
            parameter=self.estimator.parameter,
            scaling=self.blocks.kind,
            train_split=self.train_split,
            test_split=self.test_split,
            n_test=len(self.test.labels),
            draws=draws,
            selected_on=selected_on if self.protocol.values else "the probe's own rule",
            **more,
        )
