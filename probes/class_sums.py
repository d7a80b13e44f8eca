"""ClassSums: sums of the rows of each class, and from them means and variances."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.device import threads_for
from featstore.probes.inputs import Targets
from featstore.probes.row_maps import UnitRows
from featstore.probes.stream import BLOCK_ROWS, RowStream

_CACHED = 2**17  # numbers of a block that is gone over several times: 1 MiB of float64


class ClassSums:
    """Sums of the rows of each class.

    Parameters
    ----------
    targets
        Labels of all rows.
    width
        Columns of what is summed.
    device
        Where.

    Attributes
    ----------
    counts
        Rows of each class, shape (c,).
    sums
        Of the rows added so far, shape (c, width).
    """

    def __init__(self, targets: Targets, width: int, device: torch.device) -> None:
        self._labels = torch.from_numpy(targets.labels)
        n_classes = len(targets.classes)
        if targets.multilabel:
            self.counts = self._labels.sum(dim=0, dtype=torch.float64).to(device)
        else:
            self.counts = torch.bincount(self._labels, minlength=n_classes).double().to(device)
        self.sums = torch.zeros(n_classes, width, dtype=torch.float64, device=device)

    def add(self, rows: slice, block: Tensor) -> None:
        """Add rows (b, width), float64, which are those at `rows` of the whole."""
        labels = self._labels[rows].to(block.device)
        if labels.ndim == 2:
            self.sums.addmm_(labels.double().T, block)
        else:
            self.sums.index_add_(0, labels, block)


@dataclass(frozen=True, eq=False)
class ClassMoments:
    """Means and variances of groups of rows, column by column.

    The groups are the classes; of an indicator first the rows with each label, then those
    without it, g = 2 c.

    Attributes
    ----------
    n_samples
        Rows, n.
    centre
        A point near the mean of all rows, shape (d,): `means` are relative to it.
    counts
        Rows of each group, shape (g,).
    means, variances
        Shape (g, d); 0 for a group without rows.
    mean, variance
        Of all rows, shape (d,).
    """

    n_samples: int
    centre: Tensor
    counts: Tensor
    means: Tensor
    variances: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(
        cls,
        stream: RowStream,
        targets: Targets,
        device: torch.device,
        *,
        prepare: UnitRows | None = None,
    ) -> ClassMoments:
        """Accumulate in one pass, in O(c d) memory.

        Parameters
        ----------
        stream
            Features (n, d).
        targets
            Labels of the rows.
        device
            Where sums are taken.
        prepare
            What the rows go through first.
        """
        n, d = stream.shape
        first, second = ClassSums(targets, d, device), ClassSums(targets, d, device)
        total, total_squares = torch.zeros(2, d, dtype=torch.float64, device=device)
        centre: Tensor | None = None
        size = BLOCK_ROWS if device.type == "cuda" else max(_CACHED // d, 16)
        with threads_for(0.0, device):
            for rows, block in stream.blocks(device, size=size):
                prepared = block if prepare is None else prepare(block)
                if centre is None:
                    centre = prepared.mean(dim=0, dtype=torch.float64)
                prepared = prepared - centre
                first.add(rows, prepared)
                squares = prepared.square()
                second.add(rows, squares)
                if targets.multilabel:
                    total += prepared.sum(dim=0)
                    total_squares += squares.sum(dim=0)
        counts, sums, square_sums = first.counts, first.sums, second.sums
        if targets.multilabel:
            counts = torch.cat([counts, n - counts])
            sums = torch.cat([sums, total - sums])
            square_sums = torch.cat([square_sums, total_squares - square_sums])
        else:
            total, total_squares = sums.sum(dim=0), square_sums.sum(dim=0)
        rows_each = counts.clamp_min(1)[:, None]
        means = sums / rows_each
        return cls(
            n_samples=n,
            centre=torch.zeros_like(total) if centre is None else centre,
            counts=counts,
            means=means,
            variances=(square_sums / rows_each - means.square()).clamp_min(0),
            mean=total / n,
            variance=(total_squares / n - (total / n).square()).clamp_min(0),
        )

    @property
    def log_shares(self) -> Tensor:
        """Logarithms of the groups' shares of the rows, shape (g,)."""
        return (self.counts / self.n_samples).log()


def against(groups: Tensor, *, multilabel: bool) -> Tensor:
    """Turn what is known of groups (g, ...) into what decides between them, (k, ...).

    Differences between rows with and without each label, and between two classes; of more
    classes each for itself.
    """
    if multilabel:
        half = len(groups) // 2
        return groups[:half] - groups[half:]
    return groups[1:] - groups[:1] if len(groups) == 2 else groups
