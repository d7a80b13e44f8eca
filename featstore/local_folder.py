"""LocalFolder: a folder on a file system, where names are either absent or complete."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
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
    make_folder,
    storage_error,
    unlock,
    walk,
)
from featstore.errors import FeatstoreError, StorageError
from featstore.folder import Staged
from featstore.leftovers import remove_tree, sweep, sweep_beside
from featstore.local_claims import ClaimedFile, StagedFile
from featstore.renaming import rename
from featstore.scratch_folder import scratch_folder, scratch_path

#: What file systems without hard links answer to a request for one.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
#: How many times, 10 ms apart, a folder that is locked for its removal is asked for.
_PATIENCE = 500


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

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Bound here: at the end of the interpreter, modules go before the last objects do.
        if self._descriptor is not None:
            close(self._descriptor)

    def child(self, name: str) -> LocalFolder:
        """Return a folder below this one, whether it exists or not."""
        return LocalFolder(self.path / name)

    def pinned(self) -> LocalFolder:
        """Hold on to this very folder, whatever becomes of its name."""
        folder = LocalFolder(self.path)
        if HAS_FOLDER_DESCRIPTORS:
            with self._reading(""):
                folder._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            folder._share()
        return folder

    def _share(self) -> None:
        """Keep others from removing the pinned folder as one that nobody uses.

        Raises
        ------
        FileNotFoundError
            If another process is just doing that, and the name is free.
        """
        assert self._descriptor is not None
        for _ in range(_PATIENCE):
            if lock(self._descriptor, shared=True) is not False:
                return
            self._check_name()
            time.sleep(0.01)
        raise StorageError(
            f"{self.path} is being removed by another process; run the same command again"
        )

    def release(self) -> None:
        """Let others remove the pinned folder again as one that nobody uses."""
        if self._descriptor is not None:
            unlock(self._descriptor)

    def _check_name(self) -> None:
        """Raise `FileNotFoundError` unless the pinned folder still has its name."""
        assert self._descriptor is not None
        if not os.path.samestat(os.fstat(self._descriptor), os.stat(self.path)):  # noqa: PTH116
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))

    # Reading

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a file's bytes from `start` on; at most `length` of them."""
        with self._reading(name), self._open(name) as file:
            file.seek(start)
            return bytes(file.read(-1 if length is None else length))

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; None if there is no such file."""
        try:
            with self._reading(name):
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
        sizes = {}
        with self._reading(""):
            for parent, _, names in walk(self.path):
                for file in (parent / name for name in names):
                    with suppress(FileNotFoundError):
                        sizes[file.relative_to(self.path).as_posix()] = file.stat().st_size
        return dict(sorted(sizes.items()))

    def groups(self) -> list[str]:
        """Return the names of the folders directly below that hold a ``zarr.json``, sorted."""
        with self._reading(""):
            return sorted(file.parent.name for file in self.path.glob("*/zarr.json"))

    def is_free(self) -> bool:
        """Whether something new can begin here; what is left half-made lies elsewhere."""
        return not self.files() and not self.path.is_file()

    def names(self, below: str) -> list[str]:
        """Return the names in a folder below; none if it does not exist."""
        target = self._at(below)
        try:
            with self._reading(below):
                if self._descriptor is None:
                    return sorted(os.listdir(target))  # noqa: PTH208
                descriptor = os.open(target, os.O_RDONLY, dir_fd=self._descriptor)
                try:
                    return sorted(os.listdir(descriptor))  # noqa: PTH208
                finally:
                    os.close(descriptor)
        except FileNotFoundError:
            return []

    def zarr(self) -> Path:
        """Return what zarr-python opens as a store."""
        return self.path

    # Writing files

    def check_writable(self) -> None:
        """Raise `StorageError` if the folder, or the file system it is on, is read-only."""
        if self.path.is_dir() and not os.access(self.path, os.W_OK):
            is_readonly = sys.platform != "win32" and os.statvfs(self.path).f_flag & os.ST_RDONLY
            code = errno.EROFS if is_readonly else errno.EACCES
            raise storage_error(OSError(code, os.strerror(code)), self.path)

    def write(self, name: str, buffers: Iterable[Any]) -> None:
        """Write a file, all or nothing; an existing one is replaced."""
        with self.storing(name):
            aside = self._aside(name, buffers, PARTIAL)
            try:
                aside.flush()
                self._rename(aside.name, self._at(name))
                self.flush_names(name)
            except OSError:
                aside.discard()
                raise
            finally:
                aside.close()

    def create(self, name: str, buffers: Iterable[Any], *, about: Staged | None = None) -> bool:
        """Write a file, all or nothing; False, and nothing written, if there is one already."""
        with self.storing(name):
            aside = self._aside(name, buffers, PARTIAL)
            try:
                if about is not None:
                    # The journal that is written with those bytes then has this file in it, too.
                    aside.begin_write_back()
                    about.flush()
                # Others act on the name: what it stands for must last no less than it does.
                aside.flush()
                if not self._link(aside.name, self._at(name)):
                    return False
            finally:
                aside.discard()
        return True

    def append(self, name: str, line: bytes) -> None:
        """Append to a file that is only for people."""
        with (self.path / name).open("ab") as file:
            file.write(line)

    def stage(self, name: str, buffers: Iterable[Any], *, nbytes: int) -> StagedFile:
        """Put bytes aside under a new name that begins with `name`."""
        with self.storing(name):
            aside = self._aside(name, buffers, STAGED, nbytes=nbytes)
        below = name.rpartition("/")[0]
        last = aside.name.rpartition("/")[2]
        staged = f"{below}/{last}" if below else last
        return StagedFile(staged, aside, storing=partial(self.storing, staged))

    def move(self, source: str, target: str) -> None:
        """Give a staged file its name; an existing file of that name is replaced."""
        with self.storing(target):
            try:
                self._rename(self._at(source), self._at(target))
            except FileNotFoundError:
                if self.size(source) is None:
                    raise
                self._make_parents(target)
                self._rename(self._at(source), self._at(target))

    def flush_names(self, *names: str) -> None:
        """Make sure that names given by `create` and `move` cannot be lost any more."""
        folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
        with self.storing(""):
            # The first flush writes the journal, with all of them in it; the others cost little.
            for folder in sorted(folders, reverse=True):
                flush_folder(self._at(folder), dir_fd=self._descriptor)

    def delete(self, name: str) -> None:
        """Delete a file; no error if there is none."""
        with self.storing(name), suppress(FileNotFoundError):
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
        with self.storing(name):
            try:
                descriptor = os.open(self._at(name), flags, 0o666, dir_fd=self._descriptor)
            except FileNotFoundError:
                self._make_parents(name)
                descriptor = os.open(self._at(name), flags, 0o666, dir_fd=self._descriptor)
        if lock(descriptor) is False:
            os.close(descriptor)
            return None
        return ClaimedFile(descriptor, delete=partial(self.delete, name))

    # Whole folders

    def start(self, files: Mapping[str, bytes]) -> bool:
        """Create this folder with files in it; False, and nothing done, if it exists."""
        while self.size("zarr.json") is None:
            with self.storing(""), scratch_folder(self.path) as scratch:
                for name, content in files.items():
                    LocalFolder(scratch.path).write(name, [content])
                if scratch.appear():
                    return True
            if self.size("zarr.json") is None:
                self.remove()  # leftovers of a removal
        with self.storing(""):
            # Whoever created it may not have come to this yet.
            flush_folder(self.path.parent)
        return False

    @contextmanager
    def filled(self, *, replace: bool = False) -> Iterator[Path]:
        """Fill this folder in a scratch folder; it appears, whole, when the block ends well."""
        with self.storing(""), scratch_folder(self.path) as scratch:
            yield scratch.path
            sums.write(scratch.path)
            flush_tree(scratch.path)
            while not scratch.appear():
                if not replace:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                if scratch.change_places():
                    return
                self.remove()  # the system offers nothing better: for a moment there is none

    def flush(self) -> None:
        """Make sure that no name that was given below this folder can be lost any more."""
        with self.storing(""):
            flush_tree(self.path, files=False)

    def remove(self, *, unless: Callable[[], bool] | None = None) -> bool:
        """Remove the folder; for every reader it is gone at once, however long the rest takes."""
        if unless is not None and not self._is_alone(unless):
            return False
        grave = scratch_path(self.path)
        with self.storing(""):
            try:
                os.rename(self.path, grave)  # noqa: PTH104 - in step with the others
            except FileNotFoundError:
                return True  # removed by another process
            with suppress(FileNotFoundError):  # and what is above it as well
                flush_folder(self.path.parent)
            # Without it, writers that hold on to the folder stop, and no Zarr reader takes what is
            # left for an array.
            (grave / "zarr.json").unlink(missing_ok=True)
            remove_tree(grave)
        return True

    def _is_alone(self, unless: Callable[[], bool]) -> bool:
        """Whether we alone have the folder pinned, and it may go; nobody can pin it then."""
        if self._descriptor is None:
            return not unless()
        alone = lock(self._descriptor) is not False and not unless()
        if alone:
            self._check_name()
        else:
            lock(self._descriptor, shared=True)
        return alone

    def sweep(self) -> None:
        """Remove the temporary files of writers that are dead."""
        # Sweeping is a courtesy; where the disk refuses, the next one does it.
        with suppress(OSError):
            sweep(self.path)
            sweep_beside(self.path)

    # Names

    def _at(self, name: str) -> str:
        """Return a file's name as the system takes it: relative to the pinned folder, or whole."""
        return name if self._descriptor is not None else os.path.join(self.path, name)  # noqa: PTH118

    def _open(self, name: str) -> Any:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, dir_fd=self._descriptor)

        return open(self._at(name), "rb", opener=opener)

    def _aside(self, name: str, buffers: Iterable[Any], suffix: str, *, nbytes: int = 0) -> Aside:
        create = partial(
            Aside, self._at(name), suffix=suffix, dir_fd=self._descriptor, nbytes=nbytes
        )
        try:
            return create(buffers)
        except FileNotFoundError:  # before anything was taken from `buffers`
            self._make_parents(name)
            return create(buffers)

    def _make_parents(self, name: str) -> None:
        parts = name.split("/")[:-1]
        if self._descriptor is None:
            make_folder(self.path)
        for i in range(len(parts)):
            with suppress(FileExistsError):
                os.mkdir(self._at("/".join(parts[: i + 1])), dir_fd=self._descriptor)

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
            return self._rename_to_new(source, target)
        return True

    def _rename_to_new(self, source: str, target: str) -> bool:
        """Rename, unless the new name is taken; for file systems without hard links."""
        try:
            if rename(source, target, how="create", dir_fd=self._descriptor):
                return True
            # Two writers may both pass here: the file system offers nothing better.
            os.stat(target, dir_fd=self._descriptor)
        except FileExistsError:
            return False
        except FileNotFoundError:
            self._rename(source, target)
            return True
        return False

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            raise storage_error(error, self.path / name, verb="read") from error

    @contextmanager
    def storing(self, name: str) -> Iterator[None]:
        """Turn what the system answers to writing `name` into an error that says what to do."""
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
