"""Conditioning: how well the linear system behind a closed form was posed and solved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Conditioning:
    """How well a linear system A W = B was posed and solved.

    Attributes
    ----------
    condition_number
        Ratio of the largest to the smallest eigenvalue of A, in the directions kept.
    rank
        Directions kept: those in which the features vary, up to rounding.
    effective_dof
        Effective degrees of freedom of a regression, the trace of its hat matrix (intercept
        included); None where there is no hat matrix.
    residual
        ‖A W - B‖ / ‖B‖.
    """

    condition_number: float
    rank: int
    effective_dof: float | None
    residual: float
