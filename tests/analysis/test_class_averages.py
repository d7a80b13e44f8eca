"""Averages over groups of classes against NumPy, and both kinds of interval against theory."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from featstore.analysis import class_averages
from featstore.class_groups import ClassGroups
from featstore.decisions import Decisions, decided
from featstore.errors import FeatureNotFoundError, InvalidInputError


@pytest.fixture
def curves(blurred, strokes):
    return ClassGroups.from_taxonomy(strokes, "stroke", blurred.classes)


def made(rates, *, rows, seed=0):
    """A run whose classes are right with the given rates, wrong to the next class."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(rates)), rows)
    right = rng.random(len(truth)) < np.asarray(rates)[truth]
    called = np.where(right, truth, (truth + 1) % len(rates))
    names = tuple(f"class {code}" for code in range(len(rates)))
    ids = np.array([f"{row:06d}" for row in range(len(truth))])
    return Decisions(ids, names, truth, called, np.ones(len(rates), bool))


def test_means_of_the_classes_of_each_group(blurred, sharp, curves, strokes):
    frame = class_averages({"blurred": blurred, "sharp": decided(sharp)}, curves, n_boot=0)
    for name, run in (("blurred", blurred), ("sharp", sharp)):
        recall = sk.recall_score(run.truth, run.predicted, average=None)
        stroke = strokes.to_frame().set_index("digit")["stroke"][list(run.classes)]
        expected = pd.Series(recall, index=stroke.to_numpy()).groupby(level=0).mean()
        found = frame[frame["run"] == name].set_index("group")
        np.testing.assert_allclose(found["value"][expected.index], expected)
        assert found["n"].sum() == len(run)
        assert found["n_classes"].to_dict() == {"loops": 4, "open curves": 3, "lines": 3}
    assert frame[["low", "high", "low_classes", "high_classes"]].isna().all(axis=None)


def test_intervals_over_rows_and_over_classes():
    rates = np.random.default_rng(1).uniform(0.2, 0.9, 60)
    run = made(rates, rows=20)
    everything = pd.DataFrame({"class": run.classes, "of": "all"})
    groups = ClassGroups.from_frame(everything, "of", run.classes)
    row = class_averages({"r": run}, groups, n_boot=4000, level=0.9).iloc[0]
    accuracy = np.array([(run.predicted[run.truth == c] == c).mean() for c in range(60)])
    z = stats.norm.ppf(0.95)
    over_rows = z * np.sqrt((accuracy * (1 - accuracy) / 20).sum()) / 60
    over_classes = z * accuracy.std() / np.sqrt(60)
    assert (row.high - row.low) / 2 == pytest.approx(over_rows, rel=0.06)
    assert (row.high_classes - row.low_classes) / 2 == pytest.approx(over_classes, rel=0.06)


@pytest.mark.parametrize(("low", "high"), [("low", "high"), ("low_classes", "high_classes")])
def test_intervals_cover(low, high):
    rng = np.random.default_rng(5)
    groups = None
    covered = 0
    for trial in range(120):
        rates = np.full(40, 0.6) if low == "low" else rng.beta(3, 2, 40)
        run = made(rates, rows=10, seed=trial)
        groups = groups or ClassGroups.from_frame(
            pd.DataFrame({"class": run.classes, "of": "all"}), "of", run.classes
        )
        row = class_averages({"r": run}, groups, n_boot=200, seed=trial, level=0.9).iloc[0]
        covered += row[low] <= 0.6 <= row[high]
    assert stats.binomtest(covered, 120, 0.9).pvalue > 0.005


def test_rows_are_drawn_within_their_classes(blurred, curves):
    # Class by class, row by row, without looking for classes that are alike.
    row = class_averages({"r": blurred}, curves, n_boot=4000).set_index("group").loc["lines"]
    rng = np.random.default_rng(1)
    members = curves.members("lines")
    right = [(blurred.predicted == c)[blurred.truth == c] for c in members]
    samples = np.mean([rng.choice(hits, (4000, len(hits))).mean(axis=1) for hits in right], axis=0)
    np.testing.assert_allclose(
        [row["low"], row["high"]], np.quantile(samples, [0.025, 0.975]), atol=0.15 * samples.std()
    )


def test_multi_label_averages(tagged):
    table = pd.DataFrame({"class": tagged.classes, "kind": ["land", "land", "wet", "land", "wet"]})
    groups = ClassGroups.from_frame(table, "kind", tagged.classes)
    frame = class_averages({"t": tagged}, groups, n_boot=60).set_index("group")
    scores = sk.average_precision_score(tagged.truth[:, :4], tagged.scores[:, :4], average=None)
    assert frame.loc["land", "value"] == pytest.approx(scores[[0, 1, 3]].mean())
    assert frame.loc["wet", "value"] == pytest.approx(scores[2])  # ice has no positives
    assert frame.loc["wet", "n_classes"] == 1
    assert frame.loc["wet", ["low_classes", "high_classes"]].isna().all()
    assert frame.loc["land", "low"] < frame.loc["land", "value"] < frame.loc["land", "high"]


def test_groups_from_tables():
    table = pd.DataFrame(
        {"class": ["a", "b", "b", "c", "z"], "kind": ["x", "x", "y", " ", "y"]}, dtype=str
    )
    groups = ClassGroups.from_frame(table, "kind", ["c", "b", "a"])
    assert groups.groups == ("x", "y")
    assert groups.sizes.tolist() == [2, 1]
    assert groups.members("x").tolist() == [1, 2]
    assert groups.members("y").tolist() == [1]
    with pytest.raises(FeatureNotFoundError, match="Did you mean kind"):
        ClassGroups.from_frame(table, "kinds", ["a"])
    with pytest.raises(FeatureNotFoundError, match="no group 'w'"):
        groups.members("w")
    with pytest.raises(InvalidInputError, match="no class of the run"):
        ClassGroups.from_frame(table, "kind", ["c"])


def test_groups_of_other_classes_are_refused(blurred, curves):
    with pytest.raises(InvalidInputError, match="groups 10 classes"):
        class_averages({"r": made([0.5, 0.5], rows=3)}, curves)
