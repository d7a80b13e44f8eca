"""Runs as models of other programs: each gives the run's probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.base import clone

import featstore as fs
from featstore.cli.main import group
from featstore.errors import InvalidInputError
from featstore.images import load_pixels
from featstore.run import ProbeRun
from featstore.run_exports.model import RunModel
from featstore.store import FeatureStore

#: The heads are the run's, in float64; what differs is how exponentials are rounded.
HEADS: dict[str, Any] = {
    "one feature": ("small", {}),
    "standardised": (["small", "wide"], {"scaling": "standardise"}),
    "unit blocks": (["small", "wide"], {"scaling": "l2", "probe": "ridge"}),
    "tempered": ("small", {"preset": "dlda", "value": None}),
    "labels": ("wide", {"target": "tags", "scaling": "l2"}),
}


@pytest.fixture(scope="module")
def runs(store: FeatureStore) -> dict[str, ProbeRun]:
    made = {}
    for name, (features, options) in HEADS.items():
        made[name] = fs.probe(store, features, **({"value": 1.0, "n_boot": 20} | options))
    return made


def stored_rows(store: FeatureStore, run: ProbeRun) -> np.ndarray:
    rows = np.flatnonzero(np.isin(store.samples.ids, run.predictions.ids))
    view = store.view(list(run.config.features), rows=rows)
    assert view.ids.tolist() == run.predictions.ids.tolist()
    return view.array()


@pytest.mark.parametrize("name", HEADS)
def test_scikit_learns_pipeline_gives_the_stored_scores(
    store: FeatureStore, runs: dict[str, ProbeRun], name: str, tmp_path: Path
) -> None:
    skops = pytest.importorskip("skops.io")
    run = runs[name]
    fs.export_run(store, run, tmp_path / "head.skops")
    assert skops.get_untrusted_types(file=tmp_path / "head.skops") == []
    loaded = skops.load(tmp_path / "head.skops")
    X = stored_rows(store, run).astype(np.float64)
    proba = loaded.predict_proba(X)
    classes = [run.predictions.classes.index(name) for name in RunModel(store, run, {}).classes]
    np.testing.assert_allclose(proba, run.predictions.scores[:, classes], atol=2e-6)
    if run.predictions.multilabel:
        np.testing.assert_array_equal(loaded.predict(X), run.predictions.scores > 0.5)
    else:
        assert loaded.predict(X).tolist() == [
            run.predictions.classes[code] for code in run.predictions.predicted
        ]
    clone(loaded)  # its parameters are those of a constructor


def test_a_constant_column_stays_out(store: FeatureStore) -> None:
    """Its scale is 0, by which scikit-learn's scaler cannot divide."""
    import dataclasses

    from featstore.run_exports.sklearn_file import pipeline

    run = fs.probe(store, "small", value=1.0, scaling="standardise", n_boot=0, save=False)
    assert run.head is not None
    scale = run.head.scaling.scale.copy()
    scale[:3] = 0
    scaling = dataclasses.replace(run.head.scaling, scale=scale)
    head = dataclasses.replace(run.head, scaling=scaling)
    before = head.coef.copy()
    changed = dataclasses.replace(run, head=head)
    X = stored_rows(store, run).astype(np.float64)
    found = pipeline(RunModel(store, changed, {})).predict_proba(X)
    np.testing.assert_allclose(found, head.probabilities(X), atol=2e-6)
    np.testing.assert_array_equal(head.coef, before)


def test_one_score_decides_between_two_classes() -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from featstore.head import Head
    from featstore.link import Link
    from featstore.run_exports.onnx_graph import OnnxClassifier
    from featstore.run_exports.sklearn_file import logistic
    from featstore.scaling import BlockScaling

    pixels = np.random.default_rng(0).integers(0, 3, (9, 1, 1, 3), np.uint8)
    as_is = BlockScaling("none", (3,), np.zeros(3, np.float32), np.ones(3, np.float32))
    coef, intercept = np.array([[1.0, -2.0, 0.5]]), np.array([0.3])
    head = Head(coef, intercept, np.array([0, 1]), as_is, Link("softmax", 2.0))
    X = pixels.reshape(9, 3).astype(np.float32)
    expected = head.probabilities(X)
    np.testing.assert_allclose(
        expected[:, 1], 1 / (1 + np.exp(-2 * (X @ coef[0] + 0.3))), atol=1e-6
    )
    fitted = logistic(2 * coef, 2 * intercept, np.array(["a", "b"]))
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-6)
    helper, kinds = onnx.helper, onnx.TensorProto
    flatten = helper.make_graph(
        [
            helper.make_node("Cast", ["pixels"], ["floats"], to=kinds.FLOAT),
            helper.make_node("Flatten", ["floats"], ["features"]),
        ],
        "flatten",
        [helper.make_tensor_value_info("pixels", kinds.UINT8, ["n", 1, 1, 3])],
        [helper.make_tensor_value_info("features", kinds.FLOAT, ["n", 3])],
    )
    backbone = helper.make_model(flatten, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content = OnnxClassifier.of([backbone], pixels=["pixels"], head=head).serialised("key", "{}")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"pixels": pixels})
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_safetensors_hold_what_one_needs(
    store: FeatureStore, runs: dict[str, ProbeRun], tmp_path: Path
) -> None:
    from safetensors import safe_open
    from scipy.special import softmax

    run = runs["standardised"]
    exported = fs.export_run(store, run, tmp_path / "head.safetensors")
    assert exported.nbytes == exported.path.stat().st_size
    with safe_open(exported.path, framework="numpy") as file:
        coef, intercept, mean, scale = (
            file.get_tensor(name) for name in ("coef", "intercept", "mean", "scale")
        )
        said = json.loads(file.metadata()["featstore"])
    X = (stored_rows(store, run).astype(np.float32) - mean) * scale
    proba = softmax(said["link"]["slope"] * (X @ coef.T + intercept), axis=1)
    columns = [run.predictions.classes.index(name) for name in said["classes"]]
    np.testing.assert_allclose(proba, run.predictions.scores[:, columns], atol=2e-6)
    weights = store.feature("wide").spec.backbone.weights_digest
    assert said["features"][1]["spec"]["backbone"]["weights_digest"] == weights


@pytest.mark.parametrize("name", ["standardised", pytest.param("labels", marks=pytest.mark.slow)])
def test_onnx_from_photos_to_probabilities(
    store: FeatureStore, runs: dict[str, ProbeRun], few_photos: Path, name: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = runs[name]
    exported = fs.export_run(store, run, tmp_path / "model.onnx")
    assert exported.difference is not None
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    said = json.loads(session.get_modelmeta().custom_metadata_map["featstore"])
    feed = {}
    for given in session.get_inputs():
        # Both networks take 32 pixels; their geometries differ in the filter or the resize.
        wanted = said["inputs"][given.name]
        (spec,) = {
            store.feature(feature).spec
            for feature in run.config.features
            if given.name in ("pixels", f"pixels_{feature}")
            and store.feature(feature).spec.transform.resize == wanted["resize"]  # type: ignore[union-attr]
        }
        assert spec.transform is not None
        feed[given.name] = np.stack(
            [load_pixels(few_photos / str(i), spec.transform) for i in run.predictions.ids]
        )
    found, features = session.run(["probabilities", "features"], feed)
    columns = [run.predictions.classes.index(name) for name in said["classes"]]
    # Stored features are rounded to float16, those of the graph are not.
    np.testing.assert_allclose(found, run.predictions.scores[:, columns], atol=5e-3)
    np.testing.assert_allclose(features, stored_rows(store, run), rtol=2e-3, atol=2e-3)
    alone = {key: pixels[:1] for key, pixels in feed.items()}
    np.testing.assert_allclose(session.run(["probabilities"], alone)[0], found[:1], atol=1e-5)


def test_an_onnx_backbone_is_joined(few_photos: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    helper = onnx.helper
    rng = np.random.default_rng(0)
    w = rng.standard_normal((12, 3, 4, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "w"], ["map"], strides=[4, 4]),
            helper.make_node("Relu", ["map"], ["map+"]),
            helper.make_node("Reshape", ["map+", "shape"], ["flat"]),
            helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("tokens", onnx.TensorProto.FLOAT, ["n", 16, 12])],
        [
            onnx.numpy_helper.from_array(w, "w"),
            onnx.numpy_helper.from_array(np.asarray([0, 12, 16], np.int64), "shape"),
        ],
    )
    for opset in (13, 18):
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9
        )
        onnx.save_model(model, str(tmp_path / f"tiny{opset}.onnx"))
    sources = [
        f"tokens=onnx:{tmp_path}/tiny13.onnx?pool=cls+mean",
        f"map=onnx:{tmp_path}/tiny18.onnx#map+",
        f"flat=onnx:{tmp_path}/tiny13.onnx?pool=flatten",
    ]
    made = fs.extract(few_photos, sources, tmp_path / "s.zarr", device="cpu", dtype="float32").store
    run = fs.probe(made, ["tokens", "map", "flat"], value=1.0, scaling="l2", n_boot=0)
    exported = fs.export_run(made, run, tmp_path / "joined.onnx")
    assert exported.difference is not None
    assert exported.difference < 1e-5
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["pixels"]
    transform = made.feature("map").spec.transform
    assert transform is not None
    pixels = np.stack([load_pixels(few_photos / str(i), transform) for i in run.predictions.ids])
    (found,) = session.run(["probabilities"], {"pixels": pixels})
    seen = run.predictions.seen  # a class without a training row has no output
    np.testing.assert_allclose(found, run.predictions.scores[:, seen], atol=1e-5)


def test_what_cannot_be_exported(store: FeatureStore, run: ProbeRun, tmp_path: Path) -> None:
    knn = fs.probe(store, "small", probe="knn", value=3, n_boot=20)
    for suffix in ("onnx", "skops", "safetensors"):
        with pytest.raises(InvalidInputError, match="keeps no linear head"):
            fs.export_run(store, knn, tmp_path / f"knn.{suffix}")
    assert list(tmp_path.iterdir()) == []
    fs.export_run(store, knn, tmp_path / "knn.md")  # a card can be written
    with pytest.raises(InvalidInputError, match="the suffix says the format"):
        fs.export_run(store, run, tmp_path / "model.pt")
    with pytest.raises(InvalidInputError, match="--overwrite"):
        fs.export_run(store, run, tmp_path / "knn.md")
    with pytest.raises(InvalidInputError, match="there is no folder"):
        fs.export_run(store, run, tmp_path / "nowhere" / "a.md")


def test_the_command(store: FeatureStore, run: ProbeRun, tmp_path: Path) -> None:
    words = ["export", str(store.path), "--out", str(tmp_path / "head.joblib")]
    result = CliRunner().invoke(group, [*words, "--run", run.name])
    assert result.exit_code == 0, result.output
    assert ".skops is safe" in result.stderr
    import joblib

    trained = [
        n for n, seen in zip(run.predictions.classes, run.predictions.seen, strict=True) if seen
    ]
    assert joblib.load(tmp_path / "head.joblib").classes_.tolist() == trained
    for wrong in (words, [*words, "--run", run.name, "--features", "small"]):
        refused = CliRunner().invoke(group, wrong)
        assert refused.exit_code == 2
        assert "--features or --run" in refused.stderr
    card = tmp_path / "README.md"
    result = CliRunner().invoke(
        group, ["export", str(store.path), "--run", run.name, "-o", str(card), "--json"]
    )
    assert json.loads(result.stdout)["nbytes"] == card.stat().st_size
