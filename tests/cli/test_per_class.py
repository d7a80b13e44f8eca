"""`featstore per-class` with groups and against another run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from digits_store import make_digits_store

from featstore.cli.main import group
from featstore.decisions import Decisions
from featstore.store import FeatureStore

ODD = {f"digit {d}" for d in (1, 3, 5, 7, 9)}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, ["per-class", *map(str, arguments)])


def run_json(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    return result.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("per_class") / "digits.zarr"
    make_digits_store(path)
    for feature in ("pca", "pixels"):
        arguments = ["probe", path, "--features", feature, "--value", "0.01", "--name", feature]
        result = CliRunner().invoke(group, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def parity(tmp_path: Path, store: Path) -> Path:
    path = tmp_path / "parity.csv"
    classes = FeatureStore.open(store).run("pixels").predictions.classes
    lines = [f"{name},{'odd' if int(name[-1]) % 2 else 'even'},all" for name in classes]
    path.write_text("\n".join(["digit,parity,everything", *lines]))
    return path


def test_averages_and_mistakes_of_a_taxonomy(store: Path, parity: Path) -> None:
    command = (store, "--run", "pixels", "--taxonomy", parity)
    document = run_json(*command)
    assert [row["group"] for row in document["averages"]] == ["even", "odd"]
    assert {row["relation"] for row in document["mistakes"]} == {"siblings", "cousins", "strangers"}
    output = run(*command).output
    for part in ("means over classes by parity", "95 % over rows", "95 % over classes", "siblings"):
        assert part in output
    by_column = run_json(store, "--run", "pixels", "--groups", parity, "--level", "parity")
    assert by_column["averages"] == document["averages"]
    assert "mistakes" not in by_column


def test_one_group_only(store: Path, parity: Path) -> None:
    document = run_json(store, "--run", "pixels", "--groups", parity, "--group", "odd")
    assert sorted(row["class"] for row in document["classes"]) == [
        f"digit {d}" for d in (1, 3, 5, 7, 9)
    ]
    against = run_json(
        store, "--run", "pixels", "--against", "pca", "--groups", parity, "--group", "odd"
    )
    assert {row["class"] for row in against["lists"]} <= ODD


def test_against_another_run(store: Path, parity: Path) -> None:
    command = (store, "--run", "pixels", "--against", "pca", "--taxonomy", parity)
    document = run_json(*command)
    shares = document["shares"]["none"]
    assert sum(row["share"] for row in shares) == pytest.approx(1)
    assert {row["ranking"] for row in document["lists"]} <= {"gain", "evidence"}
    assert document["difficulty"]["correlations"][0]["quantity"] == "spearman"
    assert [row["group"] for row in document["groups"]] == ["even", "odd"]
    result = run(*command)
    for part in (
        "a: pca",
        "if no class differed",
        "most improved",
        "hardest and easiest",
        "p_holm",
    ):
        assert part in result.output
    assert "only the lists by q are evidence" in result.stderr


@pytest.mark.parametrize("more", [(), ("--against", "pca"), ("--groups",)])
def test_plots(store: Path, parity: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    options = [*more, parity] if more == ("--groups",) else list(more)
    result = run(store, "--run", "pixels", *options, "--plot", tmp_path / "plot.svg")
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "plot.svg").read_text()
    assert "must end in .svg" in refused(store, "--run", "pixels", "--plot", "plot.gif")


def test_what_a_run_decided_is_read_without_its_scores(store: Path) -> None:
    opened = FeatureStore.open(store)
    decisions, whole = opened.outcomes("pixels"), opened.run("pixels").predictions
    assert isinstance(decisions, Decisions)
    np.testing.assert_array_equal(decisions.predicted, whole.predicted)
    np.testing.assert_array_equal(decisions.truth, whole.truth)
    assert decisions.ids.tolist() == whole.ids.tolist()
    assert decisions.classes == whole.classes


def test_options_that_do_not_fit(store: Path, parity: Path) -> None:
    assert "not both" in refused(store, "--run", "pca", "--taxonomy", parity, "--groups", parity)
    assert "need --taxonomy or --groups" in refused(store, "--run", "pca", "--level", "parity")
    assert "Did you mean parity" in refused(
        store, "--run", "pca", "--groups", parity, "--level", "paryty"
    )
    assert "no group 'prime'" in refused(
        store, "--run", "pca", "--groups", parity, "--group", "prime"
    )
    assert "choose one with --run" in refused(store, "--against", "pca")
