"""Image folders: ``root/class/…`` or ``root/{train,val,test}/class/…``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featstore.errors import InvalidInputError
from featstore.holdout import HoldOut
from featstore.samples import Samples, Target, relative_id
from featstore.splits import canonical_split, is_split

#: Extensions of files that are taken for images; all else is passed over.
EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """Images below one folder; made by `ImageFolder.scan`.

    Attributes
    ----------
    root
        The folder.
    samples, source
        See `featstore.dataset.Dataset`.
    """

    root: Path
    samples: Samples
    source: Mapping[str, Any]

    @classmethod
    def scan(
        cls,
        root: str | Path,
        *,
        target: str = "label",
        unlabelled: bool = False,
        hold_out: HoldOut | None = HoldOut(),
    ) -> ImageFolder:
        """Find images and take their labels and splits from the names of folders.

        Parameters
        ----------
        root
            ``root/class/…/image`` or ``root/split/class/…/image`` with the splits named train,
            val (valid, validation) and test.
        target
            Name of the label column.
        unlabelled
            Take all images below `root`, without labels and splits.
        hold_out
            Draws a test split where the folders have none; None leaves the samples without.

        Raises
        ------
        InvalidInputError
            If there are no images, images of one class only, or images without a class.
        """
        root = Path(root)
        if not root.is_dir():
            what = "is a file; an image folder" if root.exists() else "does not exist; a folder"
            raise InvalidInputError(f"{root} {what} with one folder per class is needed")
        found = sorted(listed_images(root))
        if not found:
            raise InvalidInputError(
                f"no images below {root}; looked for {', '.join(sorted(EXTENSIONS))}"
            )
        ids = np.asarray([name for name, _ in found])
        marks = np.asarray([size for _, size in found], np.uint64)
        options = {
            "target": [target] if target != "label" else None,
            "unlabelled": unlabelled or None,
            **(hold_out.options if hold_out is not None else {}),
        }
        source: dict[str, Any] = {
            "kind": "folder",
            "root": str(root.resolve()),
            "options": {key: value for key, value in options.items() if value is not None},
        }
        if unlabelled:
            return cls(root, Samples(ids, np.full(len(ids), ""), {}, marks), source)
        parts = [name.split("/") for name in ids.tolist()]
        has_splits = _has_splits(root, parts)
        depth = 1 if has_splits else 0
        loose = [name for name, p in zip(ids.tolist(), parts, strict=True) if len(p) < depth + 2]
        if loose:
            raise InvalidInputError(
                f"{len(loose)} images are not in a class folder, e.g. {loose[0]}; put them into "
                "root/class/ or root/split/class/, give a CSV table of labels, or extract with "
                "--unlabelled"
            )
        labels = [p[depth] for p in parts]
        if len(set(labels)) == 1:
            raise InvalidInputError(
                f"all {len(labels)} images below {root} are of one class, {labels[0]!r}; probes "
                "need at least two classes (or extract with --unlabelled)"
            )
        splits = np.asarray([canonical_split(p[0]) if has_splits else "" for p in parts])
        samples = Samples(ids, splits, {target: Target.from_labels(labels)}, marks)
        if not has_splits and hold_out is not None:
            samples = hold_out.draw(samples)
            source["split"] = str(hold_out)
        return cls(root, samples, source)

    def image(self, row: int) -> Path:
        """Return the file of a row."""
        return self.root / str(self.samples.ids[row])


def _has_splits(root: Path, parts: list[list[str]]) -> bool:
    """Whether the first level of folders are splits; an error if only some of them can be."""
    first = {p[0] for p in parts}
    # A class may be called "train"; a split has folders of its own below.
    splits = {
        name for name in first if is_split(name) and any(len(p) > 2 for p in parts if p[0] == name)
    }
    if splits and splits != first:
        raise InvalidInputError(
            f"{root} holds splits ({', '.join(sorted(splits))}) beside other folders or images "
            f"({', '.join(sorted(first - splits)[:5])}); move the latter elsewhere"
        )
    return bool(splits)


def listed_images(root: Path) -> Iterator[tuple[str, int]]:
    """Yield (id, size in bytes) of every image below a folder.

    Parameters
    ----------
    root
        The folder; hidden files and folders in it are passed over.

    Raises
    ------
    InvalidInputError
        If a link leads nowhere.
    """
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.name.startswith("."):
                    continue
                try:
                    if entry.is_dir():
                        pending.append(path)
                    elif path.suffix.lower() in EXTENSIONS:
                        yield relative_id(path, root), entry.stat().st_size
                except OSError as error:  # a broken link, or links in a circle
                    raise InvalidInputError(
                        f"{path} cannot be followed: {error.strerror}; repair or remove it"
                    ) from error
