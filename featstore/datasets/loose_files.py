"""Loose files: images named one by one, and any source of images without its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featstore.dataset import Dataset
from featstore.datasets.folder import EXTENSIONS, ImageFolder
from featstore.datasets.opening import open_dataset
from featstore.datasets.recognition import recognised
from featstore.errors import InvalidInputError
from featstore.location import is_url
from featstore.samples import Samples, readable_id


class LooseFiles:
    """Image files named one by one; their ids are the paths as they were given.

    Parameters
    ----------
    paths
        Of the files, each once; whether they can be read shows when they are.

    Raises
    ------
    InvalidInputError
        If there are none, or one is there twice or not named in UTF-8.

    Examples
    --------
    >>> LooseFiles(["birds/1.jpg", "2.png"]).samples.ids.tolist()
    ['birds/1.jpg', '2.png']
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        if not paths:
            raise InvalidInputError("there are no images: name files, a folder or another source")
        ids = np.asarray([readable_id(Path(path).as_posix()) for path in paths])
        self.samples = Samples(ids, np.full(len(ids), ""))
        self.source: Mapping[str, Any] = {"kind": "files"}

    def image(self, row: int) -> Path:
        """Return the file of a row."""
        return Path(str(self.samples.ids[row]))


def open_unlabelled(images: Any) -> Dataset:
    """Return images whose labels and splits do not matter.

    Parameters
    ----------
    images
        A file, a list of files, a folder (all images below it), or whatever `open_dataset` takes.

    Raises
    ------
    InvalidInputError
        If there are no images, or the source cannot be read.
    """
    if isinstance(images, list | tuple) and all(isinstance(one, str | Path) for one in images):
        if len(images) != 1:
            strange = [str(one) for one in images if not _is_file_name(one)]
            if strange:
                raise InvalidInputError(
                    f"{strange[0]!r} is no image file by its name; give image files, or one folder "
                    "or other source alone"
                )
            _check_there(images)
            return LooseFiles(images)
        images = images[0]
    if isinstance(images, str | Path):
        # A kind, a URL or a pattern of tar files is looked at by what opens it.
        if ":" not in str(images) and recognised(str(images)) == "folder":
            _check_there([images])
        if _is_file_name(images):
            return LooseFiles([images])
        if Path(images).is_dir() and recognised(str(images)) == "folder":
            return ImageFolder.scan(images, unlabelled=True, hold_out=None)
    return open_dataset(images, hold_out=None)


def _check_there(paths: Sequence[str | Path]) -> None:
    """Stop where nothing is there; single files that are missing are named with the unreadable."""
    if not paths or any(Path(path).exists() for path in paths):
        return
    what = "does not exist" if len(paths) == 1 else f"and {len(paths) - 1} more do not exist"
    raise InvalidInputError(
        f"{paths[0]} {what}; name image files, a folder of images, or another source"
    )


def _is_file_name(name: str | Path) -> bool:
    return (
        not is_url(str(name))
        and Path(name).suffix.lower() in EXTENSIONS
        and not Path(name).is_dir()
    )
