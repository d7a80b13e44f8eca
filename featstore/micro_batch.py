"""MicroBatch: how many images a device takes at a time, which its memory may not always allow."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from featstore.errors import InvalidInputError, OutOfMemoryError

_Result = TypeVar("_Result")

#: Calls in a row that must fit before a larger size is tried again.
STEADY = 32
_SIGNS = ("out of memory", "can't allocate memory", "failed to allocate memory")


class MicroBatch:
    """A size that is halved where memory does not suffice, and doubled again where it does.

    Others may share the device: what they took they may give back.  Each attempt to grow that
    fails doubles the number of calls until the next one.

    Parameters
    ----------
    size
        Images at a time, as long as memory suffices.
    least
        As few as this can be computed; a graph that was exported for a fixed number has no choice.

    Raises
    ------
    InvalidInputError
        If the sizes are not 1 <= least <= size.
    """

    def __init__(self, size: int, *, least: int = 1) -> None:
        if not 1 <= least <= size:
            raise InvalidInputError(f"a batch of {least} to {size} images is none")
        self.full = size
        self.least = least
        self._size = size
        self._fitted = 0
        self._steady = STEADY
        self._is_trial = False
        self._lock = Lock()

    @property
    def size(self) -> int:
        """Images at a time, as things stand."""
        return self._size

    def run(self, compute: Callable[[int], _Result]) -> _Result:
        """Call ``compute(size)``, with smaller and smaller sizes until memory suffices.

        Raises
        ------
        OutOfMemoryError
            If it does not suffice for the smallest size.

        Examples
        --------
        >>> def tight(size):
        ...     if size > 10:
        ...         raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        ...     return size
        >>> MicroBatch(32).run(tight)
        8
        """
        while True:
            size = self._size
            try:
                result = compute(size)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if size <= self.least:
                    raise OutOfMemoryError(
                        f"memory does not suffice for {size} image{'s' if size > 1 else ''} at a "
                        f"time: {_first_line(error)}. Choose smaller images (?size=), another "
                        "--device, or --numerics bf16"
                    ) from error
            else:
                self._grow(size)
                return result
            # Outside the handler, where the error no longer holds the activations in its frames.
            self._shrink(size)

    def _shrink(self, size: int) -> None:
        with self._lock:
            if self._is_trial:
                self._steady *= 2
            self._is_trial = False
            self._fitted = 0
            self._size = min(self._size, max(size // 2, self.least))

    def _grow(self, size: int) -> None:
        if size == self.full:
            return
        with self._lock:
            self._is_trial = False
            self._fitted += 1
            if self._fitted >= self._steady and self._size == size:
                self._fitted = 0
                self._is_trial = True
                self._size = min(2 * size, self.full)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice, whoever raised it.

    torch and ONNX Runtime have types of their own for this, or none; the text they share.

    Examples
    --------
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes do not match"))
    (True, False)
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _SIGNS)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
