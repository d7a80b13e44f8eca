"""`featstore duplicates`, `label-noise`, `calibration` and `shift`: tables, JSON, plots, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from digits_store import make_digits_store

from featstore.cli.main import group


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(group, list(map(str, arguments)))


def run_json(*arguments: Any) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = make_digits_store(tmp_path_factory.mktemp("cli") / "d.zarr")
    run_json("probe", store.path, "-f", "pixels", "--probe", "ridge", "-C", 1, "--name", "r")
    return store.path


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        (
            ("duplicates", "-f", "pixels", "--threshold", 0.98, "--run", "r"),
            ("near-duplicate in train (1000 rows)", "suggested threshold", "n_left_out", "more;"),
        ),
        (("label-noise",), ("estimated share of wrong labels", "disputed", "confused classes")),
        (("label-noise", "--rows", "test", "--k", 0), ("797 test rows",)),
        (("calibration",), ("temperature ", "train, 5 folds", "classwise_ece", "reliability")),
        (
            ("shift", "-f", "pixels", "--rows", 200, "--permutations", 20),
            ("held_out_auc", "Cramér's V", "share_b"),
        ),
    ],
)
def test_tables_and_plots(store: Path, tmp_path: Path, command: Any, parts: Any) -> None:
    name, *options = command
    plot = tmp_path / "plot.svg"
    result = run(name, store, *options, "--plot", plot)
    assert result.exit_code == 0, result.output
    for part in parts:
        assert part in result.stdout
    assert plot.read_text().startswith("<svg")


def test_duplicates_as_json(store: Path) -> None:
    document = run_json("duplicates", store, "-f", "pixels", "--threshold", 0.98, "--run", "r")
    assert document["duplicates"] == len({pair["id"] for pair in document["pairs"]})
    assert {row["metric"] for row in document["effect"]} == {"top1", "mean_per_class"}
    within = run_json("duplicates", store, "-f", "pixels", "--of", "train", "--threshold", 0.98)
    assert within["effect"] is None
    assert within["n_searched"] == 1000


def test_label_noise_as_json(store: Path) -> None:
    document = run_json("label-noise", store, "--run", "r", "--folds", 3)
    assert len(document["labels"]) == 1000
    flagged = [row for row in document["labels"] if row["confident"] and row["disputed"]]
    assert document["candidates"] == flagged


def test_calibration_as_json(store: Path) -> None:
    document = run_json("calibration", store, "--bins", 10)
    assert document["temperature"] > 0
    assert {row["scores"] for row in document["metrics"]} == {"stored", "scaled"}
    document = run_json("calibration", store, "--no-temperature", "--binning", "mass")
    assert document["temperature"] is None
    assert document["change"] == []


def test_shift_as_json(store: Path) -> None:
    document = run_json("shift", store, "-f", "pixels", "--rows", 100, "--permutations", 20)
    assert document["measures"][0]["measure"] == "accuracy"
    assert len(document["labels"]["classes"]) == 10


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("duplicates", "-f", "pixel"), "Did you mean pixels"),
        (("duplicates", "-f", "pixels", "--of", "val"), "no split 'val'"),
        (("label-noise", "--run", "s"), "s"),
        (("shift", "-f", "pixels", "--to", "train"), "share rows"),
    ],
)
def test_bad_input_is_one_message(store: Path, command: Any, message: str) -> None:
    name, *options = command
    result = run(name, store, *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
