"""Random orders of rows that depend on their ids and a key alone: not on the rows' places.

An id becomes 64 bits of its SHA-256 once; every draw then mixes these with its own key by the
finaliser of SplitMix64 (Steele, Lea & Flood 2014), a bijection that costs a few operations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_GAMMA, _FIRST, _SECOND = (
    np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def id_hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the first 64 bits of the SHA-256 of each id, shape (n,).

    Examples
    --------
    >>> id_hashes(["a.png"])
    array([9153304788650147672], dtype=uint64)
    """
    digests = b"".join(hashlib.sha256(str(name).encode()).digest()[:8] for name in ids)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def sort_keys(hashes: NDArray[np.uint64], *key: object) -> NDArray[np.uint64]:
    """Return numbers by which to sort rows into a random order, shape (n,).

    Parameters
    ----------
    hashes
        Of the rows' ids, from `id_hashes`.
    key
        What tells this order from others: a seed, the number of a draw.

    Examples
    --------
    >>> hashes = id_hashes("abcdef")
    >>> sort_keys(hashes, 0, "draw", 1).argsort(), sort_keys(hashes, 0, "draw", 2).argsort()
    (array([3, 0, 5, 4, 1, 2]), array([4, 1, 5, 0, 3, 2]))
    """
    own = id_hashes([":".join(map(str, key))])
    mixed = (hashes ^ own) + _GAMMA
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    keys: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return keys
