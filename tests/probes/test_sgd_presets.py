"""The presets of the SGD probes, shortened, from a store to a run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from digits_store import make_digits_store
from sklearn.exceptions import ConvergenceWarning

import featstore as fs
from featstore.presets import PRESETS, Preset
from featstore.probes import SGDProbe
from featstore.registry import probe as probe_class
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("presets") / "digits.zarr")


def shortened(monkeypatch: pytest.MonkeyPatch, name: str, **changes: object) -> Preset:
    preset = PRESETS[name]
    arguments = dict(preset.arguments)
    if "arguments" in arguments:
        arguments["arguments"] = arguments["arguments"] | changes
    else:
        arguments |= changes
    short = dataclasses.replace(preset, arguments=arguments)
    monkeypatch.setitem(PRESETS, name, short)
    return short


def test_paper_linear_is_one_training(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", preset="paper-linear", n_boot=0, save=False)
    assert run.accuracy > 0.9
    assert (run.config.parameter, run.config.value) == ("lr", 0.4)
    assert run.config.selected_on == "fixed"
    assert len(run.selection) == 0
    probe = SGDProbe().fit(
        store.view("pixels", split="train"),
        store.target("digit")[1].codes[store.view("pixels", split="train").rows],
    )
    np.testing.assert_array_equal(run.head.coef, probe.coef_)
    assert run.certificate["epochs"] == 90


def test_paper_linear_on_several_labels(store: FeatureStore) -> None:
    run = fs.probe(store, "pixels", preset="paper-linear", target="tags", n_boot=0, save=False)
    assert run.metric("mAP") > 0.85


def test_dinov2_linear(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = shortened(monkeypatch, "dinov2-linear", steps=300, batch_size=128)
    run = fs.probe(store, "pixels", preset="dinov2-linear", n_boot=0, save=False)
    assert run.accuracy > 0.85
    assert run.selection["value"].tolist() == sorted(preset.values)
    assert run.certificate["lr"] == pytest.approx(run.config.value * 128 / 256)


def test_clip_benchmark(store: FeatureStore) -> None:
    # lr x decay = 10: the weights change their sign and grow at every step.
    with pytest.warns(ConvergenceWarning, match="weight_decay=100"):
        run = fs.probe(store, "pixels", preset="clip-benchmark", n_boot=0, save=False)
    assert run.accuracy > 0.85
    tried = run.selection["value"].to_numpy()
    # Every value lies on the published grid, twelve to a decade.
    places = (np.log10(tried) + 6) * 12
    np.testing.assert_allclose(places, places.round(), atol=1e-4)
    assert 7 <= len(tried) <= 15


def test_capi(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    shortened(monkeypatch, "capi", steps=300, warmup_steps=30)
    run = fs.probe(store, "pixels", preset="capi", n_boot=0, save=False)
    assert run.accuracy > 0.85
    assert run.selection["value"].tolist() == list(range(30))
    grid = [
        (lr, decay)
        for lr in PRESETS["capi"].arguments["lrs"]
        for decay in PRESETS["capi"].arguments["weight_decays"]
    ]
    lr, decay = grid[int(run.config.value)]
    assert run.certificate["lr"] == pytest.approx(lr * 128 / 256)
    assert run.certificate["weight_decay"] == decay


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dinov2-linear", "capi"])
def test_whole_presets(store: FeatureStore, name: str) -> None:
    run = fs.probe(store, "pca", preset=name, n_boot=0, save=False)
    assert run.accuracy > 0.85


@pytest.mark.parametrize(
    "name", [name for name, preset in PRESETS.items() if preset.probe.startswith("sgd")]
)
def test_arguments_are_those_of_the_probes(name: str) -> None:
    preset = PRESETS[name]
    estimator = probe_class(preset.probe)(**preset.arguments)
    for value in preset.values:
        estimator.set_params(**{estimator.parameter: estimator.parameter_type(value)})
        if preset.probe == "sgd-grid":
            estimator._probe(estimator.head).check_parameters()
        else:
            estimator.check_parameters()
