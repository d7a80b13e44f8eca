"""ProbeSetup: all that is settled before a probe is fitted, and the digest that says so."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from featstore.estimator import Estimator
from featstore.groups import Groups
from featstore.presets import Preset
from featstore.probe_application import check_features
from featstore.probe_arguments import ProbeArguments
from featstore.protocol import chosen_metric, chosen_preset, make_estimator
from featstore.samples import Target
from featstore.selection_plan import SelectionPlan
from featstore.spec import digest
from featstore.split_parts import SplitParts
from featstore.store import FORMAT_VERSION, FeatureStore


@dataclass(frozen=True, eq=False)
class ProbeSetup:
    """A question to a store: which rows of which features, which protocol, which choice.

    Attributes
    ----------
    store, features
        Whose rows, of which features.
    arguments
        As they were given.
    target, labels
        The label column.
    protocol
        The probe and its candidates.
    plan
        How one of them is chosen.
    groups
        Rows that stay together; None for none.
    parts
        Rows by their use.
    """

    store: FeatureStore
    features: tuple[str, ...]
    arguments: ProbeArguments
    target: str
    labels: Target
    protocol: Preset
    plan: SelectionPlan
    groups: Groups | None
    parts: SplitParts

    @classmethod
    def of(
        cls, store: FeatureStore, features: str | Sequence[str], arguments: ProbeArguments
    ) -> ProbeSetup:
        """Resolve names and check that they fit each other; nothing is read or fitted.

        Raises
        ------
        FeatureNotFoundError, NotSealedError
            If a feature, target or split is not there or not finished.
        InvalidInputError
            If the rows cannot train or test a probe, or arguments do not fit each other.
        """
        names = [features] if isinstance(features, str) else list(features)
        store.view(names)  # a wrong name is told before a probe's libraries are loaded
        target, labels = store.target(arguments.target)
        protocol = chosen_preset(arguments.probe, arguments.preset, arguments.value)
        plan = SelectionPlan(
            by=arguments.select or protocol.select,
            folds=protocol.folds if arguments.folds is None else arguments.folds,
            repeats=arguments.repeats,
            rule=arguments.rule or protocol.rule,
            search=arguments.search or protocol.search,
            metric=chosen_metric(protocol, labels, arguments.metric),
            val_fraction=protocol.val_fraction,
            seed=arguments.seed,
        )
        groups = None
        if arguments.groups is not None:
            groups = Groups.of(store, arguments.groups, target=target)
        parts = SplitParts.of(
            store,
            names,
            labels,
            train=arguments.train,
            val=arguments.val,
            test=arguments.test,
            by=plan.by,
            train_subset=arguments.train_subset,
        )
        if arguments.test_features:
            check_features(store, names, list(arguments.test_features), nested=parts.nested)
        return cls(store, tuple(names), arguments, target, labels, protocol, plan, groups, parts)

    def estimator(self) -> Estimator:
        """Make the protocol's estimator, to be fitted."""
        return make_estimator(
            self.protocol,
            self.parts.train.view,
            max_memory=self.arguments.max_memory,
            device=self.arguments.device,
            engine=self.arguments.engine,
            seed=self.arguments.seed,
        )

    @property
    def spec_digests(self) -> tuple[str, ...]:
        """What exactly the features are."""
        return tuple(block.spec.digest for block in self.parts.train.view.blocks)

    @property
    def subset_digest(self) -> str:
        """Of the stored subset that is trained on; empty without one."""
        name = self.arguments.train_subset
        return "" if name is None else self.store.subset(name).digest

    @property
    def tunes_thresholds(self) -> bool:
        """Whether thresholds are asked for, and the target has use for them."""
        return self.arguments.thresholds and self.labels.kind == "multi"

    @property
    def digest(self) -> str:
        """Sha256 of all that decides the result: equal questions have equal answers.

        Features, rows, labels, protocol, choice and what computes; not the release, and not how
        many threads or workers share the work.
        """
        samples, arguments, plan = self.store.samples, self.arguments, SelectionPlan()
        content: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "samples": [samples.digest, samples.labels_digest],
            "features": list(zip(self.features, self.spec_digests, strict=True)),
            "rows": [_rows_digest(part.view.rows) for part in (self.parts.refit, self.parts.test)],
            "splits": [self.parts.train_name, self.parts.val_name, self.parts.test_name],
            "subset": self.subset_digest,
            "target": self.target,
            "protocol": [
                self.protocol.name,
                self.protocol.probe,
                list(self.protocol.values),
                dict(self.protocol.arguments),
            ],
            # What a later release adds changes no digest by its default.
            "plan": {
                name: value
                for name, value in dataclasses.asdict(self.plan).items()
                if value != getattr(plan, name)
            },
            "groups": arguments.groups,
            "thresholds": self.tunes_thresholds,
            "scaling": arguments.scaling,
            "seed": arguments.seed,
            "computed by": [arguments.device, arguments.engine, arguments.max_memory],
            "n_boot": arguments.n_boot,
        }
        if arguments.test_features:
            blocks = self.store.view(list(arguments.test_features)).blocks
            content["reported on"] = [[block.name, block.spec.digest] for block in blocks]
        return digest(content)


def _rows_digest(rows: Any) -> str:
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
