"""What a word on the command line stands for; targets, weights, groups and bands of any source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import featstore as fs
from featstore.bands import Bands
from featstore.cli.main import group
from featstore.datasets import open_dataset
from featstore.datasets.opening import KINDS, kinds
from featstore.errors import InvalidInputError
from featstore.html_report.command import extract_command
from featstore.store import FeatureStore

REPOSITORY = Path(__file__).resolve().parents[2]
NET = "x=random/resnet18?size=32"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def test_ambiguous_places_are_not_guessed(put: Callable[..., Path], tmp_path: Path) -> None:
    put("train/a/1.jpg", "train/b/1.jpg")
    (tmp_path / "categories_places365.txt").write_text("/a/airfield 0\n")
    (tmp_path / "val.json").write_text(json.dumps({"categories": [], "images": []}))
    with pytest.raises(InvalidInputError, match="could be inat21 or places365; say which: inat21:"):
        open_dataset(tmp_path)
    assert open_dataset(f"folder:{tmp_path}", hold_out=None).source["kind"] == "folder"


def test_a_folder_stays_a_folder(put: Callable[..., Path], tmp_path: Path) -> None:
    """Files that merely look like another kind's do not change what a folder of images is."""
    put("a/1.jpg", "b/1.jpg")
    (tmp_path / "train.json").write_text(json.dumps({"notes": "mine"}))
    (tmp_path / "backup.tar").write_bytes(b"")
    assert open_dataset(tmp_path, hold_out=None).source["kind"] == "folder"


def test_unknown_kinds_options_and_urls(put: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no kind of data set 'inat' .*mean inat21"):
        open_dataset("inat:somewhere")
    with pytest.raises(InvalidInputError, match=r"'rank' is no option of inat21 .*mean ranks"):
        open_dataset(f"inat21:{tmp_path}?rank=genus")
    with pytest.raises(InvalidInputError, match="cannot read 'ranks' in"):
        open_dataset(f"inat21:{tmp_path}?ranks")
    with pytest.raises(InvalidInputError, match="from this machine, or from tar files"):
        open_dataset("https://example.org/images")
    with pytest.raises(InvalidInputError, match=r"none does not exist"):
        open_dataset(tmp_path / "none")
    put("a/1.jpg", "b/1.jpg")
    refused = run("extract", tmp_path, "--path-column", "p", "-b", NET, "-o", tmp_path / "s.zarr")
    assert refused.exit_code == 2
    assert "'path_column' is no option of folder" in refused.stderr


def test_a_path_that_looks_like_a_kind(put: Callable[..., Path], monkeypatch: Any) -> None:
    root = put("hf:mine/a/1.jpg", "hf:mine/b/1.jpg")
    monkeypatch.chdir(root)
    assert open_dataset("hf:mine", hold_out=None).source["kind"] == "folder"


def test_every_kind_can_be_imported_and_is_documented() -> None:
    page = (REPOSITORY / "docs" / "data-sources.md").read_text()
    for kind in KINDS:
        assert f"`{kind}:" in page
    assert list(kinds())[: len(KINDS)] == list(KINDS)


def test_third_parties_add_kinds(monkeypatch: pytest.MonkeyPatch, photos: Path) -> None:
    entry = type("Entry", (), {"name": "mine", "value": "featstore.datasets:ImageFolder.scan"})
    monkeypatch.setattr("featstore.datasets.opening.metadata.entry_points", lambda group: [entry])
    samples = open_dataset(f"mine:{photos}?target=garment").samples
    assert len(samples.targets["garment"].codes) == 300


def table(put: Callable[..., Path], n: int = 24) -> Path:
    names = [f"images/{i}.jpg" for i in range(n)]
    root = put(*names)
    frame = pd.DataFrame(
        {
            "path": names,
            "kind": ["cat" if i % 2 else "dog" for i in range(n)],
            "patient": [f"p{i // 4}" for i in range(n)],
            "trust": [0.25 + i / n for i in range(n)],
        }
    )
    frame.to_csv(root / "t.csv", index=False)
    return root / "t.csv"


def test_weights_and_groups_of_a_table(put: Callable[..., Path], tmp_path: Path) -> None:
    command = ["extract", table(put), "-b", NET, "-o", tmp_path / "s.zarr"]
    given = ["--target", "kind", "--weight-column", "trust", "--group-column", "patient"]
    result = run(*command, *given)
    assert result.exit_code == 0, result.output
    assert "by hash of the group (patient)" in result.stderr
    store = FeatureStore.open(tmp_path / "s.zarr")
    samples = store.samples
    assert samples.weights is not None
    np.testing.assert_allclose(samples.weights, [0.25 + i / 24 for i in range(24)])
    assert list(samples.targets) == ["kind", "patient"]
    patient = samples.targets["patient"].codes
    test = samples.splits == "test"
    assert 0 < test.sum() < 24
    assert not set(patient[test]) & set(patient[~test])
    # The report's command gives the same samples again.
    again = extract_command(store, "x")
    assert again is not None
    assert "--weight-column trust --group-column patient" in again
    assert "nothing to do" in run(*command, *given).stdout
    without = run(*command, "--target", "kind", "--group-column", "patient")
    assert "weights only in one of them" in without.stderr
    found = run("verify", tmp_path / "s.zarr")
    assert found.exit_code == 0, found.output


def test_the_probe_takes_the_weights_that_are_stored(
    put: Callable[..., Path], tmp_path: Path
) -> None:
    from featstore.probes import LogisticProbe

    data = open_dataset(table(put), weight_column="trust", targets=["kind"])
    store = fs.extract(data, NET, tmp_path / "s.zarr", dtype="float32").store
    view = store.view("x", split="train")
    assert store.samples.weights is not None
    y = store.target("kind")[1].codes[view.rows]
    weights = store.samples.weights[view.rows]
    probe = LogisticProbe(C=1.0).fit(view.array(), y, sample_weight=weights)
    plain = LogisticProbe(C=1.0).fit(view.array(), y)
    assert np.abs(probe.coef_ - plain.coef_).max() > 1e-6


def test_chosen_targets_of_any_kind(put: Callable[..., Path], tmp_path: Path) -> None:
    data = open_dataset(f"table:{table(put)}", targets=["patient", "kind"])
    assert list(data.samples.targets) == ["patient", "kind"]
    from featstore.datasets import ImageArrays

    arrays = ImageArrays(
        np.zeros((4, 2, 2), np.uint8), {"a": [0, 1, 0, 1], "b": [0, 0, 1, 1]}, hold_out=None
    )
    chosen = open_dataset(arrays, targets=["b"])
    assert list(chosen.samples.targets) == ["b"]
    assert chosen.image(2).shape == (2, 2)  # type: ignore[union-attr]
    with pytest.raises(InvalidInputError, match=r"no target 'c'. There are: a, b"):
        open_dataset(arrays, targets=["c"])
    with pytest.raises(InvalidInputError, match="belong to images that a path names"):
        open_dataset(arrays, root="x")


def test_bands_belong_to_the_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(8):
        folder = tmp_path / "images" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.tif").write_bytes(tiff(rng.integers(0, 10_000, (40, 40, 6), np.uint16)))
    images = tmp_path / "images"
    command = ["extract", images, "-b", NET, "-o", tmp_path / "s.zarr"]
    assert run(*command).exit_code == 2
    given = ["--bands", "4,3,2", "--range", "0,10000"]
    result = run(*command, *given)
    assert result.exit_code == 0, result.output
    store = FeatureStore.open(tmp_path / "s.zarr")
    assert store.attributes["source"]["options"] == {"bands": "4,3,2", "range": "0,10000"}
    again = extract_command(store, "x")
    assert again is not None
    assert "--bands 4,3,2 --range 0,10000" in again
    other = run(*command, "--bands", "1,2,3", "--range", "0,10000")
    assert "8 of another file size or content" in other.stderr
    X = store.view("x").array()
    shown = open_dataset(images, bands=Bands(4, 3, 2, 0, 10_000))
    from featstore.backbones import load_encoder
    from featstore.images import apply, decode

    encoder = load_encoder("random/resnet18?size=32")
    pixels = apply(decode(shown.image(3)), encoder.transform)
    np.testing.assert_allclose(X[3], encoder.encode(pixels[None])[0], rtol=2e-3, atol=1e-3)


def tiff(pixels: Any) -> bytes:
    import io

    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="minisblack", planarconfig="contig")
    return file.getvalue()


def test_elpv_two_targets_and_weights(tmp_path: Path) -> None:
    """The solar cells of ELPV: type, probability of a defect as classes, and trust as weights."""
    elpv = pytest.importorskip("elpv_dataset")
    folder = Path(elpv.__file__).parent / "data"
    frame = pd.read_csv(folder / "labels.csv", sep=r"\s+", names=["path", "probability", "type"])
    # Experts were sure of 0 and 1.
    frame["sure"] = np.where(frame["probability"].isin([0, 1]), 1.0, 0.5)
    frame = frame.iloc[::40]
    frame.to_csv(tmp_path / "cells.csv", index=False)
    data = open_dataset(
        tmp_path / "cells.csv", root=folder, targets=["type", "probability"], weight_column="sure"
    )
    result = fs.extract(data, NET, tmp_path / "s.zarr")
    samples = result.store.samples
    assert result.images == len(frame)
    assert samples.targets["type"].classes == ("mono", "poly")
    assert len(samples.targets["probability"].classes) == 4
    np.testing.assert_array_equal(samples.weights, frame["sure"])
    assert fs.probe(result.store, "x", target="probability", value=1.0).metrics is not None
