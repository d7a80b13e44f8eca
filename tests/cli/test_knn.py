"""kNN from the command line to the report: presets, engines, what is printed about the search."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from digits_store import make_digits_store

from featstore.cli.main import group


def run(*arguments: object) -> str:
    result = CliRunner().invoke(group, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_digits_store(tmp_path_factory.mktemp("cli") / "d.zarr").path


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (["--preset", "knn-loo"], ["chosen on train, leave-one-out", "leave-one-out score 9"]),
        (["--preset", "radio-knn"], ["knn, k = 20 (fixed)", "torch, exact, temperature 0.07"]),
        (["--preset", "instdisc-knn"], ["knn, k = 200 (fixed)", "temperature 0.1"]),
        (["--probe", "knn", "-C", "5", "--engine", "faiss-ivf"], ["of the true neighbours found"]),
    ],
)
def test_probe(store: Path, choice: list[str], shown: list[str]) -> None:
    printed = run("probe", store, "--features", "pixels", *choice)
    for part in ("top1", "797 tested on", *shown):
        assert part in printed


@pytest.mark.parametrize("target", ["digit", "tags"])
def test_leave_one_out_is_stored_and_reported(store: Path, tmp_path: Path, target: str) -> None:
    arguments = ["--features", "pca", "--target", target, "--preset", "knn-loo", "--name", target]
    document = json.loads(run("probe", store, *arguments, "--json"))
    certificate = document["certificate"]
    assert certificate["k"] == document["config"]["value"]
    assert certificate["leave_one_out"] > 0.9
    run("report", store, "--out", tmp_path / "r.html", "--run", target)
    assert "exact, temperature" in (tmp_path / "r.html").read_text()
