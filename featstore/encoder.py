"""Encoder: the protocol that every backbone fulfils."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from featstore.spec import BackboneSpec, Numerics
from featstore.transform import Transform


class Encoder(Protocol):
    """A frozen network that turns a batch of pixels into a batch of features.

    Attributes
    ----------
    spec
        Architecture, weights digest, layer, pooling and dimension.
    transform
        The pixels it expects; normalisation happens inside `encode`.
    numerics
        Precision of the forward pass.
    engine
        What computes, e.g. ``"torch 2.14.1 cpu"``; provenance only.
    """

    @property
    def spec(self) -> BackboneSpec: ...

    @property
    def transform(self) -> Transform: ...

    @property
    def numerics(self) -> Numerics: ...

    @property
    def engine(self) -> str: ...

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute features.

        Parameters
        ----------
        pixels
            RGB, shape (n, size, size, 3); any n >= 1.

        Returns
        -------
        features
            Shape (n, dim), float32, rows in the order of `pixels`.
        """
        ...


@runtime_checkable
class MultiBackend(Encoder, Protocol):
    """An encoder whose network other libraries can compute, too.

    Attributes
    ----------
    backend
        Which of them this one is; None for the backbone's own library.
    backends
        Name -> function that starts an encoder on that backend, equal in `spec` and `transform`.
    """

    @property
    def backend(self) -> str | None: ...

    @property
    def backends(self) -> Mapping[str, Callable[[], Encoder]]: ...


@runtime_checkable
class Overlapping(Encoder, Protocol):
    """An encoder whose device computes while the host goes on.

    Attributes
    ----------
    ahead
        Batches that may be under way when another one is begun; 0 where the host itself computes.
    """

    @property
    def ahead(self) -> int: ...

    def begin(self, pixels: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        """Begin to compute features.

        Parameters
        ----------
        pixels
            As for `encode`; they stay as they are until the features are there.

        Returns
        -------
        wait
            Waits for the features, and returns what `encode` does.
        """
        ...

    def pixel_buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Make an array of zeros for pixels, which the device reads without the host's help."""
        ...


def overlapping(encoder: Encoder) -> Overlapping | None:
    """Return an encoder whose device computes while the host goes on; None for any other."""
    return encoder if isinstance(encoder, Overlapping) and encoder.ahead else None


def backend_of(encoder: Encoder) -> str | None:
    """Name an encoder's backend; None for the backbone's own library."""
    return encoder.backend if isinstance(encoder, MultiBackend) else None
