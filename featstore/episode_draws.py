"""EpisodeDraws: small classification problems, N classes with K rows each, drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore import spec
from featstore.errors import InvalidInputError
from featstore.id_order import id_hashes, sort_keys


@dataclass(frozen=True, eq=False)
class Episodes:
    """N-way K-shot problems.

    Attributes
    ----------
    classes
        Codes of the classes of each episode, ascending, shape (e, n).
    support
        Rows of the store to learn from, class by class, shape (e, n k).
    queries
        Rows to be told apart, class by class, shape (e, n q).
    recipe, seed
        How they were drawn.
    digest
        Sha256 of recipe, seed and the ids of all rows.
    """

    classes: NDArray[np.intp]
    support: NDArray[np.intp]
    queries: NDArray[np.intp]
    recipe: Mapping[str, Any]
    seed: int
    digest: str

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class EpisodeDraws:
    """How to draw N-way K-shot episodes (Vinyals et al. 2016; Snell et al. 2017).

    Every episode draws `way` classes, and of each of them `shots` rows to learn from and
    `queries` others to be told apart.  Which ones depends on names, ids, the seed and the number
    of the episode alone.

    Attributes
    ----------
    way, shots, queries
        Classes of an episode; rows of each to learn from, and to be told apart.
    episodes
        How many.
    seed
        Another seed, other episodes.
    purpose
        What the episodes are for: those of another purpose are other ones.

    Raises
    ------
    InvalidInputError
        If a number is too small.
    """

    way: int = 5
    shots: int = 5
    queries: int = 15
    episodes: int = 1000
    seed: int = 0
    purpose: str = "episode"

    def __post_init__(self) -> None:
        if self.way < 2 or min(self.shots, self.queries, self.episodes) < 1:
            raise InvalidInputError(
                "an episode has at least two classes, one shot and one query, and there is at "
                f"least one episode; got way {self.way}, shots {self.shots}, queries "
                f"{self.queries}, episodes {self.episodes}"
            )

    def draw(
        self,
        support: tuple[NDArray[np.intp], NDArray[np.integer]],
        queries: tuple[NDArray[np.intp], NDArray[np.integer]],
        ids: NDArray[np.str_],
        *,
        classes: Sequence[str],
        origin: Mapping[str, Any] | None = None,
    ) -> Episodes:
        """Draw.

        Parameters
        ----------
        support, queries
            Rows of the store to draw from, and their classes, shape (m,) each.  Equal rows are
            one pool, from which an episode's queries are drawn after its support.
        ids
            Ids of all samples of the store.
        classes
            Names of the classes.
        origin
            What else the recipe should say: the target, the splits.

        Raises
        ------
        InvalidInputError
            If fewer than `way` classes have enough rows, or the pools overlap without being
            equal.

        Examples
        --------
        >>> ids, codes = np.asarray(list("abcdefgh")), np.asarray([0, 0, 0, 0, 1, 1, 1, 1])
        >>> pool = np.arange(8), codes
        >>> draws = EpisodeDraws(way=2, shots=1, queries=3, episodes=10)
        >>> episodes = draws.draw(pool, pool, ids, classes=["x", "y"])
        >>> episodes.support.shape, episodes.queries.shape
        ((10, 2), (10, 6))
        """
        one_pool = np.array_equal(support[0], queries[0])
        if not one_pool and len(np.intersect1d(support[0], queries[0])):
            raise InvalidInputError(
                "rows to learn from and rows to be told apart overlap; draw them from one split, "
                "or from two that have no row in common"
            )
        learn = _Pool(*support, ids, len(classes))
        ask = learn if one_pool else _Pool(*queries, ids, len(classes))
        skipped = self.shots if one_pool else 0
        enough = (learn.counts >= self.shots) & (ask.counts >= skipped + self.queries)
        eligible = np.flatnonzero(enough)
        if len(eligible) < self.way:
            raise InvalidInputError(
                f"{len(eligible)} of {len(classes)} classes have {self.shots} rows to learn from "
                f"and {self.queries} to be told apart; {self.way}-way episodes need as many "
                "classes: ask for fewer queries, shots or classes"
            )
        names = id_hashes([classes[code] for code in eligible.tolist()])
        chosen = np.empty((self.episodes, self.way), np.intp)
        learned = np.empty((self.episodes, self.way, self.shots), np.intp)
        asked = np.empty((self.episodes, self.way, self.queries), np.intp)
        for i in range(self.episodes):
            key = (self.seed, self.purpose, i)
            chosen[i] = np.sort(eligible[_least(sort_keys(names, *key), self.way)])
            for j, code in enumerate(chosen[i]):
                taken = learn.take(code, key, self.shots + (self.queries if one_pool else 0))
                learned[i, j] = taken[: self.shots]
                asked[i, j] = taken[self.shots :] if one_pool else ask.take(code, key, self.queries)
        recipe = {
            "kind": "episodes",
            "purpose": self.purpose,
            "way": self.way,
            "shots": self.shots,
            "queries": self.queries,
            "episodes": self.episodes,
            **(origin or {}),
        }
        content = {
            "recipe": recipe,
            "seed": self.seed,
            "ids": [ids[rows].ravel().tolist() for rows in (learned, asked)],
        }
        return Episodes(
            chosen,
            learned.reshape(self.episodes, -1),
            asked.reshape(self.episodes, -1),
            recipe,
            self.seed,
            spec.digest(content),
        )


class _Pool:
    """Rows grouped by class, to be drawn from by the hash of their ids."""

    def __init__(
        self,
        rows: NDArray[np.intp],
        codes: NDArray[np.integer],
        ids: NDArray[np.str_],
        n_classes: int,
    ) -> None:
        order = np.argsort(codes, kind="stable")
        self.rows = rows[order]
        self.hashes = id_hashes(ids[self.rows].tolist())
        self.counts = np.bincount(codes, minlength=n_classes)
        self.stops = np.cumsum(self.counts)

    def take(self, code: np.intp, key: tuple[object, ...], count: int) -> NDArray[np.intp]:
        """Return `count` rows of a class in random order, shape (count,)."""
        rows = slice(self.stops[code] - self.counts[code], self.stops[code])
        return self.rows[rows][_least(sort_keys(self.hashes[rows], *key), count)]


def _least(keys: NDArray[np.uint64], count: int) -> NDArray[np.intp]:
    """Return the places of the `count` least keys, in their order."""
    if count < len(keys):
        places = np.argpartition(keys, count)[:count]
        return places[np.argsort(keys[places], kind="stable")]
    return np.argsort(keys, kind="stable")
