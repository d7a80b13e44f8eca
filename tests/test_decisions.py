"""Decisions: what is kept of a run, what analyses of them give, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from featstore.analysis import compare, confusion, granularity, granularity_gap, per_class, severity
from featstore.decisions import Decisions, decided
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy

NAMES = ("hat", "cap", "shirt", "pants")
TREE = Taxonomy.from_frame(
    pd.DataFrame({"item": NAMES, "part": ["head", "head", "body", "body"], "all": "clothes"})
)


def scored(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 200)
    scores = rng.dirichlet(np.ones(4), 200) + np.eye(4)[truth] * 0.4
    ids = np.array([f"{row:03d}" for row in range(200)])
    return Predictions(ids, NAMES, truth, scores.astype(np.float32), np.ones(4, bool))


@pytest.mark.parametrize(
    "analyse",
    [
        lambda a, b: per_class(a),
        lambda a, b: confusion(a),
        lambda a, b: granularity(a, TREE),
        lambda a, b: severity(a, TREE),
        lambda a, b: compare(a, b).classes,
        lambda a, b: granularity_gap(a, b, TREE).levels,
    ],
)
def test_analyses_of_decisions_are_those_of_scores(analyse):
    truth = scored(0).truth
    a, b = scored(0), Predictions(*_same_truth(scored(1), truth))
    pd.testing.assert_frame_equal(analyse(a, b), analyse(decided(a), decided(b)))


def _same_truth(run, truth):
    return run.ids, run.classes, truth, run.scores, run.seen


def test_sums_of_probabilities_need_scores():
    with pytest.raises(InvalidInputError, match="adds up probabilities"):
        granularity(decided(scored(0)), TREE, rule="sum")


def test_impossible_decisions_are_refused():
    ids, truth = np.array(["a", "b"]), np.array([0, 1])
    with pytest.raises(InvalidInputError, match="class codes from 0 to 4"):
        Decisions(ids, NAMES, truth, np.array([0, 4]), np.ones(4, bool))
    with pytest.raises(InvalidInputError, match="one bool for each"):
        Decisions(ids, NAMES, truth, truth, np.ones(3, bool))
    with pytest.raises(InvalidInputError, match="at least one row"):
        Decisions(ids[:0], NAMES, truth[:0], truth[:0], np.ones(4, bool))
