"""NeighbourVote: what is known about a kNN probe, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NeighbourVote:
    """How a kNN probe searches and votes.

    Attributes
    ----------
    engine
        What searches, such as ``"faiss-ivf"``.
    k, temperature
        That votes are given with.
    recall
        Share of the true k nearest that the search finds; 1 if it is exact.
    recall_queries
        Training rows that it was measured on; 0 if the search is exact.
    leave_one_out
        Score of k and temperature on the training rows; None if they were given.
    """

    engine: str
    k: int
    temperature: float
    recall: float = 1.0
    recall_queries: int = 0
    leave_one_out: float | None = None
