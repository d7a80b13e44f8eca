"""Checksum lists: what is written is read, also by sha256sum."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore import sums
from featstore.errors import CorruptStoreError

NAMES = ["plain", "with space", "é", "back\\slash", "line\nfeed", "r\\n", "sub/folder/x"]


@given(st.dictionaries(st.text("ab\\\n\r n#é", min_size=1), st.text("0123456789abcdef")))
def test_lists_round_trip(digests: dict[str, str]) -> None:
    assert sums.parse(sums.render(digests)) == digests


@given(data=st.data())
def test_no_damaged_list_is_believed(data: st.DataObject) -> None:
    content = sums.render(dict.fromkeys(NAMES, "0" * 64))
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    for wrong in (bytes(damaged), content[:at], content + b"\n"):
        with pytest.raises(CorruptStoreError):
            sums.parse(wrong)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_reads_it(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    sums.write(tmp_path)
    command = ["sha256sum", "--check", "--strict", sums.SUMS]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK") == len(NAMES)
    (tmp_path / NAMES[0]).write_text("other")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1
