"""quantity: a probe fitted to more and more of the training labels, over draws of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from featstore.errors import InvalidInputError
from featstore.history import environment
from featstore.intervals import student_t
from featstore.learner import Learner
from featstore.metrics import evaluate_metrics
from featstore.parts import Part, labelled_part
from featstore.presets import MultiLabelMetric, SingleLabelMetric
from featstore.procedure import Outcome, carry_out
from featstore.progress import progress_bar
from featstore.protocol import chosen_metric, chosen_preset, make_estimator
from featstore.quantity_result import Quantity, QuantityConfig
from featstore.samples import Target
from featstore.scaling import ScalingKind
from featstore.search import SearchKind
from featstore.selection_plan import SelectBy, SelectionPlan
from featstore.size_draws import Relation, SizeDraws
from featstore.split_parts import SplitParts
from featstore.store import FeatureStore
from featstore.subset import Subset
from featstore.subset_drawing import draw_subsets

_HALVINGS = 6
_ROWS_PER_CLASS = 2  # of the smallest size that is taken by itself


def quantity(
    store: FeatureStore | str | Path,
    features: str | Sequence[str],
    *,
    sizes: Sequence[int] | None = None,
    draws: int = 5,
    full: bool = True,
    relation: Relation = "nested",
    stratified: bool = False,
    probe: str | None = None,
    preset: str | None = None,
    value: float | None = None,
    target: str | None = None,
    scaling: ScalingKind = "none",
    train: str = "train",
    test: str | None = None,
    select: SelectBy | None = None,
    search: SearchKind | None = None,
    metric: SingleLabelMetric | MultiLabelMetric | None = None,
    seed: int = 0,
    device: str = "cpu",
    engine: str = "torch",
    progress: bool | None = False,
) -> Quantity:
    """Evaluate a probe against the number of training labels.

    The same draws serve every feature and probe; draw 0 has the rows of the subset of this size
    and seed.  Every fit sees the labels of its draw and no others: a hyper-parameter is chosen on a
    share of them, or on folds, and the probe fitted again to all of them.

    Parameters
    ----------
    store
        The store, or its path.
    features
        One feature, or several to concatenate in this order.
    sizes
        Numbers of labels; by default all labels halved up to six times.
    draws
        How often each is drawn.
    full
        Whether to fit to all labels too.
    relation, stratified
        See `featstore.SizeDraws`.
    probe, preset, value, target, scaling, search, metric, device, engine
        As for `featstore.probe`.
    train, test
        Splits to draw from and to report on; ``test``, or ``val`` in stores without a test split.
    select
        ``"val"``: a drawn share of the labels chooses.  ``"kfold"``: folds of them.  The preset's
        by default.
    seed
        Of the draws, of the choice, and of probes that draw.
    progress
        Show a progress bar; None shows it on a terminal.

    Returns
    -------
    result
        Values of every draw, and their means with intervals.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, target or split is not there or not finished.
    InvalidInputError
        If there are fewer labels than a size, or arguments do not fit each other.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    names = [features] if isinstance(features, str) else list(features)
    store.view(names)  # a wrong name is told before a probe's libraries are loaded
    target_name, labels = store.target(target)
    protocol = chosen_preset(probe, preset, value)
    known = store.samples.split_names
    test = test or next((split for split in ("test", "val") if split in known), "test")
    if train == test:
        raise InvalidInputError(
            f"the probe would be tested on the rows it is trained on ({train!r}); choose another "
            "--test split"
        )
    plan = SelectionPlan(
        by=select or protocol.select,
        folds=protocol.folds,
        rule=protocol.rule,
        search=search or protocol.search,
        metric=chosen_metric(protocol, labels, metric),
        val_fraction=protocol.val_fraction,
        seed=seed,
    )
    if plan.by == "nested":
        raise InvalidInputError("a quantity curve reports on a split: select by 'val' or 'kfold'")
    rows = store.rows(train)
    pool = rows[labels.labelled[rows]]
    if len(pool) < 2:
        raise InvalidInputError(
            f"split {train!r} has {len(pool)} rows with a label: there is no curve to draw"
        )
    shape = SizeDraws(
        tuple(sizes or _halved(len(pool), len(labels.classes))),
        draws=draws,
        relation=relation,
        stratified=stratified,
        seed=seed,
    )
    drawn = draw_subsets(store, shape, split=train, target=target_name, save=False).values()
    subsets = [(len(one), int(one.recipe["draw"]), one) for one in drawn]
    if full and shape.sizes[-1] < len(pool):
        recipe = {"kind": "all", "target": target_name, "split": train}
        every = Subset.of(pool, store.samples.ids, recipe=recipe, seed=seed)
        subsets.append((len(every), 0, every))
    whole, tested = (labelled_part(store, names, labels, split) for split in (train, test))
    estimator = make_estimator(protocol, whole.view, device=device, engine=engine, seed=seed)
    learner = Learner(estimator, labels, scaling)
    fits, values = [], []
    with progress_bar("quantity", len(subsets), unit="fits", shown=progress) as advance:
        for n, draw, subset in subsets:
            part = _part(store, names, labels, subset)
            parts = SplitParts(part, part, None, tested, train, None, test, nested=False)
            outcome, converged = _fit(store, learner, protocol.values, parts, plan)
            fits.append((n, draw, subset.digest, len(part), outcome.value, converged))
            values += [(n, draw, *found) for found in _metrics(outcome)]
            advance(1)
    config = QuantityConfig(
        features=whole.view.names,
        spec_digests=tuple(block.spec.digest for block in whole.view.blocks),
        dims=tuple(block.shape[1] for block in whole.view.blocks),
        target=target_name,
        probe=protocol.probe,
        preset=protocol.name,
        parameter=estimator.parameter,
        scaling=scaling,
        train_split=train,
        test_split=test,
        n_train=len(pool),
        n_test=len(tested),
        draws=asdict(shape),
        select=plan.by if len(protocol.values) > 1 else "fixed",
        search=plan.search,
        metric=plan.metric,
    )
    frame = pd.DataFrame(values, columns=["n", "draw", "metric", "value"])
    frame.insert(0, "feature", config.name)
    frame.insert(1, "probe", config.preset)
    return Quantity(
        config=config,
        values=frame,
        summary=_summary(frame),
        fits=pd.DataFrame(fits, columns=["n", "draw", "digest", "rows", "chosen", "converged"]),
        provenance=environment(),
    )


def _halved(n: int, n_classes: int) -> list[int]:
    """Sizes that double up to all labels."""
    halves = [n // 2**i for i in range(_HALVINGS, 0, -1)]
    return [size for size in halves if size >= _ROWS_PER_CLASS * n_classes] or halves[-1:]


def _part(store: FeatureStore, names: list[str], labels: Target, subset: Subset) -> Part:
    view = store.view(names, rows=subset.rows)
    return Part(view, labels.codes[view.rows])


def _fit(
    store: FeatureStore,
    learner: Learner,
    values: Sequence[float],
    parts: SplitParts,
    plan: SelectionPlan,
) -> tuple[Outcome, bool]:
    """Fit, and say whether the last fit converged instead of warning of all that did not."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        outcome = carry_out(store, learner, values, parts, plan)
    certificate: Any = getattr(learner.estimator, "certificate_", None)
    return outcome, bool(getattr(certificate, "converged", True))


def _metrics(outcome: Outcome) -> Iterator[tuple[str, float]]:
    found = evaluate_metrics(outcome.predictions, n_boot=0)
    yield from zip(found["metric"].tolist(), found["value"].tolist(), strict=True)


def _summary(values: pd.DataFrame) -> pd.DataFrame:
    """Means over draws, with their t intervals."""
    rows = []
    for keys, several in values.groupby(["feature", "probe", "n", "metric"], sort=False)["value"]:
        rows.append((*keys, *student_t(several, within=(0, 1)), len(several)))
    columns = ["feature", "probe", "n", "metric", "mean", "low", "high", "draws"]
    return pd.DataFrame(rows, columns=columns)
