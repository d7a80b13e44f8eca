"""The nearest samples of a store, against a product of normalised rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import featstore as fs
from featstore.cli.main import group
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.store import FeatureStore


def cosines(store: FeatureStore, features: list[str]) -> np.ndarray:
    X = store.view(features).array().astype(np.float64)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X @ X.T


@pytest.mark.parametrize("features", [["small"], ["small", "wide"]])
@pytest.mark.parametrize("engine", ["torch", "faiss"])
def test_neighbours_of_samples(store: FeatureStore, features: list[str], engine: str) -> None:
    ids = store.samples.ids
    asked = [str(ids[3]), str(ids[40])]
    found = fs.nearest(store, ids=asked, features=features, k=5, engine=engine)
    C = cosines(store, features)
    np.fill_diagonal(C, -2)
    order = np.argsort(-C[[3, 40]], axis=1, kind="stable")[:, :5]
    assert found.frame["id"].tolist() == ids[order].ravel().tolist()
    expected = np.take_along_axis(C[[3, 40]], order, axis=1).ravel()
    np.testing.assert_allclose(found.frame["similarity"], expected, atol=1e-5)
    assert found.frame["rank"].tolist() == [1, 2, 3, 4, 5] * 2
    _, target = store.target()
    labels = [target.classes[code] for code in target.codes[order.ravel()]]
    assert found.frame["label"].tolist() == labels
    assert found.n_searched == len(ids)


def test_a_photo_finds_itself_first(store: FeatureStore, few_photos: Path) -> None:
    name = str(store.samples.ids[10])
    found = fs.nearest(store, few_photos / name, features="small", k=3, device="cpu")
    assert found.frame["id"][0] == name
    assert found.frame["similarity"][0] == pytest.approx(1.0, abs=1e-6)
    assert set(found.frame["query"]) == {(few_photos / name).as_posix()}


def test_a_split_and_several_labels(store: FeatureStore) -> None:
    test = store.view("small", split="test")
    name = str(test.ids[0])
    others = len(test) - 1
    found = fs.nearest(store, ids=name, features="small", k=others, split="test", target="tags")
    assert set(found.frame["id"]) == set(test.ids[1:].tolist())
    labels = store.samples.targets["tags"]
    row = int(np.flatnonzero(store.samples.ids == found.frame["id"][0])[0])
    names = [n for n, on in zip(labels.classes, labels.codes[row], strict=True) if on]
    assert found.frame["label"][0] == ", ".join(names)
    with pytest.raises(InvalidInputError, match=f"between 1 and the {others} samples"):
        fs.nearest(store, ids=name, features="small", k=others + 1, split="test")
    train = str(store.view("small", split="train").ids[0])
    assert len(fs.nearest(store, ids=train, features="small", k=3, split="test").frame) == 3


def test_what_cannot_be_asked(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="and not both"):
        fs.nearest(store, "a.jpg", ids="b.jpg")
    with pytest.raises(InvalidInputError, match="2 complete features; choose one: small, wide"):
        fs.nearest(store, ids="b.jpg")
    with pytest.raises(FeatureNotFoundError, match=r"no sample 'b\.jpg'"):
        fs.nearest(store, ids="b.jpg", features="small")


def test_imported_features_are_searched_by_id(
    digits_run: tuple[FeatureStore, str], few_photos: Path
) -> None:
    opened, _ = digits_run
    found = fs.nearest(opened, ids="5.png", k=4)
    assert len(found.frame) == 4
    with pytest.raises(InvalidInputError, match="was imported"):
        fs.nearest(opened, few_photos, k=4)


def test_the_command(store: FeatureStore, few_photos: Path, tmp_path: Path) -> None:
    name = str(store.samples.ids[10])
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    words = ["search", str(store.path), "-f", "small", "--device", "cpu", "--k", "2"]
    images = ["--image", str(few_photos / name), "--image", str(damaged)]
    result = CliRunner().invoke(group, [*words, *images, "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [line["rank"] for line in document["neighbours"]] == [1, 2]
    assert list(document["failed"]) == [damaged.as_posix()]
    shown = CliRunner().invoke(group, [*words, "--id", name])
    assert shown.exit_code == 0, shown.output
    assert f"{name}: the nearest of {store.n_samples} samples, by small" in shown.stdout
    refused = CliRunner().invoke(group, words)
    assert refused.exit_code == 2
    assert "--image or --id" in refused.stderr
