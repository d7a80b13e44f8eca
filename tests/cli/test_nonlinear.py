"""What is not linear says so, wherever one looks at a run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from digits_store import make_digits_store
from small_run import make_run

import featstore as fs
from featstore.cli.main import group
from featstore.presets import PRESETS
from featstore.run import RunConfig
from featstore.run_name import run_name


def run(*arguments: object) -> str:
    result = CliRunner().invoke(group, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pixels of digits with two runs: ``linear`` and ``mlp``."""
    path = make_digits_store(tmp_path_factory.mktemp("cli") / "d.zarr").path
    short = dataclasses.replace(
        PRESETS["mlp"],
        values=(0.0, 1.0, 2.0),
        arguments={"widths": (64,), "lrs": (1e-3, 3e-3, 1e-2), "epochs": 10},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "mlp", short)
        fs.probe(path, "pixels", probe="mlp", n_boot=10, name="mlp")
    fs.probe(path, "pixels", value=0.1, n_boot=10, name="linear")
    return path


def test_probe(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = dataclasses.replace(
        PRESETS["mlp"], arguments={"widths": (64,), "lrs": (3e-3,), "epochs": 5}
    )
    monkeypatch.setitem(PRESETS, "mlp", short)
    printed = run("probe", store, "-f", "pca", "--probe", "mlp", "-C", "0")
    for part in (
        "mlp (non-linear), head = 0 (fixed)",
        "mlp is a non-linear probe: the number is no linear evaluation",
        "64 hidden units, 5 epochs at learning rate 0.003",
    ):
        assert part in " ".join(printed.split())
    assert "edge" not in printed
    document = json.loads(
        CliRunner()
        .invoke(group, ["probe", str(store), "-f", "pca", "--probe", "mlp", "-C", "0", "--json"])
        .stdout
    )
    assert document["config"]["nonlinear"] is True
    linear = run("probe", store, "-f", "pca", "-C", "0.1", "--json")
    assert json.loads(linear)["config"]["nonlinear"] is False


def test_ls_and_report(store: Path, tmp_path: Path) -> None:
    listed = {entry["run"]: entry for entry in json.loads(run("ls", store, "--json"))["runs"]}
    assert listed["mlp"]["probe"].startswith("mlp (non-linear), head = ")
    assert listed["linear"]["probe"].startswith("logistic, C = ")
    run("report", store, "--out", tmp_path / "r.html", "--run", "mlp", "--run", "linear")
    page = (tmp_path / "r.html").read_text()
    assert "pixels · mlp (non-linear)" in page
    assert '<td class="keep">mlp (non-linear)</td>' in page
    assert "64 hidden units" in page
    assert "logistic (non-linear)" not in page


def test_runs_are_read_again(store: Path) -> None:
    runs = {name: fs.open(store).run(name) for name in ("mlp", "linear")}
    assert runs["mlp"].config.nonlinear
    assert "mlp (non-linear): top1" in repr(runs["mlp"])
    assert not runs["linear"].config.nonlinear
    assert not runs["mlp"].at_edge


def test_runs_of_older_versions_are_linear() -> None:
    fields = dataclasses.asdict(make_run("old", seed=0).config)
    del fields["nonlinear"]
    assert RunConfig.from_json(fields) == make_run("old", seed=0).config


def test_names_of_linear_runs_outlive_releases() -> None:
    config = make_run("old", seed=0).config
    assert run_name(config) == "quick-x-label-ff5787"
    assert run_name(dataclasses.replace(config, nonlinear=True)) != run_name(config)


def test_presets_say_so() -> None:
    listed = {preset["name"]: preset for preset in json.loads(run("presets", "--json"))}
    for name in ("mlp", "capi-attentive"):
        assert "non-linear" in listed[name]["source"]
