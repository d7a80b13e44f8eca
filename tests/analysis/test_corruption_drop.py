"""Drops and corruption errors against the formulas written out, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score

from featstore import plots
from featstore.analysis import compare, corruption_drop
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions

N, CLASSES = 400, ("ant", "bee", "cat", "dog")
LABELS = ("noise-1", "noise-2", "noise-3", "jpeg10")


def run(rate: float, seed: int, *, rows: NDArray[np.intp] | None = None) -> Predictions:
    """Predictions of which about `rate` are right."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(4, size=N)
    called = np.where(rng.random(N) < rate, truth, rng.integers(4, size=N))
    rows = np.arange(N) if rows is None else rows
    ids = np.asarray([f"{i:03d}" for i in range(N)])
    return Predictions(
        ids[rows], CLASSES, truth[rows], np.eye(4, dtype=np.float32)[called[rows]], np.ones(4, bool)
    )


RUNS = {label: run(0.8 - 0.1 * i, i + 2) for i, label in enumerate(LABELS)}
BASE = {label: run(0.5 - 0.1 * i, i + 12) for i, label in enumerate(LABELS)}


def error(run: Predictions) -> float:
    return 1 - float(accuracy_score(run.truth, run.predicted))


def test_drops_are_differences_of_accuracy_with_the_intervals_of_compare() -> None:
    clean = run(0.9, 1)
    found = corruption_drop(clean, RUNS, n_boot=4000)
    assert found.metric == "top1"
    assert found.clean == pytest.approx(1 - error(clean))
    assert found.drops["corruption"].tolist() == list(LABELS)
    assert found.drops["kind"].tolist() == ["noise"] * 3 + ["jpeg10"]
    assert found.drops["severity"].tolist()[:3] == [1, 2, 3]
    for label, row in zip(LABELS, found.drops.itertuples(), strict=True):
        assert row.drop == pytest.approx(error(RUNS[label]) - error(clean))
        paired = compare(clean, RUNS[label], n_boot=4000)  # other resamples of the same rows
        width = paired.high - paired.low
        assert (row.low, row.high) == pytest.approx((-paired.high, -paired.low), abs=0.1 * width)
        assert row.low <= row.drop <= row.high


def test_corruption_errors_are_those_of_hendrycks_and_dietterich() -> None:
    clean, base = run(0.9, 1), run(0.6, 11)
    found = corruption_drop(clean, RUNS, baseline=(base, BASE), n_boot=100)
    kinds = {"noise": LABELS[:3], "jpeg10": LABELS[3:]}
    ces, relatives = [], []
    for kind, labels in kinds.items():
        mine, theirs = sum(error(RUNS[x]) for x in labels), sum(error(BASE[x]) for x in labels)
        ces.append(mine / theirs)
        relatives.append((mine - len(labels) * error(clean)) / (theirs - len(labels) * error(base)))
        row = found.errors.set_index("kind").loc[kind]
        assert row["error"] == pytest.approx(mine / len(labels))
        assert row["ce"] == pytest.approx(ces[-1])
        assert row["relative_ce"] == pytest.approx(relatives[-1])
        assert row["ce_low"] < row["ce"] < row["ce_high"]
    summary = found.summary.set_index("measure")["value"]
    assert summary["mCE"] == pytest.approx(np.mean(ces))
    assert summary["relative_mCE"] == pytest.approx(np.mean(relatives))
    assert summary["clean_error"] == pytest.approx(error(clean))
    # Kinds count alike, however many severities they have.
    expected = (np.mean([error(RUNS[x]) for x in LABELS[:3]]) + error(RUNS["jpeg10"])) / 2
    assert summary["mean_error"] == pytest.approx(expected)
    assert summary["mean_drop"] == pytest.approx(expected - error(clean))


def test_a_run_relative_to_itself_has_an_mce_of_one() -> None:
    clean = run(0.9, 1)
    found = corruption_drop(clean, RUNS, baseline=(clean, RUNS), n_boot=50)
    for row in found.summary.set_index("measure").loc[["mCE", "relative_mCE"]].itertuples():
        assert (row.value, row.low, row.high) == pytest.approx((1, 1, 1))


def test_only_rows_that_all_runs_have_count() -> None:
    few = {"jpeg10": run(0.5, 3, rows=np.arange(N)[::-1][:300]), "noise-1": RUNS["noise-1"]}
    found = corruption_drop(run(0.9, 1), few, n_boot=0)
    kept = run(0.9, 1, rows=np.arange(100, N))
    assert found.n == 300
    assert found.clean == pytest.approx(1 - error(kept))
    assert found.drops["low"].isna().all()


def test_several_labels_are_measured_by_map() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((N, 3)) < 0.3
    ids = np.asarray([f"{i:03d}" for i in range(N)])
    runs = [
        Predictions(
            ids,
            ("a", "b", "c"),
            truth,
            (1 / (1 + np.exp(-1.0 * truth * gain + rng.normal(size=(N, 3))))).astype(np.float32),
            np.ones(3, bool),
        )
        for gain in (3, 1)
    ]
    found = corruption_drop(runs[0], {"jpeg10": runs[1]}, n_boot=20)
    good, bad = (average_precision_score(truth, one.scores, average="macro") for one in runs)
    assert found.metric == "mAP"
    assert found.drops["drop"].item() == pytest.approx(good - bad)


def test_what_cannot_be_compared_is_refused() -> None:
    clean = run(0.9, 1)
    with pytest.raises(InvalidInputError, match="no run on corrupted"):
        corruption_drop(clean, {})
    with pytest.raises(InvalidInputError, match="baseline has no run on jpeg10"):
        corruption_drop(clean, RUNS, baseline=(clean, {x: BASE[x] for x in LABELS[:3]}))


def test_bars_show_the_drops_of_every_feature() -> None:
    frame = pd.concat(
        [
            corruption_drop(run(0.9, 1), runs, n_boot=20).drops.assign(feature=name)
            for name, runs in (("a", RUNS), ("b", BASE))
        ]
    )
    ax = plots.corruption_drop(frame)
    assert [text.get_text() for text in ax.get_yticklabels()] == list(LABELS)
    widths = [bar.get_width() for bars in ax.containers for bar in bars]  # type: ignore[union-attr]
    assert widths == pytest.approx(frame["drop"].tolist())
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    with pytest.raises(InvalidInputError, match="no column 'drop'"):
        plots.corruption_drop(frame.drop(columns="drop"))
