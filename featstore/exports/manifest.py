"""Manifests: which images a subset has, for programs that know nothing of stores."""

from __future__ import annotations

import csv
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from featstore.durable import PARTIAL
from featstore.errors import InvalidInputError
from featstore.exports.web_dataset import write_shards
from featstore.new_file import new_file
from featstore.store import FeatureStore
from featstore.subset import Subset

MANIFESTS = (".csv", ".jsonl")
_NUMBER = re.compile(r"^[^%]*%0?\d*d[^%]*$")


@dataclass(frozen=True)
class Entry:
    """An image of a subset.

    Attributes
    ----------
    id
        Its id in the store.
    path
        Where it is; None if nobody knows.
    labels
        Its classes; none for an image without a label.
    split
        Its split, where a list says it.
    """

    id: str
    path: Path | None
    labels: tuple[str, ...]
    split: str | None = None


def export_subset(
    store: FeatureStore,
    name: str,
    out: str | Path,
    *,
    target: str | None = None,
    root: str | Path | None = None,
) -> int:
    """Write down which images a stored subset has.

    Parameters
    ----------
    store
        The store.
    name
        The subset.
    out
        ``.csv``: a table with the columns id, path and label.  ``.jsonl``: a JSON object a line,
        with id, path and label, or labels where there may be several.  Without a suffix: a folder
        ``out/<class>/<id>`` of symbolic links to the images, as torchvision's ImageFolder and most
        pretraining code reads it.  ``…%06d.tar``: tar files of 10,000 images and an ``index.json``,
        as the WebDataset library reads them; see `featstore.exports.web_dataset`.
    target
        The label column; the first by default.
    root
        Folder of the images; where they were extracted from by default.

    Returns
    -------
    n
        Images written.

    Raises
    ------
    FeatureNotFoundError
        If there is no such subset or target.
    InvalidInputError
        If `out` can hold no such list, or links would lead nowhere.
    StorageError
        If the disk refuses.
    """
    entries = list(subset_entries(store, store.subset(name), target=target, root=root))
    labels = store.target(target)[1] if store.samples.targets else None
    write_entries(
        entries,
        Path(out),
        classes=() if labels is None else labels.classes,
        multi=labels is not None and labels.kind == "multi",
    )
    return len(entries)


def write_entries(
    entries: Sequence[Entry], out: Path, *, classes: Sequence[str], multi: bool
) -> None:
    """Write images down, in any of the forms of `export_subset`.

    Parameters
    ----------
    entries
        The images, in this order.
    out
        As for `export_subset`.
    classes
        All classes, in the order of their codes.
    multi
        Whether an image may have several labels.

    Raises
    ------
    InvalidInputError
        If `out` can hold no such list, or links would lead nowhere.
    StorageError
        If the disk refuses.
    """
    shards = out.suffix == ".tar" and _NUMBER.search(out.name) is not None
    if out.suffix not in ("", *MANIFESTS) and not shards:
        raise InvalidInputError(
            f"{out} must end in {' or '.join(MANIFESTS)}, be a folder without a suffix, or name "
            "tar files by a number, such as birds-%06d.tar"
        )
    if multi and out.suffix != ".jsonl":
        raise InvalidInputError(
            f"the images have several labels each, which {out} cannot hold; "
            "write a .jsonl, or choose a single-label --target"
        )
    if shards:
        write_shards(entries, classes, out)
        return
    if not out.suffix:
        _link(entries, out)
        return
    with new_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        if out.suffix == ".csv":
            table = csv.writer(file)
            with_split = any(entry.split is not None for entry in entries)
            table.writerow(["id", "path", "label", *(["split"] if with_split else [])])
            table.writerows(
                [e.id, e.path or "", *(e.labels or ("",)), *([e.split] if with_split else [])]
                for e in entries
            )
        else:
            file.writelines(_line(entry, multi=multi) for entry in entries)


def subset_entries(
    store: FeatureStore,
    subset: Subset,
    *,
    target: str | None = None,
    root: str | Path | None = None,
) -> Iterator[Entry]:
    """Yield the images of a subset of a store; see `export_subset`."""
    rows = subset.rows
    known = store.attributes["source"].get("root") if root is None else root
    labels = store.target(target)[1] if store.samples.targets or target else None
    for row, identity in zip(rows.tolist(), store.samples.ids[rows].tolist(), strict=True):
        if labels is None:
            classes: tuple[str, ...] = ()
        elif labels.kind == "multi":
            classes = tuple(labels.classes[code] for code in labels.codes[row].nonzero()[0])
        else:
            code = int(labels.codes[row])
            classes = () if code < 0 else (labels.classes[code],)
        yield Entry(identity, None if known is None else Path(known) / identity, classes)


def _line(entry: Entry, *, multi: bool) -> str:
    label = {"labels": entry.labels} if multi else {"label": next(iter(entry.labels), None)}
    path = None if entry.path is None else str(entry.path)
    split = {} if entry.split is None else {"split": entry.split}
    return json.dumps({"id": entry.id, "path": path, **label, **split}, ensure_ascii=False) + "\n"


def _link(entries: Sequence[Entry], out: Path) -> None:
    if out.exists():
        raise InvalidInputError(f"{out} exists; choose another --out")
    for entry in entries:
        if entry.path is None or not entry.path.is_file():
            raise InvalidInputError(
                f"{entry.path or entry.id} is not there to be linked to; say where the images are "
                "(--root), or write a .csv"
            )
        if not entry.labels or entry.labels[0] in (".", "..") or "/" in entry.labels[0]:
            raise InvalidInputError(
                f"{entry.id} has the label {next(iter(entry.labels), None)!r}, which cannot name "
                "a folder; write a .csv"
            )
    scratch = out.with_name(f".{out.name}.{secrets.token_hex(6)}{PARTIAL}")
    try:
        for entry in entries:
            link = scratch / entry.labels[0] / entry.id
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(entry.path)).resolve())
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
