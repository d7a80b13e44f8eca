"""The Gram basis of features that are read anew in every pass."""

from __future__ import annotations

import torch

from featstore.probes.centred_rows import STREAMED_ROWS, CentredRows
from featstore.probes.inputs import blocks
from featstore.probes.preconditioner import GramBasis, column_means, gram_rows
from featstore.probes.stream import RowStream


def streamed_basis(
    stream: RowStream,
    *,
    dtype: torch.dtype,
    device: torch.device,
    seed: int,
    batch_rows: int | None = None,
) -> GramBasis:
    """Make a basis whose design is the stream itself: O(d²) memory, a pass, and a sample of rows.

    Parameters
    ----------
    stream
        Features (n, d), n >= d.
    dtype
        Of the blocks that a solver sees.
    device
        Where to.
    seed
        Draws the rows of the Gram sample.
    batch_rows
        Rows that a view reads at a time.

    Raises
    ------
    InvalidInputError
        If X holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> stream = RowStream.of_array(X)
    >>> basis = streamed_basis(
    ...     stream, dtype=torch.float64, device=torch.device("cpu"), seed=0
    ... )
    >>> bool(torch.allclose(basis.eigenvalues, GramBasis.of(X).eigenvalues))
    True
    """
    n, d = stream.shape
    mean = column_means(stream, device, batch_rows=batch_rows)
    if stream.dtype.itemsize <= 4:
        # Any centre is exact, since intercepts are free; this one has the features' precision,
        # so that subtracting it rounds once.
        mean = mean.float().double()
    rows = CentredRows(stream, mean, dtype, batch_rows)
    draw = gram_rows(n, d, seed)
    sample = torch.arange(n) if draw is None else draw
    gram = torch.zeros(d, d, dtype=torch.float64, device=device)
    for part in blocks(len(sample), STREAMED_ROWS):
        block = rows.take(sample[part])
        gram.addmm_(block.T, block)
    eigenvalues, eigenvectors = torch.linalg.eigh(gram.div_(len(sample)))
    return GramBasis(mean, rows, None, eigenvalues.clamp_min(0.0), eigenvectors)
