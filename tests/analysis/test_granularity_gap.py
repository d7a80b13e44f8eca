"""Gaps between runs: paired, and said to open no earlier than they do."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from featstore.analysis import granularity, granularity_gap
from featstore.analysis.granularity_gap import opening
from featstore.bootstrap import resamples
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy


def test_the_gap_of_blurred_to_sharp_digits(blurred, sharp, strokes):
    gap = granularity_gap(blurred, sharp, strokes, n_boot=4000, seed=2, level=0.9)
    first, second = (granularity(run, strokes, n_boot=0) for run in (blurred, sharp))
    np.testing.assert_allclose(gap.levels["accuracy_a"], first["accuracy"])
    np.testing.assert_allclose(gap.levels["accuracy_b"], second["accuracy"])
    assert gap.levels["level"].tolist() == list(strokes.levels)
    weights = np.concatenate(list(resamples(len(sharp), n_boot=2000, seed=2)), axis=1)
    for row in gap.levels.itertuples():
        _, codes = strokes.coarsen(sharp.classes, row.level)
        truth = codes[sharp.truth]
        better = (codes[sharp.predicted] == truth) * 1.0 - (codes[blurred.predicted] == truth)
        assert row.gap == pytest.approx(better.mean())
        samples = better @ weights / len(truth)
        np.testing.assert_allclose(
            [row.low, row.high], np.quantile(samples, [0.05, 0.95]), atol=0.15 * samples.std()
        )
    assert (gap.coverage, gap.n_common, gap.n_only_a, gap.n_only_b) == (0.9, len(sharp), 0, 0)
    assert gap.opens_at is not None


def test_rows_are_paired_by_id(blurred, sharp, strokes):
    order = np.random.default_rng(0).permutation(len(sharp))[50:]
    other = dataclasses.replace(
        sharp, ids=sharp.ids[order], truth=sharp.truth[order], scores=sharp.scores[order]
    )
    gap = granularity_gap(blurred, other, strokes, n_boot=0)
    assert (gap.n_common, gap.n_only_a, gap.n_only_b) == (len(order), 50, 0)
    assert gap.opens_at is None
    with pytest.raises(InvalidInputError, match="no test row in common"):
        granularity_gap(
            blurred, dataclasses.replace(sharp, ids=np.char.add(sharp.ids, "x")), strokes
        )


def made(confused, n=600, seed=0):
    """Two runs of twelve species: b is right, a takes a share of rows for a relative.

    `confused` says how often, for a relative of the genus, the family, and beyond.
    """
    rng = np.random.default_rng(seed)
    rows = [(f"s{i}", f"g{i // 2}", f"f{i // 6}") for i in range(12)]
    taxonomy = Taxonomy.from_frame(pd.DataFrame(rows, columns=["species", "genus", "family"]))
    truth = rng.integers(0, 12, n)
    how = rng.choice(4, n, p=[*confused, 1 - sum(confused)])
    called = np.choose(how, [truth ^ 1, (truth + 2) % 6 + truth // 6 * 6, (truth + 6) % 12, truth])
    ids, names = np.arange(n).astype(str), tuple(row[0] for row in rows)
    a, b = (
        Predictions(ids, names, truth, np.eye(12, dtype=np.float32)[codes], np.ones(12, bool))
        for codes in (called, truth)
    )
    return a, b, taxonomy


@pytest.mark.parametrize(
    ("confused", "opens_at", "finding"),
    [
        ((0.2, 0, 0), "species", "b is better at species; at genus the gap cannot be told"),
        ((0, 0.2, 0), "genus", "from species up to genus; at family the gap cannot be told"),
        ((0, 0, 0.2), "family", "b is better at every level, up to family"),
        ((0, 0, 0), None, "no gap can be told from 0 at species on these 600 rows"),
    ],
)
def test_the_gap_opens_where_the_confusions_end(confused, opens_at, finding):
    gap = granularity_gap(*made(confused))
    assert gap.opens_at == opens_at
    assert finding in gap.finding


def test_the_worse_run_may_be_b():
    a, b, taxonomy = made((0.2, 0, 0))
    gap = granularity_gap(b, a, taxonomy)
    assert gap.opens_at == "species"
    assert gap.finding.startswith("a is better at species")


@pytest.mark.parametrize(
    ("low", "high", "count"),
    [
        ([1, 1, 1], [2, 2, 2], 3),
        ([1, -1, 1], [2, 2, 2], 1),
        ([-1, 1, 1], [2, 2, 2], 0),
        ([-2, -2], [-1, -1], 2),
        ([-2, 1], [-1, 2], 1),
        ([np.nan, 1], [np.nan, 2], 0),
        ([0, 1], [2, 2], 0),
    ],
)
def test_opening_stops_at_the_first_interval_that_holds_0(low, high, count):
    assert opening(np.array(low, float), np.array(high, float)) == count


def test_without_a_gap_none_opens_in_more_than_one_of_twenty_cases():
    # Two runs that are wrong independently and equally often; the standard error of 100 cases is
    # 2.2 %.
    opened = 0
    for seed in range(100):
        _, right, taxonomy = made((0, 0, 0), n=150, seed=seed)
        rng = np.random.default_rng(seed)
        wrong = np.roll(right.scores, 1, axis=1)
        a, b = (
            dataclasses.replace(
                right, scores=np.where(rng.random((150, 1)) < 0.2, wrong, right.scores)
            )
            for _ in range(2)
        )
        opened += granularity_gap(a, b, taxonomy, n_boot=100, seed=seed).opens_at is not None
    assert 0 < opened / 100 <= 0.05 + 3 * 0.022
