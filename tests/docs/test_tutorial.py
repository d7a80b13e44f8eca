"""The tutorial: what it says is run, from top to bottom, on the digits that it makes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from featstore.cli.main import group

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


def test_everything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert names["run"].accuracy > 0.9
    assert "pixels" in (tmp_path / "digits.html").read_text()
