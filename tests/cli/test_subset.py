"""`featstore subset`: draws, lists, exports, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from digits_store import make_digits_store

import featstore as fs
from featstore.cli.main import group


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_digits_store(tmp_path_factory.mktemp("subsets") / "d.zarr").path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(group, list(map(str, arguments)))


def test_draws_are_named_listed_and_trained_on(store: Path, tmp_path: Path) -> None:
    result = run("subset", store, "--sizes", "0.1k,500,1k", "--stratified", "--json")
    assert result.exit_code == 0, result.output
    drawn = {one["subset"]: one for one in json.loads(result.stdout)["subsets"]}
    assert {name: one["rows"] for name, one in drawn.items()} == {
        "100": 100,
        "500": 500,
        "1k": 1000,
    }
    run("subset", store, "--shots", "2", "--draws", "2", "--independent")
    run("subset", store, "--classes", "5x40,10x20", "--prefix", "a7-")
    listed = run("subset", store).stdout
    for name in ("100", "1k", "2-shot-draw1", "a7-5x40", "stratified", "k-shot"):
        assert name in listed
    assert "a7-10x20" in run("ls", store).stdout
    probed = run("probe", store, "-f", "pca", "-C", "1", "--subset", "100", "--name", "few")
    assert "100 rows trained on (subset 100)" in probed.stdout
    assert fs.open(store).run("few").config.train_subset_digest == drawn["100"]["digest"]
    run("report", store, "--out", tmp_path / "r.html")
    assert "--subset 100" in (tmp_path / "r.html").read_text()
    exported = run("subset", store, "--export", "100", "--out", tmp_path / "m.csv")
    assert "100 rows of 100" in exported.stdout
    assert len((tmp_path / "m.csv").read_text().splitlines()) == 101
    assert "removed subset 500" in run("rm", store, "500", "--subset").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sizes", "5", "--shots", "1"), "by a command each"),
        (("--sizes", "5k"), "5000 rows cannot be drawn from 1000"),
        (("--sizes", "many"), "no number of rows"),
        (("--classes", "5"), "no list of classes"),
        (("--classes", "5x2", "--draws", "2"), "drawn once"),
        (("--shots", "1", "--disjoint"), "--nested or --independent"),
        (("--shots", "1", "--stratified"), "does not go with --shots"),
        (("--stratified",), "say what to draw"),
        (("--out", "x.csv"), "go together"),
        (("--export", "none", "--out", "x.csv"), "no subset 'none'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    store: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run("subset", store, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_store_without_subsets_says_how_to_draw_some(tmp_path: Path) -> None:
    result = run("subset", make_digits_store(tmp_path / "d.zarr").path)
    assert result.exit_code == 0
    assert "--sizes, --shots or --classes" in result.stderr
