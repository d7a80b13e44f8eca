"""Encoder: the protocol that every backbone fulfils."""

from __future__ import annotations

from typing import Protocol

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
