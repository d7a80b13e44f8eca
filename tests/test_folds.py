"""Folds against scikit-learn's splitters; groups and divisions as properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

from featstore.divisions import Division, drawn_shares, k_folds
from featstore.errors import InvalidInputError
from featstore.folds import stratified_folds
from featstore.groups import Groups
from featstore.parts import draw_validation, labelled_part
from featstore.samples import Samples, Target
from featstore.store import FeatureStore

quick = settings(max_examples=50, deadline=None)


def table(folds: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows of each class in each fold."""
    return np.asarray([np.bincount(folds[labels == c], minlength=5) for c in np.unique(labels)])


def of_splitter(splitter: object, labels: np.ndarray, groups: np.ndarray | None = None):
    folds = np.empty(len(labels), np.intp)
    splits = splitter.split(labels, labels, groups)  # type: ignore[attr-defined]
    for fold, (_, rows) in enumerate(splits):
        folds[rows] = fold
    return folds


@quick
@given(counts=st.lists(st.integers(5, 40), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_sizes_are_those_of_stratified_k_fold(counts: list[int], seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    ours = stratified_folds(labels, 5, seed=seed)
    theirs = of_splitter(StratifiedKFold(5, shuffle=True, random_state=seed), labels)
    np.testing.assert_array_equal(
        np.sort(table(ours, labels), axis=1), np.sort(table(theirs, labels), axis=1)
    )
    assert sorted(np.bincount(ours)) == sorted(np.bincount(theirs))


@quick
@given(
    n=st.integers(20, 200),
    n_groups=st.integers(3, 15),
    n_classes=st.integers(1, 5),
    n_folds=st.integers(2, 3),
    seed=st.integers(0, 999),
    multilabel=st.booleans(),
)
def test_no_group_is_in_two_folds_and_no_fold_is_empty(
    n: int, n_groups: int, n_classes: int, n_folds: int, seed: int, multilabel: bool
) -> None:
    rng = np.random.default_rng(seed)
    groups = np.append(np.arange(n_groups), rng.integers(n_groups, size=n - n_groups)) - 7
    labels = rng.random((n, n_classes)) < 0.3 if multilabel else rng.integers(n_classes, size=n)
    folds = stratified_folds(labels, n_folds, seed=seed, groups=groups)
    assert set(folds) == set(range(n_folds))
    for group in np.unique(groups):
        assert len(set(folds[groups == group])) == 1
    np.testing.assert_array_equal(
        folds, stratified_folds(labels, n_folds, seed=seed, groups=groups)
    )


def unevenness(folds: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of the deviation of the folds' shares: what StratifiedGroupKFold lowers."""
    counts = table(folds, labels)
    return float((counts / counts.sum(axis=1, keepdims=True)).std(axis=1).mean())


def test_groups_are_as_even_as_those_of_stratified_group_k_fold() -> None:
    _, labels = digits()
    ours, theirs = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        # Writers of unlike diligence, each with a liking for some digits.
        writers = rng.choice(60, p=rng.dirichlet(np.ones(60)), size=len(labels))
        writers = np.where(rng.random(len(labels)) < 0.3, labels * 6 + writers % 6, writers)
        ours.append(unevenness(stratified_folds(labels, 5, seed=seed, groups=writers), labels))
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        theirs.append(unevenness(of_splitter(splitter, labels, writers), labels))
    assert np.mean(ours) <= np.mean(theirs)


def test_rare_labels_are_spread_over_folds() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((1000, 12)) < np.linspace(0.01, 0.4, 12)

    def spread(folds: np.ndarray) -> float:
        counts = np.asarray([labels[folds == fold].sum(axis=0) for fold in range(5)])
        return float((counts.std(axis=0) / counts.mean(axis=0)).mean())

    ours = stratified_folds(labels, 5, seed=0)
    drawn = of_splitter(KFold(5, shuffle=True, random_state=0), labels[:, 0])
    assert spread(ours) < spread(drawn) / 3
    sizes = np.bincount(ours)
    assert sizes.max() - sizes.min() <= 0.05 * 200


@pytest.mark.parametrize(("n_folds", "groups"), [(1, None), (11, None), (4, np.arange(10) % 3)])
def test_impossible_folds_are_refused(n_folds: int, groups: np.ndarray | None) -> None:
    with pytest.raises(InvalidInputError, match=f"cannot be divided into {n_folds} folds"):
        stratified_folds(np.zeros(10, np.int64), n_folds, seed=0, groups=groups)


def test_a_drawn_share_keeps_groups_together() -> None:
    _, labels = digits()
    groups = np.arange(len(labels)) // 13
    for fraction in (0.1, 0.2, 0.5):
        chosen = draw_validation(labels, fraction, 3, groups=groups)
        assert not set(groups[chosen]) & set(groups[~chosen])
        assert abs(chosen.mean() - fraction) < 0.03
        assert (np.bincount(labels[chosen], minlength=10) > 0).all()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Digits, 13 in a row by one writer; the last rows of train by nobody known."""
    made = make_digits_store(tmp_path_factory.mktemp("groups") / "d.zarr")
    writers = [f"writer {i // 13}" if not 990 <= i < 1000 else None for i in range(1797)]
    targets = {**made.samples.targets, "writer": Target.from_labels(writers)}
    samples = Samples(made.samples.ids, made.samples.splits, targets)
    from small_store import fill

    store = FeatureStore.create(made.path.with_name("g.zarr"), samples)
    fill(store, "pixels", digits()[0])
    return store


@quick
@given(seed=st.integers(0, 99), repeats=st.integers(1, 2), grouped=st.booleans())
def test_divisions_use_every_row_and_share_no_group(
    store: FeatureStore, seed: int, repeats: int, grouped: bool
) -> None:
    part = labelled_part(store, ["pixels"], store.target("digit")[1], "test")
    groups = Groups.of(store, "writer", target="digit") if grouped else None
    shares = drawn_shares(store, part, fraction=0.2, seed=seed, repeats=repeats, groups=groups)
    folds = k_folds(store, part, folds=4, seed=seed, repeats=repeats, groups=groups)
    codes = store.target("writer")[1].codes
    assert (len(shares), len(folds)) == (repeats, 4 * repeats)
    for division in [*shares, *folds]:
        fit, held_out = division.fit.view.rows, division.held_out.view.rows
        np.testing.assert_array_equal(np.sort(np.append(fit, held_out)), part.view.rows)
        np.testing.assert_array_equal(
            division.held_out.labels, store.target("digit")[1].codes[held_out]
        )
        assert not grouped or not set(codes[fit]) & set(codes[held_out])
    for repeat in range(repeats):
        rows = [d.held_out.view.rows for d in folds if d.repeat == repeat]
        np.testing.assert_array_equal(np.sort(np.concatenate(rows)), part.view.rows)
    assert all(isinstance(division, Division) for division in shares)


def test_rows_without_a_group_are_named(store: FeatureStore, tmp_path: Path) -> None:
    groups = Groups.of(store, "writer", target="digit")
    with pytest.raises(InvalidInputError, match=r"10 rows have no 'writer': 0990\.png, .*, …;"):
        groups.of_rows(store.rows("train"))
    with pytest.raises(InvalidInputError, match="by what is predicted"):
        Groups.of(store, "digit", target="digit")
    with pytest.raises(InvalidInputError, match="may have several"):
        Groups.of(store, "tags", target="digit")
