"""`featstore fusion` and `featstore similarity`: tables, JSON, a plot, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from digits_store import digits, make_digits_store
from small_store import fill

from featstore.cli.main import group


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = make_digits_store(tmp_path_factory.mktemp("fusion") / "d.zarr")
    fill(store, "top+edge", digits()[0][:, :40])
    fill(store, "copy", digits()[0])
    return store.path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(group, list(map(str, arguments)))


def test_fusion_shows_members_pairs_controls_and_the_rule(store: Path) -> None:
    result = run("fusion", store, "--pairs", "top+edge+pca", "--probe", "ridge", "-C", "1")
    assert result.exit_code == 0, result.output
    for part in (
        "top+edge + pca",
        "verdict",
        "best + its random projection",
        "PCA of the pair",
        "95 % interval",
        "ridge, alpha fixed; scaling of each feature: none",
        "undecided: anything else",
    ):
        assert part in result.stdout
    assert "@" not in run("ls", store).stdout


def test_fusion_as_json(store: Path) -> None:
    ridge = ("--probe", "ridge", "-C", "1", "--margin", "0.01")
    result = run("fusion", store, "--pairs", "pca+pixels", *ridge, "--no-controls", "--json")
    document = json.loads(result.stdout)
    assert document["controls"] == []
    (pair,) = document["pairs"]
    assert (pair["a"], pair["b"], pair["dim"], pair["best"]) == ("pca", "pixels", 80, "pixels")
    assert pair["verdict"] == "redundant"
    assert "above 1 point; redundant" in document["rule"]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("pca", "a pair is written a+b, got 'pca'"),
        ("pca+pixel", "there is no 'pixel'. Did you mean pixels?"),
        ("pca+pca", "two different features"),
    ],
)
def test_pairs_that_are_none(store: Path, pairs: str, message: str) -> None:
    result = run("fusion", store, "--pairs", pairs)
    assert result.exit_code == 2
    assert message in result.stderr


def test_similarity(store: Path, tmp_path: Path) -> None:
    plot = tmp_path / "map.svg"
    some = ("--features", "pca,pixels", "--measures", "cka,r2")
    result = run("similarity", store, *some, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert "r2 (row → column)" in result.stdout
    assert plot.read_text().startswith("<svg")
    values = json.loads(run("similarity", store, *some, "--json").stdout)
    assert [row["measure"] for row in values] == ["cka", "r2"] * 2


def test_few_rows_are_noted_and_bad_measures_refused(store: Path) -> None:
    asked = ("--split", "test", "--measures", "svcca")
    result = run("similarity", store, *asked)
    assert (
        "797 rows for features of 184 columns together: with so few, svcca is high" in result.stderr
    )
    result = run("similarity", store, "--features", "pca,pixels", *asked)
    assert "rows for features" not in result.stderr
    result = run("similarity", store, "--measures", "ckaa")
    assert result.exit_code == 2
    assert "no measure 'ckaa'" in result.stderr
