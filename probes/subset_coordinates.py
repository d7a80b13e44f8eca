"""Subset coordinates: stacks of small feature matrices with orthogonal columns.

A ridge penalty does not see rotations, and a free intercept makes centring exact.  So n rows of d
columns may be replaced by n rows of r = min(n, d) columns: the principal coordinates, from the
Gram matrix of the rows alone where n <= d (the dual form), else from the scatter of the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_NOISE = 2.0**-50  # times r: eigenvalues below this share of the largest are rounding


@dataclass(frozen=True, eq=False)
class SubsetCoordinates:
    """Principal coordinates of s subsets of n rows.

    Attributes
    ----------
    design
        Centred rows, shape (s, n, r), float64; columns of a subset are orthogonal.
    eigenvalues
        Mean squares of the columns, shape (s, r).
    basis
        What weights return through: shape (s, n, r), to weights of the rows, in the dual form;
        else (s, d, r), to weights of the features.
    dual
        Which of the two.
    """

    design: Tensor
    eigenvalues: Tensor
    basis: Tensor
    dual: bool

    @classmethod
    def of_gram(cls, gram: Tensor) -> Self:
        """Take the Gram matrices of rows, shape (s, n, n), not centred.

        Examples
        --------
        >>> X = torch.tensor([[[1.0, 2.0, 9.0], [3.0, 5.0, 9.0]]], dtype=torch.float64)
        >>> found = SubsetCoordinates.of_gram(X @ X.mT)
        >>> [round(distance, 6) for distance in torch.pdist(found.design[0]).tolist()]
        [3.605551]
        """
        columns = gram.mean(dim=1, keepdim=True)
        centred = gram - columns - columns.mT + columns.mean(dim=2, keepdim=True)
        eigenvalues, Q = torch.linalg.eigh(centred)
        kept = _kept(eigenvalues)
        lengths = eigenvalues.clamp_min(0).sqrt() * kept
        inverse = torch.where(kept, 1 / lengths, 0.0)
        n = gram.shape[1]
        return cls(Q * lengths[:, None, :], lengths.square() / n, Q * inverse[:, None, :], True)

    @classmethod
    def of_rows(cls, rows: Tensor) -> Self:
        """Take the rows themselves, shape (s, n, d), float64, for n > d."""
        centred = rows - rows.mean(dim=1, keepdim=True)
        eigenvalues, Q = torch.linalg.eigh(centred.mT @ centred)
        kept = _kept(eigenvalues)
        n = rows.shape[1]
        Q = Q * kept[:, None, :]
        return cls(centred @ Q, eigenvalues * kept / n, Q, False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(s, n, r)."""
        s, n, r = self.design.shape
        return s, n, r

    def to_features(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Weights (s, k, d) over features from weights (s, k, r) over coordinates.

        Parameters
        ----------
        weights
            Shape (s, k, r).
        rows
            The feature rows of the subsets, shape (s, n, d), up to a shift.
        """
        mapped = weights @ self.basis.mT
        # Weights of rows sum to zero, since the coordinates are centred: a shift does not matter.
        return mapped @ rows if self.dual else mapped


def _kept(eigenvalues: Tensor) -> Tensor:
    r = eigenvalues.shape[-1]
    return eigenvalues > r * _NOISE * eigenvalues.amax(dim=-1, keepdim=True).clamp_min(1e-300)
