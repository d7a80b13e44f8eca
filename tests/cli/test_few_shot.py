"""`featstore few-shot`: tables, files, a plot, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from digits_store import make_digits_store

from featstore.cli.main import group


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_digits_store(tmp_path_factory.mktemp("few") / "d.zarr").path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(group, ["few-shot", *map(str, arguments)])


FEW = ("--shots", "1,3", "--draws", "3", "--value", "1")


def test_features_and_fusions_side_by_side(store: Path, tmp_path: Path) -> None:
    files = ("--out", tmp_path / "draws.csv", "--plot", tmp_path / "curve.svg")
    result = run(store, "--features", "pixels", "--fuse", "pca,pixels", *FEW, *files)
    assert result.exit_code == 0, result.output
    for part in (
        "pixels: logistic",
        "pca + pixels",
        "95 % over draws",
        "3 draws from train",
        "fixed",
    ):
        assert part in result.stdout
    values = pd.read_csv(tmp_path / "draws.csv")
    assert len(values) == 2 * 2 * 3 * 3
    assert set(values["feature"]) == {"pixels", "pca + pixels"}
    assert (tmp_path / "curve.svg").read_text().startswith("<svg")


def test_json(store: Path, tmp_path: Path) -> None:
    result = run(store, "-f", "pixels", *FEW, "--json", "--out", tmp_path / "all.json")
    document = json.loads(result.stdout)
    assert document["config"]["features"] == ["pixels"]
    assert json.loads((tmp_path / "all.json").read_text())[0]["values"] == document["values"]
    both = json.loads(run(store, *FEW, "--json").stdout)
    assert [one["config"]["features"] for one in both] == [["pca"], ["pixels"]]


def test_episodes(store: Path) -> None:
    result = run(
        store, "-f", "pixels", "--episodes", "20", "--queries", "5", "--preset", "simpleshot"
    )
    assert result.exit_code == 0, result.output
    assert "20 episodes from train" in result.stdout
    assert "over test rows" not in result.stdout
    assert "the probe's own rule" in result.stdout


def test_a_choice_is_told(store: Path) -> None:
    result = run(store, "-f", "pixels", "--shots", "2", "--draws", "2", "--preset", "lda")
    assert result.exit_code == 0, result.output
    assert "shrinkage: 5 other draws of train" in result.stdout
    document = json.loads(
        run(store, "-f", "pixels", "--shots", "5", "--draws", "2", "--json").stdout
    )
    chosen = document["summary"][0]["chosen"]
    values = [trial["value"] for trial in document["selection"]]
    edge = run(store, "-f", "pixels", "--shots", "5", "--draws", "2")
    assert ("at the edge" in edge.stderr) == (chosen in (min(values), max(values)))


def test_classes_with_few_rows(store: Path) -> None:
    many = ("-f", "pixels", "--shots", "500", "--draws", "1", "--value", "1")
    refused = run(store, *many)
    assert refused.exit_code == 2
    assert "--use-all" in refused.stderr
    all_rows = run(store, *many, "--use-all")
    assert all_rows.exit_code == 0
    assert "give all they have (classes for shots: 10 for 500)" in all_rows.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shots", "1,x"), "no list of whole numbers"),
        (("--episodes", "5", "--draws", "3"), "--draws is about draws"),
        (("--episodes", "5", "--use-all"), "--use-all is about draws"),
        (("--out", "draws.txt"), "must end in .csv or .json"),
        (("--plot", "curve.gif"), "must end in .svg"),
        (("--target", "tags"), "several labels per row"),
        (("--preset", "simpelshot"), "Did you mean simpleshot"),
    ],
)
def test_refusals(store: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(store, "-f", "pixels", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
