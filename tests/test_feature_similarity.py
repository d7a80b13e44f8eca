"""Similarity of a store's features: rows are matched, and a map of it is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from small_store import fill

import featstore as fs
from featstore import analysis, plots
from featstore.errors import FeatureNotFoundError, InvalidInputError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = make_digits_store(tmp_path_factory.mktemp("similarity") / "d.zarr")
    X, _ = digits()
    fill(store, "turned", X @ np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0])
    return store


@pytest.fixture(scope="module")
def frame(store):
    return fs.similarity(store)


def test_the_store_gives_what_its_arrays_give(store, frame):
    values = frame.set_index(["a", "b", "measure"])["value"]
    pixels, pca = (store.view(name).array() for name in ("pixels", "pca"))
    assert values["pixels", "pca", "cka"] == pytest.approx(analysis.linear_cka(pixels, pca))
    assert values["pca", "pixels", "r2"] == pytest.approx(analysis.linear_map_r2(pca, pixels))
    assert values["pixels", "pca", "mutual_knn"] == analysis.mutual_knn(pixels, pca)


def test_what_is_the_same_up_to_a_rotation_is_redundant(frame):
    same = frame[(frame["a"] == "pixels") & (frame["b"] == "turned")]
    values = same.set_index("measure")["value"]
    assert values[["cka", "svcca", "pwcca", "r2"]].to_numpy() == pytest.approx(1, abs=1e-3)
    assert values["mutual_knn"] > 0.97  # float16 moves close calls
    part = frame[(frame["a"] == "pca") & (frame["b"] == "pixels") & (frame["measure"] == "r2")]
    assert part["value"].item() < 0.9


def test_a_split_and_some_features(store):
    frame = fs.similarity(store, ["pca", "pixels"], split="test", measures=["mutual_knn"], k=3)
    X, Y = (store.view(name, split="test").array() for name in ("pca", "pixels"))
    assert frame["value"].tolist() == [analysis.mutual_knn(X, Y, k=3)] * 2


def test_the_map_shows_each_pair_once_each_way(frame):
    ax = plots.similarity(frame, "r2")
    assert len(ax.texts) == 6
    assert ax.get_ylabel() == "from"
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert sorted(labels) == ["pca", "pixels", "turned"]
    row, column = labels.index("pca"), labels.index("pixels")
    image = ax.images[0].get_array()
    value = frame.set_index(["a", "b", "measure"])["value"]["pca", "pixels", "r2"]
    assert image[row, column] == pytest.approx(value)


def test_bad_input_is_one_clear_error(store, frame):
    with pytest.raises(InvalidInputError, match="two features or more"):
        fs.similarity(store, ["pca"])
    with pytest.raises(FeatureNotFoundError, match="'pixel'"):
        fs.similarity(store, ["pca", "pixel"])
    with pytest.raises(InvalidInputError, match="no measure 'svca'"):
        plots.similarity(frame, "svca")
