"""ScreenedSearch: exact neighbours in float32 of the few rows that an int8 product lets through.

An int8 product takes a quarter of the time of a float32 one on processors with instructions for
it, and is off by no more than `int8_rows.bounds` says.  So each row has a least and a greatest
similarity.  Rows whose greatest one is below the k-th largest of the least ones are not among the k
nearest, nor tie with them.  The others, some one and a half times k, are compared in float32, with
the bits of `TileSearch`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.candidates import Candidates
from featstore.probes.device import threads_for
from featstore.probes.inputs import blocks
from featstore.probes.int8_rows import MOST_COLUMNS, Int8Rows, bounds
from featstore.probes.selection import top_columns
from featstore.probes.tile_search import CHUNK_ROWS, TileSearch
from featstore.probes.tiles import PREPARED_ROWS, HeldTiles, aligned

#: Rows of an int8 product: its scores stay in the processor's cache.
_TILE_ROWS = 4096
#: Queries that share a product in float32: fewer would be done by another kernel.
_TOGETHER = 4
_LEAST_QUERIES = 16
_LEAST_COLUMNS = 128
_MOST_NEIGHBOURS = 256
#: Rows for each neighbour: with fewer, too many would be candidates.
_ROWS_PER_NEIGHBOUR = 16
#: Share of the queries left open, above which the rest is not screened.
_TOO_MANY_OPEN = 0.25
_TRIED = 64
_SEED = 0


class ScreenedSearch:
    """A search in int8, and one in float32 for what it leaves open.

    The rows are screened in a shuffled order, so that the first of them tell how similar the k-th
    neighbour among all will be.  That guess costs time where it is wrong, never a neighbour:
    queries whose candidates do not reach down to the bound, or are too many, are left to
    `TileSearch`.

    Parameters
    ----------
    tiles
        Training rows for inner products, on the CPU, shape (n, d).
    """

    exact = True

    def __init__(self, tiles: HeldTiles) -> None:
        self._tiles = tiles
        self._unscreened = TileSearch(tiles, device=torch.device("cpu"))
        self._order = np.random.default_rng(_SEED).permutation(tiles.shape[0])
        self._tiles8: list[tuple[Tensor, Tensor]] = []  # codes (d, t), scales (t,)
        errors = []
        self._longest = 0.0
        for tile in blocks(len(self._order), _TILE_ROWS):
            order = self._order[tile]
            parts = [
                Int8Rows.of(tiles.rows(order[part])) for part in blocks(len(order), PREPARED_ROWS)
            ]
            codes = torch.cat([part.codes for part in parts])
            scales = torch.cat([part.scales for part in parts])
            self._tiles8.append((codes.T.contiguous(), scales))
            errors += [part.errors for part in parts]
            self._longest = max(self._longest, *(float(part.lengths.max()) for part in parts))
        self._errors = torch.cat(errors)
        self._worst = float(self._errors.max())

    @staticmethod
    def bytes_taken(n: int, d: int) -> int:
        """Return what it takes beside the rows (n, d) in float32 and the search that is left."""
        tile, most = min(_TILE_ROWS, n), _most(_MOST_NEIGHBOURS)
        rounding = tile * (4 * 4 + 2) * d
        screening = CHUNK_ROWS * (2 * 4 * tile + 6 * 12 * most)
        comparing = _TOGETHER * most * 4 * (d + _TOGETHER)
        return n * (d + 12) + max(rounding, screening + comparing)

    @staticmethod
    def pays(tiles: HeldTiles) -> bool:
        """Whether this processor can screen these rows, and then compare some with their bits.

        Without instructions for them, int8 products are slow, or saturate.  And libraries may give
        products of other shapes other last bits: a few are tried.
        """
        n, d = tiles.shape
        if n < 2 * _TILE_ROWS or not _LEAST_COLUMNS <= d <= MOST_COLUMNS:
            return False
        if not getattr(torch.cpu, "_is_vnni_supported", bool)():
            return False
        queries = tiles.rows(np.linspace(0, n - 1, _TRIED, dtype=np.int64))
        tile = next(iter(tiles)).values
        some = np.linspace(0, len(tile) - 1, 3 * _TRIED, dtype=np.int64)
        whole = torch.mm(queries, tile.T)[:, some]
        few = [torch.mm(queries[part], tile[some].T) for part in blocks(_TRIED, _TOGETHER)]
        return torch.equal(whole, torch.cat(few))

    @property
    def n_train(self) -> int:
        """Rows to search in."""
        return self._tiles.shape[0]

    def rows(self, index: NDArray[np.int64]) -> Tensor:
        """Return prepared training rows, shape (m, d)."""
        return self._tiles.rows(index)

    def __call__(self, queries: Tensor, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Screen, then compare; see `featstore.probes.neighbours.Search`."""
        n_screened = 0
        if k <= min(_MOST_NEIGHBOURS, self.n_train // _ROWS_PER_NEIGHBOUR):
            n_screened = len(queries)
        rows = np.empty((len(queries), k), dtype=np.int64)
        values = np.empty((len(queries), k), dtype=np.float32)
        for part in blocks(n_screened, CHUNK_ROWS):
            chunk = queries[part]
            if len(chunk) < _LEAST_QUERIES:
                n_screened = part.start
                break
            rows[part], values[part], left_open = self._screened(chunk, k)
            if len(left_open):
                # As many as it takes for the kernel of whole tiles.
                index = np.resize(left_open, max(len(left_open), _TOGETHER))
                found = self._unscreened(chunk[torch.from_numpy(index)], k)
                place = part.start + left_open
                rows[place], values[place] = (half[: len(left_open)] for half in found)
            if len(left_open) > _TOO_MANY_OPEN * len(chunk):
                n_screened = part.stop
                break
        if n_screened < len(queries):
            rows[n_screened:], values[n_screened:] = self._unscreened(queries[n_screened:], k)
        return rows, values

    def _screened(
        self, queries: Tensor, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Rows and values (q, k), and the queries that are left open, whose rows do not count."""
        rounded = Int8Rows.of(queries)
        # In units of the scales of the queries: their rows of scores need no factor.
        unit = rounded.scales.double()[:, None]
        worst = bounds(rounded, self._longest, self._worst) / unit
        with threads_for(2.0 * len(queries) * _TILE_ROWS * queries.shape[1], queries.device):
            candidates, least = self._candidates(rounded.codes, 2 * worst[:, 0], k)
            # Candidates each have a bound of their own, mostly far below the worst.
            bound = bounds(rounded, self._longest, self._errors[candidates.columns]) / unit
            certain = (candidates.values - bound).topk(k, dim=1).values[:, -1:]
            is_open = (candidates.counts > candidates.most) | ~(certain - worst >= least)[:, 0]
            kept = (candidates.values + bound >= certain) & ~is_open[:, None]
            rows, values = self._compared(queries, candidates.columns, kept, k)
        return rows, values, is_open.nonzero()[:, 0].numpy()

    def _candidates(self, codes: Tensor, doubt: Tensor, k: int) -> tuple[Candidates, Tensor]:
        """All rows that are approximated at `least` (q, 1) or above, which rises as they come."""
        q, n = len(codes), self.n_train
        candidates = Candidates(q, most=_most(k))
        products = torch.empty(q * min(_TILE_ROWS, n), dtype=torch.int32)
        buffer = torch.empty(len(products))
        least = torch.empty(0)
        n_seen = 0
        for i, (tile, scales) in enumerate(self._tiles8):
            t = tile.shape[1]
            product, scores = (part[: q * t].view(q, t) for part in (products, buffer))
            torch._int_mm(codes, tile, out=product)
            scores.copy_(product).mul_(scales)
            if i == 0:
                least = (top_columns(scores, _rank(k, t, n))[0][:, -1] - doubt).float()
            candidates.add(scores, least, start=n_seen)
            n_seen += t
            if i and i & (i + 1) == 0 and n_seen < n:  # 2, 4, 8 ... tiles
                guess = candidates.best(_rank(k, n_seen, n)) - doubt
                least = torch.maximum(least, guess.float())
        return candidates, least[:, None]

    def _compared(
        self, queries: Tensor, columns: Tensor, kept: Tensor, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows and values of the k best by float32, (q, k); zeros for queries without any."""
        n, counts = self.n_train, kept.sum(dim=1).numpy()
        # By query and row: equal similarities are to come by row.
        keys = np.sort(np.repeat(np.arange(len(counts)), counts) * n + self._order[columns[kept]])
        query, row = np.divmod(keys, n)
        ends = np.concatenate([[0], counts.cumsum()])
        slot = np.arange(len(keys)) - ends[query]
        values = torch.full((len(counts), max(int(counts.max()), k)), -torch.inf)
        rows = np.zeros(values.shape, dtype=np.int64)
        rows[query, slot] = row
        firsts = np.arange(0, len(counts), _TOGETHER)
        stops = np.minimum(firsts + _TOGETHER, len(counts))
        buffer = torch.empty(aligned(int((ends[stops] - ends[firsts]).max())), queries.shape[1])
        for first, stop in zip(firsts.tolist(), stops.tolist(), strict=True):
            part = slice(ends[first], ends[stop])
            index = row[part]
            if len(index) == 0:
                continue
            padded = np.resize(index, aligned(len(index)))
            some = torch.arange(first, first + _TOGETHER).clamp_(max=len(counts) - 1)
            candidates = self._tiles.rows(padded, out=buffer[: len(padded)])
            products = torch.mm(queries[some], candidates.T)
            at = torch.from_numpy(query[part])
            values[at, torch.from_numpy(slot[part])] = products[at - first, torch.arange(len(at))]
        best, column = top_columns(values, k)
        return np.take_along_axis(rows, column.numpy(), axis=1), best.numpy()


def _most(k: int) -> int:
    """Candidates of a query that are kept."""
    return 4 * k + 512


def _rank(k: int, m: int, n: int) -> int:
    """Return a rank among m of n rows in any order that is hardly above the k-th of all.

    Of the k best, k m / n are among the m on average, with about the square root of that as the
    standard deviation.
    """
    expected = k * m / n
    return min(math.ceil(expected + 4 * math.sqrt(expected) + 4), m)
