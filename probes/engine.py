"""Engine: what searches for neighbours, by name or with parameters of its own."""

from __future__ import annotations

from typing import Literal, get_args

from featstore.errors import InvalidInputError
from featstore.probes.faiss_search import (
    INDEXES,
    FlatIndex,
    Index,
    InvertedLists,
    NeighbourGraph,
)

EngineName = Literal["torch", "faiss", "faiss-ivf", "faiss-hnsw"]
Engine = EngineName | Index


def index_of(engine: Engine) -> Index | None:
    """Return the index of faiss that an engine searches by; None for torch.

    Raises
    ------
    InvalidInputError
        If there is no such engine.

    Examples
    --------
    >>> index_of("faiss-hnsw")
    NeighbourGraph(M=32, ef_construction=100, ef_search=64)
    """
    if isinstance(engine, FlatIndex | InvertedLists | NeighbourGraph):
        return engine
    if engine not in get_args(EngineName):
        raise InvalidInputError(
            f"engine must be one of {', '.join(map(repr, get_args(EngineName)))}, or an "
            f"InvertedLists or NeighbourGraph with parameters, got {engine!r}"
        )
    return INDEXES.get(engine)


def name_of(engine: Engine) -> str:
    """Return the name of an engine.

    Examples
    --------
    >>> from featstore.probes import InvertedLists
    >>> name_of(InvertedLists(nprobe=4))
    'faiss-ivf'
    """
    index = index_of(engine)
    return "torch" if index is None else index.name
