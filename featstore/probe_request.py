"""ProbeRequest: what to ask of a feature, and the stored run that has the answer already."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from featstore.evaluate import probe
from featstore.protocol import chosen_metric, chosen_preset
from featstore.run import ProbeRun
from featstore.run_config import RunConfig
from featstore.scaling import ScalingKind
from featstore.selection_plan import SelectBy, SelectionPlan
from featstore.split_parts import SplitParts
from featstore.store import FeatureStore
from featstore.stored_requests import run_fields

_FIXED = "fixed"
#: Engines that a request never takes, and whose runs have another answer.
_APPROXIMATE = ("faiss-ivf", "faiss-hnsw")


@dataclass(frozen=True)
class ProbeRequest:
    """Arguments of `featstore.probe`, to be put to several features; see there.

    Attributes
    ----------
    probe, preset, value, target, scaling, train, val, test, select, seed, device, n_boot
        As there.
    test_features
        As there; none for the features themselves.
    """

    probe: str | None = None
    preset: str | None = None
    value: float | None = None
    target: str | None = None
    scaling: ScalingKind = "none"
    train: str = "train"
    val: str | None = None
    test: str | None = None
    select: SelectBy | None = None
    seed: int = 0
    device: str = "cpu"
    n_boot: int = 1000
    test_features: tuple[str, ...] = ()

    def unscaled(self) -> ProbeRequest:
        """Return the same request without scaling."""
        return dataclasses.replace(self, scaling="none")

    def run(
        self, store: FeatureStore, features: Sequence[str], *, save: bool, keep_fitted: bool = False
    ) -> ProbeRun:
        """Fit and evaluate the probe; see `featstore.probe`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return probe(store, features, save=save, keep_fitted=keep_fitted, **fields)

    def answer(self, store: FeatureStore, features: Sequence[str], *, save: bool) -> ProbeRun:
        """Return a stored run that answers the request, or else `run` it."""
        found = self.stored(store, features)
        return self.run(store, features, save=save) if found is None else found

    def stored(self, store: FeatureStore, features: Sequence[str]) -> ProbeRun | None:
        """Find a stored run with the configuration that this request leads to; None without one.

        What is compared is all that is settled before a fit: features and what exactly they are,
        target, protocol, splits and how many rows they have, and how the value is chosen.
        """
        settled, chosen_on = self._settled(store, features)
        for name, config in stored_configs(store):
            settled_alike = all(getattr(config, key) == value for key, value in settled.items())
            if not settled_alike or not config.selected_on.startswith(chosen_on):
                continue
            run = store.run(name)
            if run.certificate.get("engine") not in _APPROXIMATE:
                return run
        return None

    def parts(self, store: FeatureStore, features: Sequence[str]) -> SplitParts:
        """Return the rows that are trained on, chosen on and reported on."""
        protocol = chosen_preset(self.probe, self.preset, self.value)
        return SplitParts.of(
            store,
            list(features),
            store.target(self.target)[1],
            train=self.train,
            val=self.val,
            test=self.test,
            by=self.select or protocol.select,
        )

    def _settled(
        self, store: FeatureStore, features: Sequence[str]
    ) -> tuple[dict[str, object], str]:
        """Fields of the configuration, and how `selected_on` begins."""
        protocol = chosen_preset(self.probe, self.preset, self.value)
        target, labels = store.target(self.target)
        parts = self.parts(store, features)
        blocks = parts.train.view.blocks
        plan = SelectionPlan(
            by=self.select or protocol.select,
            folds=protocol.folds,
            rule=protocol.rule,
            search=protocol.search,
            metric=chosen_metric(protocol, labels, None),
            val_fraction=protocol.val_fraction,
            seed=self.seed,
        )
        settled: dict[str, object] = {
            "features": tuple(features),
            "spec_digests": tuple(block.spec.digest for block in blocks),
            "target": target,
            "probe": protocol.probe,
            "preset": protocol.name,
            "scaling": self.scaling,
            "train_split": parts.refit_name,
            "test_split": parts.test_name,
            "n_train": len(parts.refit),
            "n_test": len(parts.test),
            "seed": self.seed,
            "select": plan.by,
            "folds": 0 if plan.by == "val" else plan.folds,
            "repeats": plan.repeats,
            "rule": plan.rule,
            "search": plan.search,
            "metric": plan.metric,
            "groups": None,
            "train_subset": None,
            "test_features": self.test_features,
            "test_spec_digests": tuple(
                store.feature(name).spec.digest for name in self.test_features
            ),
        }
        if len(protocol.values) == 1:
            return {**settled, "value": protocol.values[0]}, _FIXED
        if not protocol.values:
            # By the estimator's own rule.  Without any, its default looks like a given value.
            return settled, f"{parts.refit_name}, "
        if plan.by == "val" and parts.val_name is not None:
            return {**settled, "selected_on": parts.val_name}, ""
        return {**settled, "selected_on": plan.rows_in_words(parts.refit_name)}, ""


def stored_configs(store: FeatureStore) -> Iterator[tuple[str, RunConfig]]:
    """Read the configurations of the stored runs, but not their scores; pass damaged ones over."""
    for name, fields in run_fields(store):
        try:
            yield name, RunConfig.from_json(fields["config"])
        except (TypeError, ValueError):
            continue
