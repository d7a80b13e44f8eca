"""Opening: a word on the command line becomes a data set.

::

    PLACE                       what it is is seen from its content
    KIND:PLACE[?key=value&...]  what it is is said, with options
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from featstore.bands import Bands
from featstore.dataset import Dataset
from featstore.datasets.banded import BandedImages
from featstore.datasets.chosen_targets import with_targets
from featstore.datasets.recognition import recognised
from featstore.datasets.torch_images import TorchImages
from featstore.errors import InvalidInputError
from featstore.holdout import HoldOut
from featstore.location import is_url
from featstore.suggest import did_you_mean

#: What opens each kind; third parties add theirs as entry points ``featstore.datasets``.
KINDS = {
    "folder": "featstore.datasets.folder:ImageFolder.scan",
    "table": "featstore.datasets.table:ImageTable.read",
    "inat21": "featstore.datasets.inat21:inat21",
    "imagenet": "featstore.datasets.imagenet:imagenet",
    "places365": "featstore.datasets.places365:places365",
    "geolifeclef": "featstore.datasets.geolifeclef:geolifeclef",
    "wds": "featstore.datasets.tar_images:TarImages.open",
    "hf": "featstore.datasets.hugging_face:hugging_face",
    "idx": "featstore.datasets.idx:idx_images",
    "torchvision": "featstore.datasets.torchvision_images:torchvision_images",
}
ENTRY_POINTS = "featstore.datasets"
_SAID = re.compile(r"(?P<kind>[a-z][a-z0-9_-]+):(?!//)(?P<place>.+)", re.DOTALL)


def open_dataset(
    images: Any,
    *,
    hold_out: HoldOut | None = HoldOut(),
    targets: Sequence[str] | None = None,
    bands: Bands | None = None,
    **options: Any,
) -> Dataset:
    """Return the data set behind what `featstore.extract` is given.

    Parameters
    ----------
    images
        A path or URL; ``KIND:PLACE?key=value``; a `Dataset`; or a map-style data set of PyTorch.
    hold_out
        Draws a test split where the images come without splits.
    targets
        Which label columns to keep; all by default.  Of a folder, the name of its labels.
    bands
        Which bands of the images are shown; as they are by default.
    options
        Of what opens this kind; those in `images` come first.

    Raises
    ------
    InvalidInputError
        If it is not clear what it is, an option does not belong to it, or it cannot be read.
    """
    if not isinstance(images, str | Path):
        dataset = _object(images)
        if options:
            raise InvalidInputError(f"{', '.join(options)} belong to images that a path names")
        return _finished(dataset, targets, bands)
    kind, place, said = _parsed(images)
    opener = _opener(kind)
    known = inspect.signature(opener).parameters
    free = any(p.kind is p.VAR_KEYWORD for p in known.values())
    given = {**options, **said}
    for option in given:
        if not free and option not in known:
            ours = [name for name in list(known)[1:] if name != "hold_out"]
            raise InvalidInputError(
                f"{option!r} is no option of {kind} ({place}). {did_you_mean(option, ours)}"
            )
    if "hold_out" in known:
        given["hold_out"] = hold_out
    if targets and hold_out is not None and hold_out.groups is not None:
        targets = [*targets, hold_out.groups]
    if targets and "targets" in known:
        given["targets"], targets = targets, None
    elif targets and kind == "folder":
        given["target"], targets = targets[0], None
    dataset = opener(place, **given)
    return _finished(dataset, targets, bands)


def kinds() -> dict[str, str]:
    """Say what opens each kind of data set: ``module:attribute``; featstore's own come first."""
    found = dict(KINDS)
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        found.setdefault(entry.name, entry.value)
    return found


def _finished(dataset: Dataset, targets: Sequence[str] | None, bands: Bands | None) -> Dataset:
    if targets:
        dataset = with_targets(dataset, targets)
    return dataset if bands is None else BandedImages(dataset, bands)


def _object(images: Any) -> Dataset:
    if isinstance(images, Dataset):
        return images
    if hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        return TorchImages(images)
    raise InvalidInputError(
        f"a {type(images).__name__} is no source of images; give a path, a featstore Dataset, or a "
        "map-style data set of PyTorch"
    )


def _parsed(images: str | Path) -> tuple[str, str, Mapping[str, str]]:
    """Return kind, place and options."""
    text = str(images)
    said = _SAID.fullmatch(text) if isinstance(images, str) and not Path(text).exists() else None
    if said is None:
        return recognised(text), text, {}
    kind, known = said["kind"], kinds()
    if kind not in known:
        raise InvalidInputError(
            f"there is no kind of data set {kind!r} ({text}). {did_you_mean(kind, known)}"
        )
    place, *query = said["place"].split("?", 1)
    options: dict[str, str] = {}
    for pair in query[0].split("&") if query else ():
        key, equals, value = pair.partition("=")
        if not (key and equals and value) or key in options:
            raise InvalidInputError(
                f"cannot read {pair!r} in {text!r}: options are KIND:PLACE?key=value&key=value, "
                "each given once"
            )
        options[key] = value
    if not is_url(place):
        place = str(Path(place).expanduser())
    return kind, place, options


def _opener(kind: str) -> Callable[..., Dataset]:
    module, _, attribute = kinds()[kind].partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    opener: Callable[..., Dataset] = found
    return opener
