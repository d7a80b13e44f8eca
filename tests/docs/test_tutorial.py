"""The tutorial: what it says is run, from top to bottom, on the digits that it makes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from featstore.cli.main import group

#: Of the 1,797, so that the test is quick.
FEW = 500

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


def test_everything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = load_digits()
    few = Bunch(**{name: every[name][:FEW] for name in ("images", "data", "target")})
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: few)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert {language for language, _ in blocks} == {"sh", "python"}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, "tutorial", "exec"), names)
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "featstore"
            result = CliRunner().invoke(group, arguments)
            assert result.exit_code == 0, f"{line}\n{result.output}"
    assert names["run"].accuracy > 0.8
    assert "pixels" in (tmp_path / "digits.html").read_text()
