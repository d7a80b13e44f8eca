"""Data sets of torchvision, by the names of their classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featstore.dataset import Dataset
from featstore.datasets.idx import idx_images, is_idx_folder
from featstore.datasets.image_files import describe
from featstore.datasets.torch_images import TorchImages
from featstore.errors import InvalidInputError
from featstore.holdout import HoldOut
from featstore.samples import Target
from featstore.suggest import did_you_mean

#: What torchvision's data sets call their splits.
_SPLITS = ("train", "val", "valid", "test")
#: Options that are not for users: featstore applies the transforms and downloads nothing.
_OURS = (
    "self",
    "root",
    "train",
    "transform",
    "target_transform",
    "transforms",
    "download",
    "loader",
)


def torchvision_images(
    name: str, *, root: str | Path, hold_out: HoldOut | None = HoldOut(), **options: str
) -> Dataset:
    """Open a data set of torchvision that is on this machine.

    Ids are ``split/row`` in the published order, such as ``train/0``; for folders of images, paths
    below `root`.  Nothing is downloaded.

    Parameters
    ----------
    name
        Of the class, such as ``FashionMNIST``, ``CIFAR10`` or ``Flowers102``.
    root
        Where torchvision looks; for MNIST and its kin also the folder of their four files, such as
        Debian's ``/usr/share/datasets/fashion-mnist``.
    hold_out
        Draws a test split where the data set has none.
    options
        Further arguments of the class that are text, such as ``split="letters"`` of EMNIST.

    Raises
    ------
    InvalidInputError
        If there is no such data set, its files are not in `root`, or it has no labels.
    """
    import torchvision.datasets as published

    known = [n for n in published.__all__ if inspect.isclass(getattr(published, n))]
    if name not in known:
        raise InvalidInputError(
            f"torchvision has no data set {name!r}. {did_you_mean(name, known)}"
        )
    make = getattr(published, name)
    arguments = inspect.signature(make).parameters
    for option in options:
        if option in _OURS or option not in arguments:
            free = [argument for argument in arguments if argument not in _OURS]
            raise InvalidInputError(
                f"torchvision's {name} has no option {option!r} here. {did_you_mean(option, free)}"
            )
    place = Path(root).resolve()
    source = describe("torchvision", name, **options)
    source["place"] += f"{'&' if options else '?'}root={place}"
    if issubclass(make, published.MNIST) and not options and is_idx_folder(place):
        arrays = idx_images(place, classes=[str(c) for c in getattr(make, "classes", ())] or None)
        arrays.source = source
        return arrays
    parts = _parts(make, place, options)
    if not parts:
        raise InvalidInputError(
            f"{place} holds no split of torchvision's {name} with options {options}"
        )
    images = TorchImages(parts, _attributes(parts), hold_out=hold_out)
    images.source = {**images.source, **source}
    return images


def _parts(make: Any, root: Path, options: Mapping[str, str]) -> Mapping[str, Any]:
    """Open every split that there is."""
    arguments = inspect.signature(make).parameters
    fixed: dict[str, Any] = dict(options)
    if "download" in arguments:
        fixed["download"] = False
    if "train" in arguments:
        return {s: _open(make, root, train=s == "train", **fixed) for s in ("train", "test")}
    if "split" not in arguments or "split" in options:
        return {"": _open(make, root, **fixed)}
    found: dict[str, Any] = {}
    for split in _SPLITS:
        try:
            found[split] = make(str(root), split=split, **fixed)
        except ValueError:  # it has no such split
            continue
        except (RuntimeError, OSError) as error:
            raise _not_there(make, root, error) from error
    return found


def _open(make: Any, root: Path, **arguments: Any) -> Any:
    try:
        return make(str(root), **arguments)
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise _not_there(make, root, error) from error


def _not_there(make: Any, root: Path, error: Exception) -> InvalidInputError:
    # torchvision advises to download, which is not ours to do.
    reason = str(error).split(" You can use download")[0]
    return InvalidInputError(
        f"torchvision's {make.__name__} cannot be opened in {root}: {reason.rstrip('.')}. Put its "
        "files where torchvision looks for them (see its documentation)"
    )


def _attributes(parts: Mapping[str, Any]) -> Mapping[str, Target] | None:
    """Attributes of CelebA: a 0/1 matrix with names."""
    first = next(iter(parts.values()))
    if not hasattr(first, "attr_names"):
        return None
    values = np.concatenate([np.asarray(part.attr, bool) for part in parts.values()])
    names = tuple(name for name in first.attr_names if name)
    return {"attributes": Target("multi", names, values[:, : len(names)])}
