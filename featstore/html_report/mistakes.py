"""Mistakes: test images of the classes that are confused most, small enough to embed."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featstore.analysis.confusion import confusion
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.html_report.board import Board
from featstore.images import decode

PAIRS = 8
"""Pairs of classes to show images of."""

IMAGES = 6
"""Images of each pair."""

_EDGE = 112
_QUALITY = 72


@dataclass(frozen=True)
class Mistake:
    """A test image that was given a wrong class.

    Attributes
    ----------
    id
        Of the sample.
    score
        Of the wrong class.
    uri
        The image, as a ``data:`` address.
    width, height
        In pixels.
    """

    id: str
    score: float
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class MistakenPair:
    """Two classes, and images of one that were taken for the other.

    Attributes
    ----------
    true, taken_for
        Names of the classes.
    n
        Test rows of the pair.
    images
        Those that the probe was surest of first.
    """

    true: str
    taken_for: str
    n: int
    images: tuple[Mistake, ...]


def image_root(source: Mapping[str, Any], given: str | Path | None) -> Path | None:
    """Return the folder that sample ids are paths in, if it is at hand.

    Parameters
    ----------
    source
        What a store says of the images it was made from.
    given
        A folder named by the user, which must be there.

    Raises
    ------
    InvalidInputError
        If `given` is no folder.

    Examples
    --------
    >>> image_root({"kind": "folder", "root": "/nowhere/at/all"}, None) is None
    True
    """
    if given is not None:
        if not Path(given).is_dir():
            raise InvalidInputError(
                f"{given} is no folder; name the one that the sample ids are paths in"
            )
        return Path(given)
    root = source.get("root")
    return Path(root) if root and Path(root).is_dir() else None


def mistakes(board: Board, root: Path) -> list[MistakenPair]:
    """Make thumbnails of the best run's most frequent confusions.

    Parameters
    ----------
    board
        Single-label, or nothing is shown.
    root
        Where the ids of samples are paths; images that are not there are passed over.

    Returns
    -------
    pairs
        Those with an image at least.
    """
    run = board.predictions
    if run.multilabel:
        return []
    codes = {name: code for code, name in enumerate(run.classes)}
    found = []
    for pair in confusion(run).head(PAIRS).itertuples(index=False):
        true, called = codes[pair[0]], codes[pair[1]]
        rows = np.flatnonzero((run.truth == true) & (run.predicted == called))
        scores = run.scores[rows, called]
        images = []
        for i in np.argsort(-scores, kind="stable"):
            image = _thumbnail(root, str(run.ids[rows[i]]), float(scores[i]))
            if image is not None:
                images.append(image)
            if len(images) == IMAGES:
                break
        if images:
            found.append(MistakenPair(pair[0], pair[1], len(rows), tuple(images)))
    return found


def _thumbnail(root: Path, name: str, score: float) -> Mistake | None:
    path = root / name
    # An id such as ../x is no path of the data set.
    if ".." in Path(name).parts or not path.is_file():
        return None
    try:
        image = decode(path)
    except UnreadableImageError:
        return None
    image.thumbnail((_EDGE, _EDGE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Mistake(name, score, uri, *image.size)
