"""ProbeArguments: what `featstore.probe` can be told about a probe."""

from __future__ import annotations

from dataclasses import dataclass

from featstore.presets import MultiLabelMetric, SingleLabelMetric
from featstore.scaling import ScalingKind
from featstore.search import SearchKind
from featstore.selection_plan import Rule, SelectBy


@dataclass(frozen=True)
class ProbeArguments:
    """Arguments of `featstore.probe` that decide a result; see there.

    Attributes
    ----------
    probe, preset, value, target, scaling, train, train_subset, val, test, select, folds, repeats
        As there.
    test_features
        As there; none for the features themselves.
    rule, search, metric, groups, thresholds, seed, device, engine, max_memory, n_boot
        As there.
    """

    probe: str | None = None
    preset: str | None = None
    value: float | None = None
    target: str | None = None
    scaling: ScalingKind = "none"
    train: str = "train"
    train_subset: str | None = None
    val: str | None = None
    test: str | None = None
    test_features: tuple[str, ...] = ()
    select: SelectBy | None = None
    folds: int | None = None
    repeats: int = 1
    rule: Rule | None = None
    search: SearchKind | None = None
    metric: SingleLabelMetric | MultiLabelMetric | None = None
    groups: str | None = None
    thresholds: bool = True
    seed: int = 0
    device: str = "cpu"
    engine: str = "torch"
    max_memory: int | str | None = None
    n_boot: int = 1000
