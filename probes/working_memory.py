"""WorkingMemory: what a solver keeps in memory, so that a ceiling holds."""

from __future__ import annotations

from dataclasses import dataclass

from featstore.ceiling import check_ceiling
from featstore.probes.centred_rows import STREAMED_ROWS
from featstore.probes.curvature_pairs import CurvaturePairs
from featstore.probes.stream import BLOCK_ROWS

_DOUBLE = 8
_BFLOAT16 = 2
_FEWEST_PAIRS = 5
_FEWEST_ROWS = 64
_MOST_ROWS = 4096
_BLOCK_LOGITS = 2**20  # a block's products are then long enough to keep a processor busy
_TEMPORARIES = 10  # blocks of logits that a loss makes on its way and malloc keeps, and of features
_SQUARES = 6  # d x d matrices while a Gram matrix is diagonalised
_BLOCK_SQUARES = 3  # r x r matrices beside the inverses, while these are made
_HEADS = 12  # copies of the parameters beside those of the history
_HISTORIES = 3  # a path keeps the steps and gradients of one minimum while it looks for the next
_GRAM_ROWS_AT_LEAST = 2**13
_BATCH_BYTES = 16 << 20
_BATCHES = 4  # two of a view, two that a scaling makes of them


@dataclass(frozen=True)
class WorkingMemory:
    """How a logistic regression goes about its rows.

    Attributes
    ----------
    blocks
        Whether there is room for blocks of the Hessian, see `featstore.probes.block_metric`.
    fused
        Whether logits of all rows are done without: forward and backward block by block.
    streams
        Whether there is no working copy of the features either: every pass reads their source.
    rounds
        Whether there may be a copy of the features in bfloat16, too.
    pairs
        Length of the quasi-Newton history; None for what suits the problem.
    block_rows
        Rows of a block, where `fused`.
    batch_rows
        Rows that a view reads at a time, where `streams`.
    """

    blocks: bool = False
    fused: bool = False
    streams: bool = False
    rounds: bool = True
    pairs: int | None = None
    block_rows: int = _MOST_ROWS
    batch_rows: int | None = None

    def new_pairs(self) -> CurvaturePairs | None:
        """Return an empty history of the chosen length; None for what suits the problem."""
        return None if self.pairs is None else CurvaturePairs(self.pairs)

    @classmethod
    def within(
        cls,
        ceiling: int | None,
        shape: tuple[int, int],
        k: int,
        *,
        working_bytes: int,
        stored_bytes: int,
        resident: bool = False,
        view_ceiling: int | None = None,
    ) -> WorkingMemory:
        """Choose the quickest way that stays below a ceiling.

        Parameters
        ----------
        ceiling
            Bytes for the features, logits and parameters that the solver makes, wherever it runs;
            the labels, the features as they were given, and the fitted head are not counted.
            None for none.
        shape
            (n, d) of the features.
        k
            Columns of logits.
        working_bytes, stored_bytes
            Size of a number of the working copy, and of a stored one.
        resident
            Whether the working copy exists already.
        view_ceiling
            Bytes that a view may hold of its values: no working copy is to be larger either.

        Raises
        ------
        MemoryCeilingError
            If the ceiling is too low for the d x d Gram matrix, or for the parameters and a short
            history.

        Examples
        --------
        >>> WorkingMemory.within(None, (10**9, 2048), 1000, working_bytes=4, stored_bytes=2).fused
        False
        >>> way = WorkingMemory.within(
        ...     2 * 10**9, (10**7, 768), 1000, working_bytes=4, stored_bytes=2
        ... )
        >>> way.fused, way.streams, way.pairs
        (True, True, 50)
        """
        n, d = shape
        r = min(n, d)
        design = n * r * working_bytes
        too_large = view_ceiling is not None and design > view_ceiling
        can_stream = not resident and n >= d
        if ceiling is None:
            streams = can_stream and too_large
            return cls(blocks=not streams, fused=streams, streams=streams)
        preferred = min(_MOST_ROWS, max(_BLOCK_LOGITS // k, 4 * _FEWEST_ROWS), n)

        def solving(pairs: int, rows: int) -> int:
            """Bytes beside the design and the margins."""
            heads = _DOUBLE * k * (r + 1) * (_HISTORIES * pairs + _HEADS) + 3 * _DOUBLE * k * (
                d + 1
            )
            squares = _DOUBLE * (2 * r * r + (d * r if n < d else 0) + 4 * min(k, 200) ** 2)
            return heads + squares + rows * _TEMPORARIES * _DOUBLE * (k + d)

        sample = 0 if n < d else min(n, max(4 * d, _GRAM_ROWS_AT_LEAST)) * d * working_bytes
        diagonalising = _SQUARES * _DOUBLE * r * d
        converting = 3 * _DOUBLE * d * min(n, BLOCK_ROWS)
        ample = CurvaturePairs.ample(n, k)
        margins = 2 * _DOUBLE * n * k
        held = design + max(
            diagonalising + sample + converting, margins + solving(ample, min(n, _MOST_ROWS))
        )
        keeps = not (can_stream and too_large)
        if held <= ceiling and keeps:
            squares = _DOUBLE * ((k + _BLOCK_SQUARES) * r * r + 4 * BLOCK_ROWS * r)
            rounds = held + _BFLOAT16 * n * r <= ceiling
            more = squares + _BFLOAT16 * n * r
            return cls(rounds=rounds, blocks=held + more <= ceiling)
        batch_bytes = min(_BATCH_BYTES, ceiling // 32, (view_ceiling or ceiling) // 2)
        batch_rows = min(max(batch_bytes // (d * stored_bytes), 1), n)
        batches = _BATCHES * batch_rows * d * max(stored_bytes, 4)
        ways = []
        if keeps:
            before = 0 if resident else diagonalising + sample + converting
            ways.append((False, design, before))
        if can_stream:
            before = diagonalising + 3 * _DOUBLE * d * min(n, STREAMED_ROWS)
            ways.append((True, batches, before))
        least = []
        for streams, rest, before in ways:
            rows = preferred
            while rows > _FEWEST_ROWS and rest + solving(ample, rows) > ceiling:
                rows = max(rows // 2, _FEWEST_ROWS)
            pairs = ample
            while pairs > _FEWEST_PAIRS and rest + solving(pairs, rows) > ceiling:
                pairs -= 1
            needed = rest + max(before, solving(pairs, rows))
            least.append(needed)
            if needed <= ceiling:
                return cls(
                    fused=True,
                    streams=streams,
                    rounds=False,
                    pairs=pairs,
                    block_rows=rows,
                    batch_rows=batch_rows if streams else None,
                )
        what = f"logistic regression over {d} features and {k} columns of logits"
        check_ceiling(min(least), ceiling, what)
        return cls()  # not reached: none of them was below the ceiling
