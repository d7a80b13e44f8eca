"""Runs of the closed-form probes: chosen, stored and shown like any other, and read in pieces."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from sklearn.preprocessing import StandardScaler

import featstore as fs
from featstore import registry
from featstore.errors import InvalidInputError
from featstore.probes import CentroidProbe, GaussianProbe, LDAProbe, RidgeProbe
from featstore.samples import Samples, Target
from featstore.scaling import BlockScaling
from featstore.store import FeatureStore
from featstore.view import FeatureView


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("digits") / "d.zarr")


@pytest.mark.parametrize(
    ("preset", "value", "estimator"),
    [
        ("ridge", 2.0, RidgeProbe(2.0)),
        (
            "bigvision-fewshot",
            None,
            RidgeProbe(1024.0, standardise=True, std_offset=1e-5, bias=100.0),
        ),
        ("ridge-loo", None, RidgeProbe("loo")),
        ("lda", 0.2, LDAProbe(0.2)),
        ("lda", 0, LDAProbe(0.0)),
        ("lda-ledoit-wolf", None, LDAProbe()),
        ("simpleshot", None, CentroidProbe(normalise=True, centre=True)),
        ("centroid", None, CentroidProbe()),
        ("centroid-cosine", 0.1, CentroidProbe(0.1, metric="cosine")),
        ("gaussian", 0.01, GaussianProbe(0.01, temperature="n_features")),
        ("dlda", 0.01, GaussianProbe(0.01, variances="pooled", temperature="n_features")),
    ],
)
@pytest.mark.parametrize("scaling", ["none", "standardise"])
def test_a_run_is_the_estimator_on_the_array(
    store: FeatureStore, preset: str, value: float | None, estimator: Any, scaling: Any
) -> None:
    run = fs.probe(
        store, "pixels", preset=preset, value=value, scaling=scaling, n_boot=0, save=False
    )
    X, y = digits()
    if scaling == "standardise":
        X = StandardScaler().fit(X[:1000].astype(np.float64)).transform(X)
    expected = estimator.fit(X[:1000], y[:1000]).predict_proba(X[1000:])
    np.testing.assert_allclose(run.predictions.scores, expected, atol=2e-4)
    assert (run.head is None) == (not hasattr(estimator, "coef_"))
    if value is not None:
        assert (run.config.value, run.config.selected_on) == (value, "fixed")


@pytest.mark.parametrize(
    ("preset", "parameter", "rule"),
    [
        ("ridge-loo", "alpha", "leave-one-out"),
        ("lda-ledoit-wolf", "shrinkage", "Ledoit–Wolf"),
        ("simpleshot", "temperature", "mean distance within classes"),
    ],
)
def test_values_that_a_probe_settles_on_are_stored(
    tmp_path: Path, preset: str, parameter: str, rule: str
) -> None:
    store = make_digits_store(tmp_path / "d.zarr", n_train=700, val=300)
    run = fs.probe(store, "pixels", preset=preset, n_boot=10)
    again = store.run(run.name)
    assert again.config == run.config
    assert again.config.parameter == parameter
    assert again.config.value > 0
    assert again.config.selected_on == f"train+val, {rule}"
    assert not again.config.selected_on_test
    assert again.config.n_train == 1000
    assert len(again.selection) == 0
    fixed = fs.probe(store, "pixels", preset=preset, value=run.config.value, n_boot=0, save=False)
    np.testing.assert_allclose(fixed.predictions.scores, run.predictions.scores, atol=1e-5)


@pytest.mark.parametrize("probe", ["ridge", "lda", "gaussian"])
def test_values_are_chosen_on_validation_rows(store: FeatureStore, probe: str) -> None:
    run = fs.probe(store, "pixels", probe=probe, n_boot=0, save=False)
    assert run.config.preset == probe
    assert run.config.selected_on == "20% of train"
    best = run.selection[run.selection["score"] == run.selection["score"].max()]
    # Of equal scores the strongest regularisation, which here is the largest value.
    assert run.config.value == best["value"].max()
    assert run.accuracy > 0.8


def test_conditioning_is_stored(store: FeatureStore) -> None:
    ridge = fs.probe(store, "pixels", probe="ridge", value=1, n_boot=0, name="conditioned")
    found = store.run("conditioned").certificate
    assert found == ridge.certificate
    assert found["rank"] <= 64
    assert 1 < found["effective_dof"] < 65
    assert fs.probe(store, "pixels", probe="centroid", n_boot=0, save=False).certificate == {}


@pytest.mark.parametrize("scaling", ["none", "l2"])
def test_a_stored_ridge_head_gives_the_stored_scores(store: FeatureStore, scaling: Any) -> None:
    run = fs.probe(store, ["pca", "pixels"], probe="ridge", value=1, scaling=scaling, n_boot=0)
    head = store.run(run.name).head
    assert head is not None
    X = head.scaling.apply(store.view(["pca", "pixels"], split="test")).astype(np.float64)
    scores = X @ head.coef.T + head.intercept
    proba = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run.predictions.scores, proba, atol=1e-6)


def test_no_array_of_the_whole_feature_is_made(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the feature was read whole")

    monkeypatch.setattr(FeatureView, "array", whole)
    monkeypatch.setattr(BlockScaling, "apply", whole)
    for probe in ("ridge", "lda", "centroid", "gaussian"):
        run = fs.probe(store, "pixels", probe=probe, scaling="l2", n_boot=0, save=False)
        assert run.accuracy > 0.8
    with pytest.raises(AssertionError, match="read whole"):
        fs.probe(store, "pixels", probe="logistic", n_boot=0, save=False)


def test_rows_that_are_not_finite_are_named(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = FeatureView.batches

    def spoilt(view: FeatureView, *arguments: Any, **options: Any) -> Any:
        for batch in batches(view, *arguments, **options):
            copy = batch.copy()
            copy[3] = np.nan
            yield copy

    monkeypatch.setattr(FeatureView, "batches", spoilt)
    with pytest.raises(InvalidInputError, match=r"NaN or infinity: 0003\.png \(row 3\)"):
        fs.probe(store, "pixels", probe="ridge", value=1, save=False)


def test_few_shot_presets_with_one_row_per_class(new_store: Callable[..., FeatureStore]) -> None:
    X, y = digits()
    first = np.unique(y, return_index=True)[1]
    splits = np.full(len(X), "test", dtype="U5")
    splits[first] = "train"
    ids = np.asarray([str(i) for i in range(len(X))])
    samples = Samples(ids, splits, {"digit": Target.from_labels([str(d) for d in y])})
    store = new_store(samples=samples, pixels=X)
    for preset in ("bigvision-fewshot", "simpleshot", "centroid", "ridge-loo"):
        run = fs.probe(store, "pixels", preset=preset, n_boot=0, save=False)
        assert run.accuracy > 0.4
    with pytest.raises(InvalidInputError, match="use the centroid probe"):
        fs.probe(store, "pixels", preset="lda-ledoit-wolf", n_boot=0, save=False)


class PluginProbe(CentroidProbe):
    """What somebody else's package may register."""

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__(temperature)


def test_a_plugin_runs_with_its_own_defaults(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint("plugin", f"{__name__}:PluginProbe", registry.PROBE_ENTRY_POINTS)
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [entry])
    monkeypatch.setattr(registry.importlib, "import_module", lambda name: _Module)
    run = fs.probe(store, "pixels", probe="plugin", n_boot=0, save=False)
    assert (run.config.probe, run.config.preset) == ("plugin", "plugin")
    assert (run.config.value, run.config.selected_on) == (2.0, "fixed")
    # As a report has it: the preset alone.
    again = fs.probe(store, "pixels", preset="plugin", value=3, n_boot=0, save=False)
    assert (again.config.value, again.config.selected_on) == (3.0, "fixed")


class _Module:
    PluginProbe = PluginProbe
