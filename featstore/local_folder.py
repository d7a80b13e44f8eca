"""LocalFolder: a folder on a file system, where names are either absent or complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from featstore import sums
from featstore.durable import (
    HAS_FOLDER_DESCRIPTORS,
    PARTIAL,
    STAGED,
    Aside,
    flush_folder,
    flush_tree,
    lock,
    storage_error,
    sweep,
)
from featstore.errors import FeatstoreError, StorageError

#: What file systems without hard links answer to a request for one.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class LocalFolder:
    """A folder on a file system; see `featstore.folder.Folder`.

    Parameters
    ----------
    path
        Where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.resolve().name

    @property
    def local(self) -> Path:
        """The path."""
        return self.path

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"LocalFolder({str(self.path)!r})"

    def __reduce__(self) -> tuple[type[LocalFolder], tuple[Path]]:
        # A descriptor means nothing in another process.
        return LocalFolder, (self.path,)

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def child(self, name: str) -> LocalFolder:
        """Return a folder below this one, whether it exists or not."""
        return LocalFolder(self.path / name)

    def pinned(self) -> LocalFolder:
        """Hold on to this very folder, whatever becomes of its name."""
        folder = LocalFolder(self.path)
        if HAS_FOLDER_DESCRIPTORS:
            folder._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        return folder

    # Reading

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a file's bytes from `start` on; at most `length` of them."""
        with self._open(name) as file:
            file.seek(start)
            return bytes(file.read(-1 if length is None else length))

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; None if there is no such file."""
        try:
            return os.stat(self._at(name), dir_fd=self._descriptor).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def modified(self, name: str) -> float | None:
        """Return when a file was last written, in seconds since 1970; None if there is none."""
        try:
            return os.stat(self._at(name), dir_fd=self._descriptor).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None

    def files(self) -> dict[str, int]:
        """Return the size in bytes of every file below the folder, by name."""
        return {
            file.relative_to(self.path).as_posix(): file.stat().st_size
            for file in sorted(self.path.rglob("*"))
            if file.is_file()
        }

    def groups(self) -> list[str]:
        """Return the names of the folders directly below that hold a ``zarr.json``, sorted."""
        return sorted(file.parent.name for file in self.path.glob("*/zarr.json"))

    def names(self, below: str) -> list[str]:
        """Return the names in a folder below; none if it does not exist."""
        target = self._at(below)
        try:
            if self._descriptor is None:
                return sorted(os.listdir(target))  # noqa: PTH208
            descriptor = os.open(target, os.O_RDONLY, dir_fd=self._descriptor)
        except FileNotFoundError:
            return []
        try:
            return sorted(os.listdir(descriptor))  # noqa: PTH208
        finally:
            os.close(descriptor)

    def zarr(self) -> Path:
        """Return what zarr-python opens as a store."""
        return self.path

    # Writing files

    def write(self, name: str, buffers: Iterable[Any]) -> None:
        """Write a file, all or nothing; an existing one is replaced."""
        with self._storing(name):
            aside = self._aside(name, buffers, PARTIAL)
            try:
                self._rename(aside.name, self._at(name))
                self._flush_parent(name)
            except OSError:
                aside.discard()
                raise
            finally:
                aside.close()

    def create(self, name: str, buffers: Iterable[Any]) -> bool:
        """Write a file, all or nothing; False, and nothing written, if there is one already."""
        with self._storing(name):
            aside = self._aside(name, buffers, PARTIAL)
            try:
                if not self._link(aside.name, self._at(name)):
                    return False
                aside.discard()
                self._flush_parent(name)
            finally:
                aside.discard()
        return True

    def append(self, name: str, line: bytes) -> None:
        """Append to a file that is only for people."""
        with (self.path / name).open("ab") as file:
            file.write(line)

    def stage(self, name: str, buffers: Iterable[Any]) -> StagedFile:
        """Write bytes, safely, under a new name that begins with `name`."""
        with self._storing(name):
            aside = self._aside(name, buffers, STAGED)
            try:
                # The name must last before a marker may mention it.
                self._flush_parent(name)
            except OSError:
                aside.discard()
                raise
        below = name.rpartition("/")[0]
        last = aside.name.rpartition("/")[2]
        return StagedFile(f"{below}/{last}" if below else last, aside)

    def move(self, source: str, target: str) -> None:
        """Give a staged file its name; an existing file of that name is replaced."""
        with self._storing(target):
            try:
                self._rename(self._at(source), self._at(target))
            except FileNotFoundError:
                if self.size(source) is None:
                    raise
                self._make_parents(target)
                self._rename(self._at(source), self._at(target))
            self._flush_parent(target)

    def delete(self, name: str) -> None:
        """Delete a file; no error if there is none."""
        with self._storing(name), suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def is_abandoned(self, staged: str) -> bool:
        """Whether nobody who is alive has put these bytes aside."""
        try:
            descriptor = os.open(self._at(staged), os.O_RDWR, dir_fd=self._descriptor)
        except OSError:
            return False
        try:
            return bool(lock(descriptor))
        finally:
            os.close(descriptor)

    def claim(self, name: str) -> ClaimedFile | None:
        """Claim a piece of work by a file of this name; None if somebody alive is at it."""
        flags = os.O_RDWR | os.O_CREAT
        with self._storing(name):
            try:
                descriptor = os.open(self._at(name), flags, 0o666, dir_fd=self._descriptor)
            except FileNotFoundError:
                self._make_parents(name)
                descriptor = os.open(self._at(name), flags, 0o666, dir_fd=self._descriptor)
        if lock(descriptor) is False:
            os.close(descriptor)
            return None
        return ClaimedFile(self, name, descriptor)

    # Whole folders

    def start(self, files: Mapping[str, bytes]) -> bool:
        """Create this folder with files in it; False, and nothing done, if it exists."""
        while True:
            if (self.path / "zarr.json").exists():
                return False
            try:
                with self._scratch() as scratch:
                    for name, content in files.items():
                        LocalFolder(scratch).write(name, [content])
                    os.rename(scratch, self.path)  # noqa: PTH104 - in step with the others
                    flush_folder(self.path.parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise storage_error(error, self.path) from error
                if not (self.path / "zarr.json").exists():
                    self.remove()  # leftovers of a removal
                continue
            return True

    @contextmanager
    def filled(self, *, replace: bool = False) -> Iterator[Path]:
        """Fill this folder in a scratch folder; it appears, whole, when the block ends well."""
        try:
            with self._scratch() as scratch:
                yield scratch
                sums.write(scratch)
                flush_tree(scratch)
                if replace and self.path.exists():
                    self.remove()
                os.rename(scratch, self.path)  # noqa: PTH104
                flush_folder(self.path.parent)
        except OSError as error:
            if isinstance(error, FeatstoreError):
                raise
            raise storage_error(error, self.path) from error

    def flush(self) -> None:
        """Make sure that no name that was given below this folder can be lost any more."""
        with self._storing(""):
            flush_tree(self.path, files=False)
            flush_folder(self.path.parent)

    def remove(self) -> None:
        """Remove the folder; for every reader it is gone at once, however long the rest takes."""
        grave = self._scratch_path()
        try:
            os.rename(self.path, grave)  # noqa: PTH104
            flush_folder(self.path.parent)
            shutil.rmtree(grave)
        except OSError as error:
            raise storage_error(error, self.path) from error

    def sweep(self) -> None:
        """Remove the temporary files of writers that are dead."""
        sweep(self.path)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Make a folder beside this one; it is removed if it is still there in the end."""
        scratch = self._scratch_path()
        descriptor = -1
        try:
            scratch.mkdir(parents=True)
            if HAS_FOLDER_DESCRIPTORS:
                descriptor = os.open(scratch, os.O_RDONLY)
                lock(descriptor)
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if descriptor >= 0:
                os.close(descriptor)

    def _scratch_path(self) -> Path:
        import secrets

        return self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}{PARTIAL}")

    # Names

    def _at(self, name: str) -> str:
        """Return a file's name as the system takes it: relative to the pinned folder, or whole."""
        return name if self._descriptor is not None else os.path.join(self.path, name)  # noqa: PTH118

    def _open(self, name: str) -> Any:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, dir_fd=self._descriptor)

        return open(self._at(name), "rb", opener=opener)

    def _aside(self, name: str, buffers: Iterable[Any], suffix: str) -> Aside:
        buffers = list(buffers)
        try:
            return Aside(self._at(name), buffers, suffix=suffix, dir_fd=self._descriptor)
        except FileNotFoundError:
            self._make_parents(name)
            return Aside(self._at(name), buffers, suffix=suffix, dir_fd=self._descriptor)

    def _make_parents(self, name: str) -> None:
        parts = name.split("/")[:-1]
        if self._descriptor is None:
            self.path.mkdir(parents=True, exist_ok=True)
        for i in range(len(parts)):
            with suppress(FileExistsError):
                os.mkdir(self._at("/".join(parts[: i + 1])), dir_fd=self._descriptor)
                flush_folder(self._at("/".join(parts[:i]) or "."), dir_fd=self._descriptor)

    def _rename(self, source: str, target: str) -> None:
        os.replace(source, target, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def _link(self, source: str, target: str) -> bool:
        """Give a file a second name, unless that is taken."""
        try:
            os.link(source, target, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Two writers may both pass here: the file system offers nothing better.
            try:
                os.stat(target, dir_fd=self._descriptor)
            except FileNotFoundError:
                self._rename(source, target)
                return True
            return False
        return True

    def _flush_parent(self, name: str) -> None:
        flush_folder(self._at(name.rpartition("/")[0] or "."), dir_fd=self._descriptor)

    @contextmanager
    def _storing(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if self._descriptor is not None:
                raise StorageError(
                    f"{self.path} was removed by another process while it was being written; "
                    "run the same command again to start over"
                ) from error
            raise storage_error(error, self.path / name) from error
        except OSError as error:
            if isinstance(error, FeatstoreError):
                raise
            raise storage_error(error, self.path / name) from error


class StagedFile:
    """A file put aside, claimed until it is closed."""

    def __init__(self, name: str, aside: Aside) -> None:
        self.name = name
        self._aside = aside

    def close(self) -> None:
        """Give up the claim; what is still there may then be swept."""
        self._aside.close()


class ClaimedFile:
    """The right to do a piece of work, for as long as its process lives."""

    def __init__(self, folder: LocalFolder, name: str, descriptor: int) -> None:
        self._folder = folder
        self._name = name
        self._descriptor = descriptor

    def release(self, *, done: bool) -> None:
        """Give the right back; `done` if there is nothing left to do."""
        try:
            # The name stays where work is left: without it, two could hold the same right, one by
            # the old file and one by a new one.
            if done:
                self._folder.delete(self._name)
        finally:
            os.close(self._descriptor)
