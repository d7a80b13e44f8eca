"""Fusion: real gains are found, redundant blocks are not praised, runs are used again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from sklearn.decomposition import PCA
from small_store import fill

import featstore as fs
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.fusion_controls import principal_components, random_projection
from featstore.fusion_table import verdict
from featstore.probe_request import ProbeRequest

RIDGE = {"probe": "ridge", "value": 1.0, "n_boot": 200}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Digits by their upper and lower halves, which complete each other, and by all pixels."""
    store = make_digits_store(tmp_path_factory.mktemp("fusion") / "d.zarr")
    X, _ = digits()
    fill(store, "top", X[:, :32])
    fill(store, "bottom", X[:, 32:])
    return store


@pytest.fixture(scope="module")
def table(store):
    return fs.fusion(store, [("top", "bottom"), ("pixels", "top")], **RIDGE)


def row(table, place=0):
    return table.pairs.iloc[place]


def test_halves_of_an_image_are_complementary(store, table):
    halves = row(table)
    assert (halves.a, halves.b, halves.dim_a, halves.dim_b, halves.dim) == (
        "top",
        "bottom",
        32,
        32,
        64,
    )
    assert halves.low > 0.05
    assert halves.verdict == "complementary"
    assert halves.score == pytest.approx(fs.probe(store, "pixels", save=False, **RIDGE).accuracy)
    run = store.run(halves.run_a).metrics.iloc[0]
    assert (halves.score_a_low, halves.score_a_high) == (run["low"], run["high"])
    assert halves.score_low < halves.score < halves.score_high
    assert halves.gain == pytest.approx(halves.score - max(halves.score_a, halves.score_b))


def test_gains_are_paired_comparisons_of_the_runs(store, table):
    halves = row(table)
    best = {halves.a: halves.run_a, halves.b: halves.run_b}[halves.best]
    found = fs.compare(store.run(best), store.run(halves.run), n_boot=200, seed=0)
    assert (halves.gain, halves.low, halves.high) == (found.difference, found.low, found.high)


def test_a_part_adds_nothing_and_is_not_called_complementary(store, table):
    part = row(table, 1)
    assert part.best == "pixels"
    assert part.low <= 0 <= part.high
    assert part.verdict == "undecided"
    again = fs.fusion(store, [("pixels", "top")], margin=0.02, **RIDGE)
    assert row(again).verdict == "redundant"
    assert "2 points" in again.rule


def test_controls_have_the_sizes_that_they_control(table):
    controls = table.controls.set_index(["a", "b", "control"])
    assert len(controls) == 4
    assert controls.loc[("top", "bottom", "projection"), "dim"] == 64
    assert controls.loc[("top", "bottom", "pca"), "dim"] == 32
    assert controls.loc[("pixels", "top", "projection"), "dim"] == 96
    projection = controls.loc[("top", "bottom", "projection")]
    # A projection of the member holds nothing new; halves of the image do.
    assert projection.low <= 0.01
    assert projection.over_low > 0.05
    assert projection.score + projection.over == pytest.approx(row(table).score)


def test_stored_runs_are_used_again_and_controls_leave_none(store, table, monkeypatch):
    runs = store.runs
    assert not any("@" in feature for name in runs for feature in store.run(name).config.features)

    def refuse(*args, **kwargs):
        raise AssertionError("a run was fitted again")

    monkeypatch.setattr("featstore.probe_request.probe", refuse)
    again = fs.fusion(store, [("top", "bottom")], controls=False, **RIDGE)
    assert again.controls.empty
    assert row(again).drop("verdict").equals(row(table).drop("verdict"))
    assert store.runs == runs


@pytest.mark.parametrize(
    "change",
    [
        {"value": 2.0},
        {"value": None},
        {"probe": "lda", "value": 0.1},
        {"scaling": "l2"},
        {"target": "tags"},
        {"seed": 1},
        {"train": "test", "test": "train"},
        {"select": "kfold"},
    ],
)
def test_a_run_of_another_question_is_no_answer(store, table, change):
    request = ProbeRequest(**RIDGE)
    assert request.stored(store, ["top"]).name == row(table).run_a
    assert dataclasses.replace(request, **change).stored(store, ["top"]) is None
    assert request.stored(store, ["bottom", "top"]) is None


@pytest.mark.parametrize(
    "choice",
    [
        {"probe": "ridge"},
        {"probe": "ridge", "select": "kfold"},
        {"preset": "ridge-loo"},
        {"preset": "simpleshot"},
    ],
)
def test_every_kind_of_choice_is_recognised(store, choice):
    request = ProbeRequest(**choice, n_boot=10)
    run = request.run(store, ["bottom"], save=True)
    assert request.stored(store, ["bottom"]).name == run.name
    store.delete_run(run.name)


def test_an_approximate_search_is_no_answer(store):
    request = ProbeRequest(probe="knn", value=5, n_boot=10)
    names = []
    for engine, answers in (("faiss-hnsw", False), ("faiss", True)):
        run = fs.probe(store, "top", probe="knn", value=5, engine=engine, n_boot=10, name=engine)
        names.append(run.name)
        assert (request.stored(store, ["top"]) is not None) == answers
    for name in names:
        store.delete_run(name)


def test_nothing_is_stored_on_request(store):
    before = store.runs
    fs.fusion(store, [("pca", "top")], save=False, controls=False, **RIDGE)
    assert store.runs == before


def test_all_pairs_and_several_labels(tmp_path):
    store = make_digits_store(tmp_path / "d.zarr")
    table = fs.fusion(store, target="tags", scaling="standardise", **RIDGE)
    assert table.metric == "mAP"
    assert [tuple(pair) for pair in table.pairs[["a", "b"]].to_numpy()] == [("pca", "pixels")]
    assert table.controls["score"].between(0.5, 1).all()


def test_components_are_scikit_learns(store):
    train = store.view(["top", "pca"], split="train")
    made = principal_components(train, dim=5, scaling="none")
    X = train.array().astype(np.float64)
    expected = PCA(5, svd_solver="full").fit_transform(X)
    got = made.function(X.astype(np.float32))
    np.testing.assert_allclose(np.abs(got), np.abs(expected), atol=1e-4)
    few = store.view(["top", "pca"], rows=np.arange(4))
    assert principal_components(few, dim=5, scaling="l2").dim == 3


def test_a_projection_is_of_the_member_alone_and_keeps_its_scale(store):
    view = store.view("pixels")
    made = random_projection(view, dim=2000, seed=0)
    X = view.array().astype(np.float32)
    assert made.sources == ("pixels",)
    assert np.square(made.function(X)).mean() == pytest.approx(np.square(X).mean(), rel=0.05)


def test_verdicts_need_intervals():
    assert verdict(0.0, 0.02) == verdict(-0.01, 0.0) == verdict(0.0, 0.0) == "undecided"
    assert verdict(0.004, 0.02, margin=0.005) == "undecided"


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([("top", "top")], {}, "two different features"),
        ([("top",)], {}, "two different features"),
        ([], {}, "no pair"),
        ([("top", "bottom")], {"margin": 1.0}, "margin is a share"),
        ([("top", "bottom")], {"n_boot": 0}, "n_boot must be at least 1"),
    ],
)
def test_bad_input_is_one_clear_error(store, pairs, options, message):
    with pytest.raises(InvalidInputError, match=message):
        fs.fusion(store, pairs, **{**RIDGE, **options})


def test_a_missing_feature_is_found_before_anything_is_fitted(store, monkeypatch):
    monkeypatch.setattr("featstore.probe_request.probe", None)
    with pytest.raises(FeatureNotFoundError, match="no feature 'bottm'"):
        fs.fusion(store, [("top", "bottm")], **RIDGE)
