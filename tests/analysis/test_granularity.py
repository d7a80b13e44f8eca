"""Granularity against brute-force coarsening by name."""

import dataclasses
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.analysis import granularity
from featstore.bootstrap import resamples
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy


def coarse_hits(run, taxonomy, level, rule):
    """Whether each row is right at a level, one row and one name at a time."""
    ancestor = dict(taxonomy.to_frame()[[taxonomy.levels[0], level]].itertuples(index=False))
    hits = []
    for scores, truth in zip(run.scores, run.truth, strict=True):
        sums = {}
        for name, score in zip(run.classes, scores, strict=True):
            sums[ancestor[name]] = sums.get(ancestor[name], 0.0) + float(score)
        by_rule = {
            "argmax": ancestor[run.classes[int(np.argmax(scores))]],
            "sum": max(sums, key=sums.__getitem__),
        }
        hits.append(by_rule[rule] == ancestor[run.classes[truth]])
    return np.array(hits)


@pytest.mark.parametrize("rule", ["argmax", "sum"])
def test_digits_by_their_strokes(blurred, strokes, rule):
    frame = granularity(blurred, strokes, rule=rule, n_boot=4000, seed=4, level=0.9)
    assert frame["level"].tolist() == ["digit", "stroke", "shape"]
    assert frame["n_classes"].tolist() == [10, 3, 2]
    assert (frame["n"] == len(blurred)).all()
    weights = np.concatenate(list(resamples(len(blurred), n_boot=2000, seed=4)), axis=1)
    for row in frame.itertuples():
        hits = coarse_hits(blurred, strokes, row.level, rule)
        assert row.accuracy == pytest.approx(hits.mean())
        samples = hits @ weights / len(hits)
        # Independent draws: a few hundredths of the standard error apart.
        np.testing.assert_allclose(
            [row.low, row.high], np.quantile(samples, [0.05, 0.95]), atol=0.15 * samples.std()
        )
        coarse, codes = strokes.coarsen(blurred.classes, row.level)
        names = pd.Series([coarse[code] for code in codes[blurred.truth]])
        assert row.chance == pytest.approx(names.value_counts(normalize=True).iloc[0])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 10**6))
def test_coarser_is_never_harder_when_predictions_are_coarsened(data, seed):
    c = data.draw(st.integers(2, 9))
    columns = {"0": [f"class {code}" for code in range(c)]}
    codes = np.arange(c)
    for level in "123":
        codes = np.array(data.draw(st.lists(st.integers(0, c - 1), min_size=c, max_size=c)))[codes]
        columns[level] = [f"{level}.{code}" for code in codes]
    taxonomy = Taxonomy.from_frame(pd.DataFrame(columns))
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    run = Predictions(
        ids=np.arange(n).astype(str),
        classes=tuple(rng.permutation(columns["0"]).tolist()),
        truth=rng.integers(0, c, n),
        scores=rng.dirichlet(np.ones(c), n).astype(np.float32),
        seen=np.ones(c, bool),
    )
    frame = granularity(run, taxonomy, n_boot=0)
    assert frame["accuracy"].is_monotonic_increasing
    assert frame["chance"].is_monotonic_increasing
    assert frame["n_classes"].is_monotonic_decreasing
    for rule in ("argmax", "sum"):
        summed = granularity(run, taxonomy, rule=rule, n_boot=0)
        assert summed["accuracy"].tolist() == pytest.approx(
            [coarse_hits(run, taxonomy, level, rule).mean() for level in taxonomy.levels], abs=1e-6
        )


def test_the_sum_rule_does_not_depend_on_its_blocks(blurred, strokes, monkeypatch):
    import sys

    whole = granularity(blurred, strokes, rule="sum", n_boot=0)
    monkeypatch.setattr(sys.modules["featstore.analysis.level_hits"], "_BLOCK_VALUES", 70)
    assert granularity(blurred, strokes, rule="sum", n_boot=0).equals(whole)


def test_a_run_may_start_at_a_coarser_level(sharp, strokes):
    coarse, codes = strokes.coarsen(sharp.classes, "stroke")
    run = dataclasses.replace(
        sharp,
        classes=coarse,
        truth=codes[sharp.truth],
        scores=sharp.scores[:, :3],
        seen=sharp.seen[:3],
    )
    frame = granularity(run, strokes, of="stroke", n_boot=0)
    assert frame["level"].tolist() == ["stroke", "shape"]
    assert frame["accuracy"][0] == pytest.approx(np.mean(run.predicted == run.truth))


def test_what_cannot_be_coarsened_is_refused(sharp, tagged, strokes):
    with pytest.raises(InvalidInputError, match="multi-label"):
        granularity(tagged, strokes)
    with pytest.raises(FeatureNotFoundError, match="no level 'genus'"):
        granularity(sharp, strokes, of="genus")
    other = dataclasses.replace(sharp, classes=("Zero", *sharp.classes[1:]))
    with pytest.raises(InvalidInputError, match="1 of 10 classes are missing"):
        granularity(other, strokes)


# Several parents


def ancestors_by_name(taxonomy, level):
    above = {}
    for way in taxonomy.to_frame().to_dict("records"):
        above.setdefault(way[taxonomy.levels[0]], {})[way[level]] = None
    return above


def by_names(run, taxonomy, level, rule):
    """Whether each row is right at a level, with sets of names."""
    above = ancestors_by_name(taxonomy, level)
    hits = []
    for scores, truth in zip(run.scores, run.truth, strict=True):
        true = above[run.classes[truth]]
        if rule == "argmax":
            hits.append(not above[run.classes[int(np.argmax(scores))]].keys().isdisjoint(true))
            continue
        sums = {}
        for name, score in zip(run.classes, scores, strict=True):
            for ancestor in above[name]:
                sums[ancestor] = sums.get(ancestor, 0.0) + float(score)
        hits.append(max(sums, key=sums.__getitem__) in true)
    return np.array(hits)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), seed=st.integers(0, 10**6))
def test_a_class_belongs_to_all_its_ancestors(data, seed):
    c = data.draw(st.integers(2, 7))
    ways = [[f"0.{i}"] for i in range(c)]
    for level in (1, 2, 3):
        parents = st.lists(st.integers(0, 4), min_size=1, max_size=2 if level < 3 else 1)
        above = {name: set(data.draw(parents)) for name in sorted({way[-1] for way in ways})}
        ways = [[*way, f"{level}.{parent}"] for way in ways for parent in above[way[-1]]]
    taxonomy = Taxonomy.from_frame(pd.DataFrame(ways, columns=list("0123")), multiple_parents=True)
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    run = Predictions(
        ids=np.arange(n).astype(str),
        classes=tuple(rng.permutation(taxonomy.names[0]).tolist()),
        truth=rng.integers(0, c, n),
        scores=rng.dirichlet(np.ones(c), n).astype(np.float32),
        seen=np.ones(c, bool),
    )
    for rule in ("argmax", "sum"):
        found = granularity(run, taxonomy, rule=rule, n_boot=0)
        for row in found.itertuples():
            assert row.accuracy == pytest.approx(by_names(run, taxonomy, row.level, rule).mean())
            above = ancestors_by_name(taxonomy, row.level)
            true = Counter(name for code in run.truth for name in above[run.classes[code]])
            assert row.chance == pytest.approx(true.most_common(1)[0][1] / n)
            assert row.n_classes == len(set().union(*above.values()))
        if rule == "argmax":
            assert found["accuracy"].is_monotonic_increasing


def test_classes_without_test_rows_and_never_seen_are_no_trouble(sharp, strokes):
    rows = np.flatnonzero(sharp.truth < 3)
    few = dataclasses.replace(
        sharp,
        ids=sharp.ids[rows],
        truth=sharp.truth[rows],
        scores=sharp.scores[rows] * (np.arange(10) != 7),
        seen=np.arange(10) != 7,
    )
    frame = granularity(few, strokes, n_boot=20)
    assert frame["n_classes"].tolist() == [10, 3, 2]
    assert frame["chance"].iloc[0] == pytest.approx(np.bincount(few.truth).max() / len(few))
    assert np.isfinite(frame[["accuracy", "low", "high"]]).all(axis=None)


def test_equal_scores_go_to_the_class_that_comes_first(strokes):
    run = Predictions(
        np.array(["a"]),
        strokes.names[0],
        np.array([0]),
        np.full((1, 10), 0.1, np.float32),
        np.ones(10, bool),
    )
    assert granularity(run, strokes, n_boot=0)["accuracy"].tolist() == [1, 1, 1]
    # Four digits have loops, three open curves, three lines: the largest sum is that of loops.
    assert granularity(run, strokes, n_boot=0, rule="sum")["accuracy"].tolist() == [1, 1, 1]
    other = dataclasses.replace(run, truth=np.array([9]))
    assert granularity(other, strokes, n_boot=0)["accuracy"].tolist() == [0, 0, 0]
