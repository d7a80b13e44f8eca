"""Disk calls: everything that Python code asks of the system below a folder, on its way through.

Not only featstore's own calls: pathlib, shutil and zarr-python go through `os` and `io.open` as
well, so nothing that ends up on the disk is missed, except what libraries written in C do.
"""

from __future__ import annotations

import builtins
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from featstore import local_folder, scratch_folder
from featstore.renaming import rename

T = TypeVar("T")

#: Calls that make, change or keep something, and calls that only look.
CHANGING = frozenset(
    ["create", "write", "fsync", "rename", "exchange", "link", "unlink", "mkdir", "rmdir"]
)
LOOKING = frozenset(["open", "read", "stat", "list"])

_real = {name: getattr(os, name) for name in dir(os) if callable(getattr(os, name))}
_real_open = io.open


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes
    ----------
    kind
        One of `CHANGING` or `LOOKING`.
    path, target
        Absolute paths; a target where there are two.
    descriptor, data
        Of a write, read or fsync.
    """

    kind: str
    path: str
    target: str = ""
    descriptor: int = -1
    data: bytes = b""


class DiskCalls:
    """While active, leads every call about files below a folder through `on_call`.

    Parameters
    ----------
    root
        The folder; all other calls are left alone.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root.resolve())
        self.lock = threading.RLock()

    def on_call(self, call: Call, perform: Callable[[], T]) -> T:
        """Perform a call, or do something else; one call at a time."""
        return perform()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Lead the calls of all threads through `on_call` for the length of a block."""
        replacements: dict[str, Any] = self._replacements()
        with mock.patch.multiple(os, **replacements):
            opened = mock.patch.object(builtins, "open", self._open_file)
            with opened, mock.patch.object(io, "open", self._open_file):
                special = [
                    mock.patch.object(module, "rename", self._rename_specially)
                    for module in (local_folder, scratch_folder)
                ]
                with special[0], special[1]:
                    yield

    def open_descriptors(self) -> list[int]:
        """Return this process's descriptors of what lies below the folder."""
        found = []
        for entry in _real["listdir"]("/proc/self/fd"):
            with suppress(OSError):
                if self._is_below(_real["readlink"](f"/proc/self/fd/{entry}")):
                    found.append(int(entry))
        return found

    def _through(self, call: Call, perform: Callable[[], T]) -> T:
        if not self._is_below(call.path):
            return perform()
        with self.lock:
            return self.on_call(call, perform)

    def _is_below(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/")

    def _located(self, path: Any, dir_fd: int | None = None) -> str:
        """Absolute path of what a call is about."""
        if isinstance(path, int):
            with suppress(OSError):
                return str(_real["readlink"](f"/proc/self/fd/{path}"))
            return ""
        text = os.fsdecode(path)
        if dir_fd is not None and not text.startswith("/"):
            text = f"{self._located(dir_fd)}/{text}"
        return os.path.abspath(text)  # noqa: PTH100 - must not look at the disk

    def _replacements(self) -> dict[str, Callable[..., Any]]:
        def named(kind: str, name: str) -> Callable[..., Any]:
            def call(path: Any = ".", *args: Any, dir_fd: int | None = None, **options: Any) -> Any:
                if dir_fd is not None:
                    options["dir_fd"] = dir_fd
                where = self._located(path, dir_fd)
                return self._through(Call(kind, where), lambda: _real[name](path, *args, **options))

            return call

        def paired(kind: str, name: str) -> Callable[..., Any]:
            def call(source: Any, target: Any, **options: Any) -> Any:
                there = Call(
                    kind,
                    self._located(source, options.get("src_dir_fd")),
                    self._located(target, options.get("dst_dir_fd")),
                )
                return self._through(there, lambda: _real[name](source, target, **options))

            return call

        def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> Any:
            kind = "create" if flags & (os.O_CREAT | os.O_TRUNC) else "open"
            return self._through(
                Call(kind, self._located(path, dir_fd)),
                lambda: _real["open"](path, flags, mode, dir_fd=dir_fd),
            )

        def write(descriptor: int, data: Any) -> Any:
            where = self._located(descriptor)
            if not self._is_below(where):
                return _real["write"](descriptor, data)
            call = Call("write", where, descriptor=descriptor, data=bytes(data))
            return self._through(call, lambda: _real["write"](descriptor, data))

        def fsync(descriptor: int) -> Any:
            call = Call("fsync", self._located(descriptor), descriptor=descriptor)
            if not self._is_below(call.path):
                return _real["fsync"](descriptor)
            # What matters is that it was asked for; doing it would only take time.
            return self._through(call, lambda: None)

        def read(descriptor: int, n: int) -> Any:
            call = Call("read", self._located(descriptor), descriptor=descriptor)
            return self._through(call, lambda: _real["read"](descriptor, n))

        return {
            "open": open_,
            "write": write,
            "fsync": fsync,
            "read": read,
            "stat": named("stat", "stat"),
            "lstat": named("stat", "lstat"),
            "listdir": named("list", "listdir"),
            "scandir": named("list", "scandir"),
            "mkdir": named("mkdir", "mkdir"),
            "rmdir": named("rmdir", "rmdir"),
            "unlink": named("unlink", "unlink"),
            "remove": named("unlink", "remove"),
            "rename": paired("rename", "rename"),
            "replace": paired("rename", "replace"),
            "link": paired("link", "link"),
        }

    def _rename_specially(
        self, source: Any, target: Any, *, how: Any, dir_fd: int | None = None
    ) -> bool:
        call = Call(
            "exchange" if how == "exchange" else "rename",
            self._located(source, dir_fd),
            self._located(target, dir_fd),
        )
        return self._through(call, lambda: rename(source, target, how=how, dir_fd=dir_fd))

    def _open_file(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Callable[[str, int], int] | None = None,
    ) -> Any:
        """Open a file whose system calls go through `on_call` too."""
        if isinstance(file, int) or (opener is None and not self._is_below(self._located(file))):
            return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _File(
            os.fspath(file),
            mode.replace("b", "").replace("t", ""),
            opener=opener or (lambda path, flags: os.open(path, flags, 0o666)),
        )
        if buffering == 0:
            return raw
        buffered: Any = (
            io.BufferedRandom(raw)
            if "+" in mode
            else io.BufferedReader(raw)
            if "r" in mode
            else io.BufferedWriter(raw)
        )
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline)


class _File(io.FileIO):
    """A file that reads and writes by the functions of `os`, as they are at that moment."""

    def write(self, data: Any) -> int:
        return os.write(self.fileno(), data)

    def readinto(self, buffer: Any) -> int:
        data = os.read(self.fileno(), len(buffer))
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        parts = []
        while part := os.read(self.fileno(), 1 << 20):
            parts.append(part)
        return b"".join(parts)
