"""Power cuts: what a disk may hold when the current fails at any moment.

POSIX promises little: the bytes of a file are safe as of its last fsync, a name as of the last
fsync of its folder.  Everything else may or may not have reached the medium, in any order; a name
may be there without its bytes, and a move between folders may have left both, or neither.  Only a
rename within one folder is one step.
"""

from __future__ import annotations

import os
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from disk_calls import Call, DiskCalls

T = TypeVar("T")
ROOT = 0


@dataclass(frozen=True)
class Names:
    """Entries of one folder that change in one step: node by name, None for no longer."""

    folder: int
    entries: dict[str, int | None]


@dataclass(frozen=True)
class Data:
    """Bytes written to a file; None cuts it to nothing."""

    node: int
    offset: int
    content: bytes | None


@dataclass(frozen=True)
class Sync:
    """A file or folder is flushed; `site` names the functions that asked, innermost first."""

    node: int
    site: str


@dataclass(frozen=True)
class Promise:
    """What the store has told its user by now."""

    text: str


Event = Names | Data | Sync | Promise


@dataclass
class Medium:
    """Files and folders as nodes: which names folders hold, and which bytes files."""

    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    content: dict[int, bytes] = field(default_factory=dict)

    def apply(self, event: Names | Data) -> None:
        """Do what an event says."""
        if isinstance(event, Data):
            old = self.content.get(event.node, b"")
            if event.content is None:
                self.content[event.node] = b""
                return
            padded = old.ljust(event.offset, b"\0")
            rest = padded[event.offset + len(event.content) :]
            self.content[event.node] = padded[: event.offset] + event.content + rest
            return
        held = self.names.setdefault(event.folder, {})
        for name, node in event.entries.items():
            if node is None:
                held.pop(name, None)
            else:
                held[name] = node

    def write(self, folder: Path, *, folders: set[int]) -> None:
        """Put everything that has a name into a folder on a real disk."""
        placed: dict[int, Path] = {}

        def place(node: int, path: Path) -> None:
            if node in folders:
                path.mkdir()
                for name, below in self.names.get(node, {}).items():
                    place(below, path / name)
            elif node in placed:
                os.link(placed[node], path)
            else:
                path.write_bytes(self.content.get(node, b""))
                placed[node] = path

        place(ROOT, folder)


class PowerTrace(DiskCalls):
    """Records what happens to files below a folder, in the order in which it happens.

    Parameters
    ----------
    root
        The folder; what is in it at the beginning is safe.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.events: list[Event] = []
        self.folders = {ROOT}
        self._live = Medium()
        self._nodes = 0
        for parent, folders, files in os.walk(self.root):
            for name in folders:
                self._add_new(Path(parent) / name, is_folder=True)
            for name in files:
                path = Path(parent) / name
                node = self._add_new(path)
                self._record(Data(node, 0, path.read_bytes()))
        for node in range(self._nodes + 1):
            self.events.append(Sync(node, "before"))

    def promise(self, text: str) -> None:
        """Note that from now on something must be true whatever happens."""
        with self.lock:
            self.events.append(Promise(text))

    def on_call(self, call: Call, perform: Callable[[], T]) -> T:
        existed = call.kind == "create" and self._find(call.path) is not None
        result: Any = perform()
        if call.kind == "create":
            node = self._find(call.path) if existed else self._add_new(Path(call.path))
            assert node is not None
            if existed and os.fstat(result).st_size == 0:
                self._record(Data(node, 0, None))
        elif call.kind == "mkdir":
            self._add_new(Path(call.path), is_folder=True)
        elif call.kind == "write":
            offset = os.lseek(call.descriptor, 0, os.SEEK_CUR) - result
            self._record(Data(self._node(call.path), offset, call.data[:result]))
        elif call.kind == "fsync":
            if not call.path.endswith(" (deleted)"):
                self.events.append(Sync(self._node(call.path), _site()))
        elif call.kind in ("rename", "exchange", "link", "unlink", "rmdir") and result is not False:
            self._renamed(call)
        return result  # type: ignore[no-any-return]

    def _renamed(self, call: Call) -> None:
        folder, name = self._split(call.path)
        node = self._live.names[folder][name]
        if call.kind in ("unlink", "rmdir"):
            self._record(Names(folder, {name: None}))
            return
        there, target = self._split(call.target)
        other = self._live.names[there].get(target)
        if call.kind == "link":
            self._record(Names(there, {target: node}))
        elif other != node:  # renaming a file to another name of itself does nothing
            left = other if call.kind == "exchange" else None
            if folder == there:
                self._record(Names(folder, {name: left, target: node}))
            else:
                self._record(Names(there, {target: node}))
                self._record(Names(folder, {name: left}))

    def _record(self, event: Names | Data) -> None:
        self._live.apply(event)
        self.events.append(event)

    def _add_new(self, path: Path, *, is_folder: bool = False) -> int:
        self._nodes += 1
        if is_folder:
            self.folders.add(self._nodes)
            self._live.names[self._nodes] = {}
        folder, name = self._split(str(path))
        self._record(Names(folder, {name: self._nodes}))
        return self._nodes

    def _split(self, path: str) -> tuple[int, str]:
        parent, name = os.path.split(path)
        return self._node(parent), name

    def _node(self, path: str) -> int:
        node = self._find(path)
        assert node is not None, path
        return node

    def _find(self, path: str) -> int | None:
        node: int | None = ROOT
        for part in Path(path).relative_to(self.root).parts:
            if node is None:
                return None
            node = self._live.names.get(node, {}).get(part)
        return node


class PowerCut:
    """The current fails after the first events of a trace.

    Parameters
    ----------
    trace
        What happened.
    after
        How many events happened.
    ignoring
        Flushes whose site contains this text are left out, as if the code did not ask for them.
    """

    def __init__(self, trace: PowerTrace, after: int, *, ignoring: str | None = None) -> None:
        self._folders = trace.folders
        self.promises: list[str] = []
        self._safe = Medium()
        self._pending: dict[int, list[Names | Data]] = defaultdict(list)
        for event in trace.events[:after]:
            if isinstance(event, Promise):
                self.promises.append(event.text)
            elif isinstance(event, Sync):
                if ignoring is None or ignoring not in event.site:
                    for waiting in self._pending.pop(event.node, []):
                        self._safe.apply(waiting)
            else:
                node = event.node if isinstance(event, Data) else event.folder
                self._pending[node].append(event)

    def states(self, rng: random.Random, n_random: int) -> Iterator[Medium]:
        """Yield media the cut may leave: only what is safe, everything, and random ones between."""
        yield self._state(lambda: False, rng)
        yield self._state(lambda: True, rng)
        for _ in range(n_random):
            share = rng.choice([0.1, 0.5, 0.9])
            yield self._state(lambda share=share: rng.random() < share, rng)  # type: ignore[misc]

    def write(self, medium: Medium, folder: Path) -> None:
        """Put a medium on a real disk, as a folder that does not exist yet."""
        medium.write(folder, folders=self._folders)

    def _state(self, is_kept: Callable[[], bool], rng: random.Random) -> Medium:
        medium = Medium(
            {node: dict(held) for node, held in self._safe.names.items()}, dict(self._safe.content)
        )
        for waiting in self._pending.values():
            for event in waiting:
                if is_kept():
                    medium.apply(_torn(event, rng))
        return medium


def _torn(event: Names | Data, rng: random.Random) -> Names | Data:
    """Return an event as it may reach the medium: of bytes, perhaps only the first sectors."""
    if isinstance(event, Names) or not event.content or rng.random() < 0.7:
        return event
    cut = rng.randrange(len(event.content))
    return Data(event.node, event.offset, event.content[:cut])


def _site() -> str:
    """Functions of featstore that are being called, innermost first."""
    frame: FrameType | None = sys._getframe(1)
    names = []
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.parent.name == "featstore":
            names.append(f"{file.stem}.{frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(names)
