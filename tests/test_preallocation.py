"""preallocate: room on the medium before bytes are written."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from featstore import preallocation
from featstore.durable import STAGED, Aside
from featstore.preallocation import preallocate


def test_room_is_taken_and_the_size_stays(tmp_path: Path) -> None:
    with (tmp_path / "new").open("wb") as file:
        preallocate(file.fileno(), 1 << 20)
        found = os.fstat(file.fileno())
    assert found.st_size == 0
    if sys.platform == "linux":
        assert found.st_blocks * 512 in (0, *range(1 << 20, 2 << 20))  # 0 where it is not offered


def _refusing(code: int) -> Callable[..., int]:
    def fallocate(*arguments: int) -> int:
        ctypes.set_errno(code)
        return -1

    return fallocate


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(preallocation, "_fallocate", lambda: _refusing(code))
    with pytest.raises(OSError, match=os.strerror(code)):
        Aside(str(tmp_path / "x"), [b"12"], suffix=STAGED, nbytes=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("offered", [_refusing(errno.EOPNOTSUPP), None])
def test_a_file_system_without_it_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offered: Callable[..., int] | None
) -> None:
    monkeypatch.setattr(preallocation, "_fallocate", lambda: offered)
    aside = Aside(str(tmp_path / "x"), [b"12"], suffix=STAGED, nbytes=2)
    aside.flush()
    assert Path(aside.name).read_bytes() == b"12"
    aside.close()
