"""The closed-form probes from the command line to the report."""

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
        (["--probe", "ridge"], ["ridge, alpha = ", "chosen on 20% of train", "condition number"]),
        (["--preset", "ridge-loo"], ["chosen on train, leave-one-out", "degrees of freedom"]),
        (["--probe", "lda"], ["lda, shrinkage = ", "closed form: condition number", "rank "]),
        (["--probe", "centroid"], ["chosen on train, mean distance within classes"]),
        (["--probe", "gaussian", "-C", "0.01"], ["gaussian, var_smoothing = 0.01 (fixed)"]),
    ],
)
def test_probe(store: Path, choice: list[str], shown: list[str]) -> None:
    printed = run("probe", store, "--features", "pixels", *choice)
    for part in ("top1", "797 tested on", *shown):
        assert part in printed


def test_runs_are_listed_and_reported(store: Path, tmp_path: Path) -> None:
    for probe in ("ridge", "centroid"):
        document = json.loads(
            run("probe", store, "--features", "pca", "--probe", probe, "--name", probe, "--json")
        )
        assert document["config"]["probe"] == probe
    listed = {entry["run"]: entry for entry in json.loads(run("ls", store, "--json"))["runs"]}
    assert listed["ridge"]["probe"].startswith("ridge, alpha = ")
    run("report", store, "--out", tmp_path / "r.html", "--run", "ridge", "--run", "centroid")
    page = (tmp_path / "r.html").read_text()
    assert "pca · ridge" in page
    assert "--preset centroid" in page


def test_presets() -> None:
    printed = run("presets")
    for part in ("bigvision-fewshot", "simpleshot", "by a rule", "1e-06 … 1e+08 (29)"):
        assert part in printed
    document = {preset["name"]: preset for preset in json.loads(run("presets", "--json"))}
    assert document["bigvision-fewshot"]["arguments"]["bias"] == 100
    assert document["instdisc-knn"]["arguments"] == {"temperature": 0.1}
