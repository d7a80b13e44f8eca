"""merge, diff, compact and rm on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from small_run import make_run
from small_store import fill, make_samples, make_spec, part

from featstore.cli.main import group
from featstore.store import FeatureStore

X = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def run_json(*arguments: str | Path, code: int = 0) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    paths = []
    for i, rows in enumerate([np.arange(350), np.arange(350, 600)]):
        store = FeatureStore.create(tmp_path / f"{i}.zarr", part(make_samples(600), rows))
        fill(store, "x", X[rows])
        fill(store, "y", X[rows, :4], dtype="float32")
        paths.append(store.path)
    return paths


def test_merge(parts: list[Path], tmp_path: Path) -> None:
    FeatureStore.open(parts[0]).save_run(make_run("r", seed=0))
    out = tmp_path / "m.zarr"
    document = run_json("merge", *parts, "--out", out, "--features", "x")
    assert document["samples"] == 600
    assert (document["merged"], document["unchanged"]) == (["x"], [])
    assert document["notes"] == ["1 runs are not merged: each belongs to the rows of its own store"]
    more = run("merge", *parts, "--out", out, "--targets", "label,tags")
    assert more.exit_code == 0
    assert "600 samples" in more.stdout
    assert "note: 1 runs are not merged" in more.stderr
    assert "nothing to do" in run("merge", *parts, "--out", out).stdout
    np.testing.assert_array_equal(FeatureStore.open(out).view("x").array(), X.astype(np.float16))


def test_merge_with_names_in_front(parts: list[Path], tmp_path: Path) -> None:
    assert run("merge", parts[0], parts[1], "-o", tmp_path / "p.zarr", "--prefix").exit_code == 0
    assert FeatureStore.open(tmp_path / "p.zarr").samples.ids[0] == "0/ü/000000.jpg"
    named = ["merge", *parts, "-o", tmp_path / "n.zarr", "--prefix-names", "a, b"]
    assert run(*named).exit_code == 0
    assert FeatureStore.open(tmp_path / "n.zarr").samples.ids[-1] == "b/ü/000599.jpg"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--features", "z"], "has no feature 'z'. There are: x, y."),
        (["--features", ","], "list of features is empty"),
        (["--prefix-names", ""], "2 stores need as many different names"),
        (["--targets", "z"], "no store has a target 'z'"),
    ],
)
def test_merge_refuses(parts: list[Path], tmp_path: Path, options: list[str], message: str) -> None:
    result = run("merge", *parts, "--out", tmp_path / "m.zarr", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_diff_tells_by_its_exit_code(parts: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "m.zarr"
    assert run("merge", *parts, "--out", out).exit_code == 0
    equal = run("diff", out, out)
    assert (equal.exit_code, equal.stdout.splitlines()[-1]) == (0, "equal")
    different = run("diff", out, parts[0])
    assert different.exit_code == 1
    assert "250 missing (e.g. ü/000350.jpg)" in different.stdout
    assert different.stdout.splitlines()[-1] == "different"
    assert run("diff", out, tmp_path / "none.zarr").exit_code == 2
    assert "two features of one: --feature A --with B" in run("diff", out).stderr


def test_diff_of_two_features(parts: list[Path]) -> None:
    store = FeatureStore.open(parts[0])
    Y = X[:350].copy()
    Y[9] += 1
    fill(store, "z", Y, weights="1")
    result = run("diff", parts[0], "--feature", "x", "--with", "z")
    assert result.exit_code == 1
    for shown in ("x | z", "backbone.weights_digest", "ü/000009.jpg"):
        assert shown in result.stdout
    document = run_json("diff", parts[0], "--feature", "x", "--with", "z", code=1)
    assert document["equal"] is False
    (feature,) = document["features"]
    assert feature["equal"] is False
    assert feature["values"]["differing"] == 1
    assert feature["values"]["first"][0]["id"] == "ü/000009.jpg"
    assert run_json("diff", parts[0], "-f", "x", "--with", "x")["equal"] is True


def test_compact(parts: list[Path]) -> None:
    store = FeatureStore.open(parts[0])
    writer = store.writer("z", make_spec(store.samples, dim=8))
    writer.put(0, X[:256])
    del writer
    aside = parts[0] / "features" / "x" / "_quarantine" / "0.0"
    aside.parent.mkdir()
    aside.write_bytes(bytes(1500))
    shown = run("compact", parts[0], "--dry-run")
    assert shown.exit_code == 0
    assert "1.5 kB could be freed in 1 files" in shown.stdout
    assert "unfinished, 256 of 350 rows" in shown.stdout
    assert aside.exists()
    document = run_json("compact", parts[0])
    assert (document["files"], document["nbytes"]) == (1, 1500)
    assert not aside.exists()
    assert "features/z" in run("compact", parts[0], "--unfinished", "--older-than", "7d").stdout
    assert "0 bytes freed in 0 files" in run("compact", parts[0]).stdout
    assert "write e.g. 30m, 24h or 7d" in run("compact", parts[0], "--older-than", "old").stderr


def test_rm(parts: list[Path]) -> None:
    shown = run("rm", parts[0], "x", "y", "--dry-run")
    assert shown.stdout.startswith("would remove feature x: ")
    assert FeatureStore.open(parts[0]).features == ["x", "y"]
    assert "There are: x, y" in run("rm", parts[0], "z").stderr
    removed = run("rm", parts[0], "x", "y")
    first, second, total = removed.stdout.splitlines()
    assert first.startswith("removed feature x: ")
    assert second.startswith("removed feature y: ")
    assert total.endswith(" in all")
    document = run_json("rm", parts[1], "x")
    (item,) = document["removed"]
    assert (item["kind"], item["name"], document["dry_run"]) == ("feature", "x", False)
    assert item["nbytes"] > X[350:].nbytes // 2
