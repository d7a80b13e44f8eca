"""Completion: the scripts for each shell, and the values that a line's store offers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from digits_store import make_digits_store

from featstore.cli.main import COMMANDS, group

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = make_digits_store(tmp_path_factory.mktemp("completion") / "d.zarr")
    for run in ("first", "second"):
        (made.path / "runs" / run).mkdir(parents=True)
        (made.path / "runs" / run / "zarr.json").touch()
    return str(made.path)


def offered(*line: str) -> list[str]:
    """Return what TAB offers in place of the last word."""
    shell = ShellComplete(group, {}, "featstore", "_FEATSTORE_COMPLETE")
    return [item.value for item in shell.get_completions(list(line[:-1]), line[-1])]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str) -> None:
    code = "from featstore.cli.main import main; main([])"
    environment = {**os.environ, "_FEATSTORE_COMPLETE": f"{shell}_source"}
    made = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert f"_FEATSTORE_COMPLETE={shell}_complete" in made.stdout
    assert "featstore" in made.stdout.splitlines()[-1] + made.stdout.splitlines()[-2]
    assert f"_FEATSTORE_COMPLETE={shell}_source" in (REPOSITORY / "docs/installing.md").read_text()


def test_commands_and_options() -> None:
    assert offered("pro") == ["probe"]
    assert set(offered("")) == set(COMMANDS)
    assert offered("probe", "--featu") == ["--features"]


def test_names_of_the_store(store: str) -> None:
    assert offered("probe", store, "--features", "") == ["pca", "pixels"]
    assert offered("probe", store, "-f", "pi") == ["pixels"]
    assert offered("probe", store, "--fuse", "pca,p") == ["pca,pixels"]
    assert offered("info", store, "--feature", "pc") == ["pca"]
    assert offered("per-class", store, "--run", "s") == ["second"]
    assert offered("compare", store, "f") == ["first"]
    assert offered("rm", store, "") == ["first", "pca", "pixels", "second"]
    assert offered("probe", "nowhere.zarr", "--features", "") == []


def test_values_that_need_no_store() -> None:
    assert "dinov2-knn" in offered("probe", "s.zarr", "--preset", "dinov2")
    assert offered("probe", "s.zarr", "--probe", "cent") == ["centroid"]
    assert offered("probe", "s.zarr", "--scaling", "l") == ["l2"]


def test_paths_are_left_to_the_shell() -> None:
    shell = ShellComplete(group, {}, "featstore", "_FEATSTORE_COMPLETE")
    (item,) = shell.get_completions(["probe"], "bi")
    assert (item.value, item.type) == ("bi", "dir")
    (item,) = shell.get_completions(["extract"], "bi")
    assert item.type == "file"
