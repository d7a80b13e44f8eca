"""Pickled arrays: NumPy arrays inside torch's files, rebuilt without NumPy's unpickling.

torch reads pickles with an unpickler that calls nothing but what it is given.  NumPy's own
functions are better not given: a made-up dtype can have them take any bytes for pointers.  The
stand-ins here know numbers and text, and refuse the rest.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

#: Kinds of dtypes that are rebuilt: truth values, whole numbers, floats, bytes and text.
_KINDS = "biufSU"


class PickledDtype:
    """Stands in for `numpy.dtype`; takes what that is pickled with."""

    def __init__(self, name: str, *_: object) -> None:
        self.dtype = np.dtype(str(name)) if str(name)[:1] in _KINDS else np.dtype("V")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """Stands in for `numpy.ndarray`.

    Attributes
    ----------
    array
        Once the pickle has been read.
    """

    array: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, pickled, fortran, content = state
        values = _values(pickled, content)
        self.array = values.reshape(shape, order="F" if fortran else "C")


def arrays_allowed() -> AbstractContextManager[None]:
    """Have `torch.load` take arrays of numbers and text; `unpickled` says what it has found."""
    import torch

    stand_ins: list[Any] = [(PickledDtype, "numpy.dtype"), (PickledArray, "numpy.ndarray")]
    for module in ("numpy._core.multiarray", "numpy.core.multiarray"):  # NumPy 2, and 1
        stand_ins += [(_reconstruct, f"{module}._reconstruct"), (_scalar, f"{module}.scalar")]
    return torch.serialization.safe_globals(stand_ins)


def unpickled(found: Any) -> Any:
    """Return what `torch.load` has returned, with arrays for their stand-ins."""
    if isinstance(found, PickledArray):
        return found.array
    if isinstance(found, dict):
        return {name: unpickled(value) for name, value in found.items()}
    return [unpickled(value) for value in found] if isinstance(found, list) else found


def _reconstruct(*_: object) -> PickledArray:
    return PickledArray()


def _scalar(pickled: PickledDtype, content: bytes) -> Any:
    return _values(pickled, content)[0].item()


def _values(pickled: PickledDtype, content: object) -> NDArray[Any]:
    if pickled.dtype.kind not in _KINDS or not isinstance(content, bytes):
        raise InvalidInputError("an array of Python objects; save it as numbers or text")
    return np.frombuffer(content, pickled.dtype)
