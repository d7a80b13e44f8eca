"""Coarsened predictions as a run of their own, and against a run that was trained coarse."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from featstore.analysis import coarsen, granularity, per_class, trained_coarse
from featstore.errors import InvalidInputError
from featstore.metrics import evaluate_metrics
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy


@pytest.mark.parametrize("rule", ["argmax", "sum"])
@pytest.mark.parametrize("level", ["digit", "stroke", "shape"])
def test_metrics_of_the_coarse_run_are_those_of_the_level(blurred, strokes, rule, level):
    coarse = coarsen(blurred, strokes, level, rule=rule)
    expected = granularity(blurred, strokes, rule=rule, n_boot=2000).set_index("level").loc[level]
    top1 = evaluate_metrics(coarse, n_boot=1000).set_index("metric").loc["top1"]
    assert top1["value"] == pytest.approx(expected["accuracy"])
    # Draws of rows and draws of kinds of rows have one distribution.
    assert top1["low"] == pytest.approx(expected["low"], abs=0.003)
    assert top1["high"] == pytest.approx(expected["high"], abs=0.003)
    assert coarse.n_classes == expected["n_classes"]
    np.testing.assert_allclose(coarse.scores.sum(axis=1), 1, rtol=1e-5)
    assert per_class(coarse)["n"].sum() == len(blurred)


def test_sums_are_sums_over_the_descendants(blurred, strokes):
    coarse = coarsen(blurred, strokes, "stroke", rule="sum")
    frame = strokes.to_frame().set_index("digit")["stroke"]
    summed = pd.DataFrame(blurred.scores.T, index=blurred.classes).groupby(frame).sum()
    for column, name in enumerate(coarse.classes):
        np.testing.assert_allclose(coarse.scores[:, column], summed.loc[name], rtol=1e-5)


def test_a_coarse_class_is_seen_if_one_of_its_classes_is(strokes):
    seen = np.zeros(10, bool)
    seen[2] = True
    names = tuple(strokes.names[0])
    run = Predictions(
        np.array(["a"]), names, np.array([0]), np.full((1, 10), 0.1, np.float32), seen
    )
    coarse = coarsen(run, strokes, "stroke")
    assert coarse.seen.sum() == 1


def trained_on(labels, classes, *, n_train=600):
    images, _ = load_digits(return_X_y=True)
    model = LogisticRegression(C=0.01, max_iter=2000).fit(images[:n_train], labels[:n_train])
    return Predictions(
        ids=np.array([f"{row:04d}.png" for row in range(n_train, len(labels))]),
        classes=classes,
        truth=labels[n_train:],
        scores=model.predict_proba(images[n_train:]).astype(np.float32),
        seen=np.ones(len(classes), bool),
    )


@pytest.mark.parametrize("rule", ["argmax", "sum"])
def test_trained_coarse_against_coarsened_fine(sharp, strokes, rule):
    _, digits = load_digits(return_X_y=True)
    names = ("lines", "loops", "open curves")
    ancestor = strokes.to_frame().set_index("digit")["stroke"]
    labels = np.array([names.index(ancestor[sharp.classes[digit]]) for digit in digits])
    coarse = trained_on(labels, names)
    found = trained_coarse(sharp, coarse, strokes, "stroke", rule=rule, n_boot=100)
    level = granularity(sharp, strokes, rule=rule, n_boot=0).set_index("level").loc["stroke"]
    assert found.value_a == pytest.approx(level["accuracy"])
    assert found.value_b == pytest.approx(np.mean(coarse.predicted == coarse.truth))
    assert found.low <= found.difference <= found.high
    # Linear boundaries cannot take three groups of digits apart as well as ten digits.
    assert found.high < 0
    assert found.classes["class"].tolist() == list(names)


def test_runs_that_do_not_fit_are_refused(sharp, strokes, tagged):
    with pytest.raises(InvalidInputError, match="lacks 3 of 3 classes of level 'stroke'"):
        trained_coarse(sharp, sharp, strokes, "stroke")
    with pytest.raises(InvalidInputError, match="multi-label"):
        coarsen(tagged, strokes, "stroke")
    rows = [(name, kind) for name in strokes.names[0] for kind in ("drawn", name[:1])]
    graph = Taxonomy.from_frame(
        pd.DataFrame(rows, columns=["digit", "kind"]), multiple_parents=True
    )
    with pytest.raises(InvalidInputError, match=r"10 of 10 classes belong to several .* primary"):
        coarsen(sharp, graph, "kind")
    assert coarsen(sharp, graph.primary(), "kind").classes == ("drawn",)
