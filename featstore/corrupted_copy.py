"""corrupt_images: a corrupted copy of a data set, made once, for programs that pretrain."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from featstore.commits import encode_json
from featstore.cores import available_cores
from featstore.corruptions import (
    Corruption,
    Jpeg,
    check_packages,
    corruption_to_json,
    parse_corruption,
)
from featstore.dataset import Dataset
from featstore.datasets import open_dataset
from featstore.durable import PARTIAL, lock, make_folder, walk
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.exports.manifest import Entry, write_entries
from featstore.images import decode
from featstore.new_file import new_file
from featstore.progress import progress_bar
from featstore.samples import Target

#: File in a copy that says what it is.
PLAN = "corruption.json"
_ROWS_AT_A_TIME = 256


@dataclass(frozen=True)
class CorruptedCopy:
    """What one call of `corrupt_images` did.

    Attributes
    ----------
    out
        The folder.
    manifest
        The list of its images in it.
    images, written
        Images of the copy, and those that this call wrote; the others were there.
    excluded
        Rows without a readable image, with the reason.
    """

    out: Path
    manifest: Path
    images: int
    written: int
    excluded: dict[int, str]


def corrupt_images(
    images: str | Path | Dataset,
    corruption: str | Corruption,
    out: str | Path,
    *,
    target: str | None = None,
    workers: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    progress: bool | None = None,
) -> CorruptedCopy:
    """Write a corrupted copy of every image, below the same folders.

    Pixels are kept exactly: a copy with `Jpeg` holds the JPEG files themselves, any other PNG.  The
    folder appears under its name when it is complete.  After an interruption the same call goes on
    where it stopped; once complete, it does nothing.

    Parameters
    ----------
    images
        An image folder, a CSV/Parquet table, or any `Dataset`.
    corruption
        See `featstore.corruptions.parse_corruption`.
    out
        The new folder.  In it also ``manifest.csv`` with the columns id (of the original), path
        (relative to `out`), label and split, or ``manifest.jsonl`` where images have several
        labels; and ``corruption.json``.
    target
        Label column of the manifest; the first by default.
    workers
        Threads; the number of cores by default.
    on_error
        What to do about an unreadable image: stop, or leave it out.
    progress
        Show a progress bar; None shows it on a terminal.

    Raises
    ------
    InvalidInputError
        If `out` is something else, two images would be one file, or another process is at it.
    UnreadableImageError
        If an image cannot be decoded and `on_error` is ``"raise"``.
    StorageError
        If the disk refuses; what was written is kept.
    """
    dataset, out = open_dataset(images), Path(out)
    if isinstance(corruption, str):
        corruption = parse_corruption(corruption)
    suffix = ".jpg" if isinstance(corruption, Jpeg) else ".png"
    paths = _paths(dataset.samples.ids.tolist(), suffix)
    labels = _target(dataset, target)
    manifest = "manifest.jsonl" if labels is not None and labels.kind == "multi" else "manifest.csv"
    plan = {
        "corruption": corruption_to_json(corruption),
        "label": corruption.label,
        "samples_digest": dataset.samples.digest,
        "images": len(paths),
    }
    if out.exists():
        _check_same(out, plan)
        return CorruptedCopy(out, out / manifest, len(paths), 0, {})
    check_packages([corruption])
    scratch = out.with_name(f".{out.name}{PARTIAL}")
    make_folder(scratch)
    if not (scratch / PLAN).exists():
        with new_file(scratch / PLAN) as temporary:
            temporary.write_bytes(encode_json(plan))
    _check_same(scratch, plan)
    excluded: dict[int, str] = {}

    def write(row: int) -> bool:
        return _write(dataset, row, corruption, scratch / paths[row], excluded)

    with _alone(scratch):
        written = 0
        with (
            progress_bar("corrupt", len(paths), unit="images", shown=progress) as advance,
            ThreadPoolExecutor(workers or available_cores()) as threads,
        ):
            for start in range(0, len(paths), _ROWS_AT_A_TIME):
                rows = range(start, min(start + _ROWS_AT_A_TIME, len(paths)))
                written += sum(threads.map(write, rows))
                if excluded and on_error == "raise":
                    raise UnreadableImageError(
                        f"{next(iter(excluded.values()))}; repair or remove it, or leave such "
                        "images out with --on-error skip"
                    )
                advance(len(rows))
        kept = [row for row in range(len(paths)) if row not in excluded]
        entries = [_entry(dataset, row, paths[row], labels) for row in kept]
        write_entries(
            entries,
            scratch / manifest,
            classes=() if labels is None else labels.classes,
            multi=manifest.endswith(".jsonl"),
        )
        _sweep(scratch)
        scratch.rename(out)
    return CorruptedCopy(out, out / manifest, len(entries), written, excluded)


def _paths(ids: list[str], suffix: str) -> list[str]:
    """Places of the copies, relative to the folder."""
    paths: dict[str, str] = {}
    for identity in ids:
        place = PurePosixPath(identity)
        if place.is_absolute() or ".." in place.parts:
            raise InvalidInputError(
                f"the image {identity!r} would be written outside of the copy; give paths relative "
                "to one folder (--root)"
            )
        path = str(place.with_suffix(suffix))
        if path in paths:
            raise InvalidInputError(
                f"{paths[path]} and {identity} would both be written to {path}; rename one of them"
            )
        paths[path] = identity
    return list(paths)


def _target(dataset: Dataset, name: str | None) -> Target | None:
    targets = dataset.samples.targets
    if name is not None and name not in targets:
        raise InvalidInputError(f"there is no label column {name!r}; there are: {list(targets)}")
    return targets[name] if name is not None else next(iter(targets.values()), None)


def _write(
    dataset: Dataset, row: int, corruption: Corruption, path: Path, excluded: dict[int, str]
) -> bool:
    """Write one image; whether that was needed."""
    if path.exists():
        return False
    try:
        image = decode(dataset.image(row))
        identity = str(dataset.samples.ids[row])
        if isinstance(corruption, Jpeg):
            content = corruption.encode(image)
        else:
            file = BytesIO()
            corruption.apply(image, identity).save(file, "PNG")
            content = file.getvalue()
    except UnreadableImageError as error:
        excluded[row] = str(error)
        return False
    make_folder(path.parent)
    with new_file(path) as temporary:
        temporary.write_bytes(content)
    return True


def _entry(dataset: Dataset, row: int, path: str, target: Target | None) -> Entry:
    samples = dataset.samples
    labels: tuple[str, ...] = ()
    if target is not None and target.kind == "multi":
        labels = tuple(target.classes[code] for code in target.codes[row].nonzero()[0])
    elif target is not None and target.codes[row] >= 0:
        labels = (target.classes[int(target.codes[row])],)
    split = str(samples.splits[row]) if samples.split_names else None
    return Entry(str(samples.ids[row]), Path(path), labels, split)


def _check_same(folder: Path, plan: dict[str, Any]) -> None:
    """Refuse a folder that is not this copy, whole or in the making."""
    try:
        there = json.loads((folder / PLAN).read_bytes())
    except (OSError, ValueError):
        there = None
    if there != plan:
        what = "something else" if not isinstance(there, dict) else f"a copy with {there['label']}"
        raise InvalidInputError(
            f"{folder} exists and is {what}, or of other images; choose another --out, or remove it"
        )


@contextmanager
def _alone(scratch: Path) -> Iterator[None]:
    """Keep other processes out for as long as the block, or this process, lasts."""
    descriptor = os.open(scratch / PLAN, os.O_RDWR)
    try:
        if lock(descriptor) is False:
            raise InvalidInputError(f"another process is writing {scratch}; wait for it")
        yield
    finally:
        os.close(descriptor)


def _sweep(scratch: Path) -> None:
    """Remove what killed processes have left: nobody else is writing here."""
    for parent, _, names in walk(scratch):
        for name in names:
            if name.startswith(".") and PARTIAL in name:
                (parent / name).unlink()
