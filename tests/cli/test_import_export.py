"""The commands import and export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from featstore.cli.main import group
from featstore.store import FeatureStore


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


@pytest.fixture(name="files")
def split_files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("test", 30)):
        X = rng.standard_normal((n, 8)).astype(np.float16)
        np.savez(tmp_path / f"{split}.npz", embeddings=X, y=np.arange(n) % 3)
    return tmp_path


def test_import_then_export(files: Path) -> None:
    store, out = files / "s.zarr", files / "o.parquet"
    sources = [f"train={files / 'train.npz'}", f"test={files / 'test.npz'}"]
    made = run("import", *sources, "--name", "clip", "--out", store, "--json")
    assert made.exit_code == 0, made.output
    document = json.loads(made.stdout)
    assert (document["rows"], document["created"], document["dtype"]) == (90, True, "float16")
    again = run("import", *sources, "--name", "clip", "--out", store)
    assert "nothing to do" in again.stdout
    assert FeatureStore.open(store).samples.split_names == ("train", "test")
    exported = run("export", store, "--features", "clip", "--out", out, "--split", "test")
    assert exported.exit_code == 0, exported.output
    assert f"{out}: 30 × 8 float16" in exported.stdout
    refused = run("export", store, "--features", "clip", "--out", out)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    replaced = run("export", store, "-f", "clip", "-o", out, "--overwrite", "--json")
    assert json.loads(replaced.stdout)["rows"] == 90


def test_what_was_left_out_is_said(files: Path) -> None:
    store = files / "s.zarr"
    ids = np.array([f"{i}.jpg" for i in range(60)])
    with np.load(files / "train.npz") as archive:
        X = archive["embeddings"]
    np.savez(files / "a.npz", X=X, ids=ids)
    np.savez(files / "b.npz", X=X[2:], ids=ids[2:])
    assert run("import", files / "a.npz", "--name", "a", "--out", store).exit_code == 0
    refused = run("import", files / "b.npz", "--name", "b", "--out", store)
    assert refused.exit_code == 2
    assert "2 of the store's 60 samples are not in the file" in refused.stderr
    allowed = run("import", files / "b.npz", "--name", "b", "--out", store, "--allow-missing")
    assert "left out: 2 missing" in allowed.stderr


def test_several_files_of_one_split(files: Path) -> None:
    sources = [f"train={files / 'train.npz'}", f"train={files / 'test.npz'}"]
    refused = run("import", *sources, "--name", "a", "--out", files / "s.zarr")
    assert refused.exit_code == 2
    assert "several files have the split 'train'" in refused.stderr
