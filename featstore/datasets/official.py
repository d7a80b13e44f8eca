"""Data sets whose official test labels are not public."""

from __future__ import annotations

from pathlib import Path

from featstore.errors import InvalidInputError


def reported_split(val_as: str) -> str:
    """Return the name that the official validation images get as a split.

    The test labels of ImageNet, iNat21 and GeoLifeCLEF, and of Places365, are kept by a server, and
    papers report on the official validation images (Cole et al. 2022, C.1): they become the split
    ``test``, and rows that choose hyper-parameters come out of the training rows.

    Parameters
    ----------
    val_as
        ``"test"``, or ``"val"`` to let them choose.

    Raises
    ------
    InvalidInputError
        If it is something else.
    """
    if val_as not in ("test", "val"):
        raise InvalidInputError(
            f"val_as={val_as!r}: the official validation images become the split 'test' or 'val'"
        )
    return val_as


def existing_folder(root: str | Path, what: str) -> Path:
    """Return the folder of a data set, or say that there is none.

    Raises
    ------
    InvalidInputError
        If it is not there.
    """
    root = Path(root)
    if not root.is_dir():
        raise InvalidInputError(f"{root} is no folder; {what} is expected there")
    return root
