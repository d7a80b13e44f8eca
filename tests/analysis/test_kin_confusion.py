"""Siblings, cousins and strangers against counting by hand and random mistakes."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from featstore.analysis import kin_confusion
from featstore.class_groups import ClassGroups
from featstore.decisions import Decisions, decided
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.taxonomy import Taxonomy


def by_hand(run, taxonomy, level, coarser):
    """Relations of each mistake by comparing sets of names."""
    frame = taxonomy.to_frame()
    finest = frame.columns[0]
    up = dict(iter(frame.groupby(finest)))
    found = []
    for true, called in zip(run.truth, run.predicted, strict=True):
        if true != called:
            a, b = up[run.classes[true]], up[run.classes[called]]
            if set(a[level]) & set(b[level]):
                found.append("siblings")
            elif set(a[coarser]) & set(b[coarser]):
                found.append("cousins")
            else:
                found.append("strangers")
    return pd.Series(found).value_counts()


def test_mistakes_of_digits(blurred, strokes):
    frame = kin_confusion(blurred, strokes, coverage=0.9).set_index("relation")
    expected = by_hand(decided(blurred), strokes, "stroke", "shape")
    for relation, n in expected.items():
        assert frame.loc[relation, "n"] == n
    total = int(expected.sum())
    assert (frame["mistakes"] == total).all()
    low, high = proportion_confint(frame["n"], total, alpha=0.1, method="wilson")
    np.testing.assert_allclose(frame["low"], low, atol=1e-12)
    np.testing.assert_allclose(frame["high"], high, atol=1e-12)
    assert frame["expected"].sum() == pytest.approx(1)
    assert frame["expected_uniform"].sum() == pytest.approx(1)


@pytest.mark.parametrize("several", [False, True])
def test_random_mistakes_are_as_expected(several):
    rng = np.random.default_rng(0)
    c = 24
    rows = [(f"c{i}", f"g{i // 3}", f"f{i // 8}") for i in range(c)]
    if several:
        rows += [
            (f"c{i}", f"g{(i // 3 + 3) % 8}", f"f{((i // 3 + 3) % 8) * 3 // 8}") for i in (0, 5)
        ]
    frame = pd.DataFrame(rows, columns=["class", "genus", "family"])
    # The family of a genus is that of its first class.
    frame["family"] = frame["genus"].map(frame.groupby("genus")["family"].first())
    taxonomy = Taxonomy.from_frame(frame, multiple_parents=True)
    q = rng.dirichlet(np.ones(c))
    truth = rng.choice(c, 60_000, p=q)
    called = rng.choice(c, 60_000, p=np.bincount(truth, minlength=c) / len(truth))
    names = tuple(f"c{i}" for i in range(c))
    run = Decisions(np.arange(60_000).astype(str), names, truth, called, np.ones(c, bool))
    found = kin_confusion(run, taxonomy)
    np.testing.assert_allclose(found["share"], found["expected"], atol=0.01)
    np.testing.assert_allclose(found["ratio"], 1, atol=0.06)
    counted = by_hand(run.take(np.arange(3000)), taxonomy, "genus", "family")
    few = kin_confusion(run.take(np.arange(3000)), taxonomy).set_index("relation")["n"]
    assert few.to_dict() == counted.to_dict()


def test_groups_add_up(blurred, strokes):
    groups = ClassGroups.from_taxonomy(strokes, "shape", blurred.classes)
    frame = kin_confusion(blurred, strokes, groups=groups)
    whole = frame[frame["group"] == "all"].set_index("relation")["n"]
    parts = frame[frame["group"] != "all"].groupby("relation")["n"].sum()
    assert parts.to_dict() == whole.to_dict()


def test_the_coarsest_level_has_no_cousins(blurred, strokes):
    frame = kin_confusion(blurred, strokes, level="shape")
    assert frame["relation"].tolist() == ["siblings", "strangers"]
    for level in ("digit", "hue"):
        with pytest.raises((InvalidInputError, FeatureNotFoundError), match=r"coarser|no level"):
            kin_confusion(blurred, strokes, level=level)


def test_no_mistakes_and_several_labels(sharp, strokes, tagged):
    right = dataclasses.replace(decided(sharp), predicted=sharp.truth)
    frame = kin_confusion(right, strokes)
    assert (frame["n"] == 0).all()
    assert frame[["share", "low", "high", "ratio"]].isna().all(axis=None)
    with pytest.raises(InvalidInputError, match="multi-label"):
        kin_confusion(tagged, strokes)
