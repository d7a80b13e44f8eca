"""Severity against brute force on the hierarchy itself, without levels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.analysis import granularity, severity
from featstore.bootstrap import resamples
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.taxonomies import from_parents
from featstore.taxonomy import Taxonomy


def values(frame):
    return dict(zip(frame["metric"], frame["value"], strict=True))


def made_run(classes, rng, n=40):
    c = len(classes)
    return Predictions(
        ids=np.arange(n).astype(str),
        classes=tuple(classes),
        truth=rng.integers(0, c, n),
        scores=rng.dirichlet(np.ones(c), n).astype(np.float32),
        seen=np.ones(c, bool),
    )


def by_brute_force(run, parents):
    """All metrics from sets of ancestors and longest ways down."""
    nodes = set(parents)

    def ancestors(node):
        return {node}.union(*(ancestors(up) for up in parents[node]))

    sets = {name: ancestors(name) for name in run.classes}
    known = set().union(*sets.values())

    def height(node):
        below = [child for child in nodes & known if node in parents[child]]
        return max((height(child) + 1 for child in below), default=0)

    universal = set.intersection(*sets.values())
    heights, shared, called_sizes, true_sizes = [], 0, 0, 0
    for called, true in zip(run.predicted, run.truth, strict=True):
        called_set, true_set = (sets[run.classes[code]] for code in (called, true))
        heights.append(min(map(height, called_set & true_set)) if called != true else 0)
        shared += len((called_set & true_set) - universal)
        called_sizes += len(called_set - universal)
        true_sizes += len(true_set - universal)
    mistakes = [h for h in heights if h > 0]
    return {
        "mistake_severity": np.mean(mistakes) if mistakes else np.nan,
        "mean_height": np.mean(heights),
        "hierarchical_precision": shared / called_sizes,
        "hierarchical_recall": shared / true_sizes,
        "hierarchical_f1": 2 * shared / (called_sizes + true_sizes),
    }


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 10**6))
def test_any_hierarchy_with_one_root(data, seed):
    parents = {"0": []}
    for node in range(1, data.draw(st.integers(4, 18))):
        possible = st.lists(st.integers(0, node - 1), min_size=1, max_size=2, unique=True)
        parents[str(node)] = [str(parent) for parent in data.draw(possible)]
    try:
        taxonomy = from_parents(parents)
    except InvalidInputError:
        return
    run = made_run(taxonomy.names[0], np.random.default_rng(seed))
    found = values(severity(run, taxonomy, n_boot=0))
    assert found == pytest.approx(by_brute_force(run, parents), rel=1e-6, nan_ok=True)


def test_with_one_ancestor_at_each_level_height_is_the_sum_of_error_rates(blurred, strokes):
    found = values(severity(blurred, strokes, n_boot=0))
    accuracy = granularity(blurred, strokes, n_boot=0)["accuracy"]
    assert found["mean_height"] == pytest.approx((1 - accuracy).sum())
    assert found["mistake_severity"] == pytest.approx((1 - accuracy).sum() / (1 - accuracy[0]))
    for share in ("precision", "recall", "f1"):
        assert found[f"hierarchical_{share}"] == pytest.approx(accuracy.mean())


def test_intervals_are_the_bootstrap_of_the_mean(blurred, strokes):
    frame = severity(blurred, strokes, n_boot=4000, seed=3).set_index("metric")
    weights = np.concatenate(list(resamples(len(blurred), n_boot=2000, seed=3)), axis=1)
    codes = [strokes.coarsen(blurred.classes, level)[1] for level in strokes.levels]
    height = np.sum([c[blurred.predicted] != c[blurred.truth] for c in codes], axis=0)
    for name, samples in (
        ("mean_height", height @ weights / len(height)),
        ("mistake_severity", height @ weights / ((height > 0) @ weights)),
    ):
        np.testing.assert_allclose(
            frame.loc[name, ["low", "high"]].tolist(),
            np.quantile(samples, [0.025, 0.975]),
            atol=0.2 * samples.std(),
        )
    assert frame.loc["mistake_severity", "n"] == (height > 0).sum()


def test_a_run_may_start_at_a_coarser_level(sharp):
    # Digits as kinds of themselves: the level above is where the run's classes are.
    rows = [(f"{name} {i}", name, name < "n") for name in sharp.classes for i in "ab"]
    deeper = Taxonomy.from_frame(pd.DataFrame(rows, columns=["drawing", "digit", "early"]))
    at = pd.DataFrame({name: [name < "n"] for name in sharp.classes}).T.reset_index()
    same = Taxonomy.from_frame(at.set_axis(["digit", "early"], axis=1))
    pd.testing.assert_frame_equal(severity(sharp, deeper, of="digit"), severity(sharp, same))


def test_without_mistakes_and_with_one_class(sharp, strokes, tagged):
    truth = np.array([3, 4])
    right = Predictions(
        np.array(["a", "b"]),
        sharp.classes,
        truth,
        np.eye(10, dtype=np.float32)[truth],
        np.ones(10, bool),
    )
    frame = severity(right, strokes, n_boot=20)
    assert frame.loc[0, ["value", "low", "high"]].isna().all()
    assert frame["n"].tolist() == [0, 2, 2, 2, 2]
    assert frame["value"].tolist()[1:] == [0, 1, 1, 1]
    alone = Predictions(
        np.array(["a"]), ("one",), np.array([0]), np.ones((1, 1), np.float32), np.ones(1, bool)
    )
    assert values(severity(alone, strokes, n_boot=0))["mean_height"] == 0
    with pytest.raises(InvalidInputError, match="multi-label"):
        severity(tagged, strokes)
