"""BatchLoss: losses and residuals of many heads on one block of rows, class-major.

Logits of h heads over k classes and b rows are stored (h, k, b): reductions over classes then run
along contiguous rows, and both products with the features are those of one tall matrix (h k, d).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from featstore.probes.inputs import Targets

#: Log of a probability that counts for nothing.  Without a floor, those of rows far on the right
#: side would be denormal numbers, with which processors compute twenty times as slowly.
_NOTHING = -60.0


class BatchLoss(Protocol):
    """A loss averaged over the rows of a batch."""

    @property
    def n_columns(self) -> int:
        """Logits per head, k."""
        ...

    def targets(self, rows: Tensor) -> Tensor:
        """Return what these rows, shape (b,), are fitted to, as `residual` takes it."""
        ...

    def residual(self, Z: Tensor, targets: Tensor, *, losses: Tensor, rights: Tensor) -> None:
        """Turn logits (h, k, b) in place into the derivatives of the rows' losses in them.

        Adds the rows' losses and right answers to `losses` and `rights`, shape (h,).
        """
        ...


class CrossEntropy:
    """Cross-entropy of a softmax, as `torch.nn.CrossEntropyLoss`.

    Parameters
    ----------
    codes
        Class of each row, shape (n,), int64.
    n_columns
        Classes, k.
    """

    def __init__(self, codes: Tensor, n_columns: int) -> None:
        self._codes, self.n_columns = codes, n_columns

    def targets(self, rows: Tensor) -> Tensor:
        """Classes of the rows, shape (b,)."""
        return self._codes.index_select(0, rows)

    def residual(self, Z: Tensor, targets: Tensor, *, losses: Tensor, rights: Tensor) -> None:
        """Write p - e_y; right where no logit is above that of the truth."""
        truth = targets.expand(len(Z), 1, -1)  # (h, 1, b)
        top = Z.amax(1, keepdim=True)
        excess = top - Z.gather(1, truth)
        rights += (excess == 0).sum((1, 2))
        Z.sub_(top).clamp_min_(_NOTHING)
        total = Z.exp_().sum(1, keepdim=True)
        losses += (total.log() + excess).sum((1, 2))
        Z /= total
        Z.scatter_(1, truth, -1.0, reduce="add")


class BinaryCrossEntropy:
    """Mean over k labels of independent sigmoids, as `torch.nn.BCEWithLogitsLoss`.

    Parameters
    ----------
    indicator
        Which labels each row has, shape (n, k), bool.
    """

    def __init__(self, indicator: Tensor) -> None:
        self._indicator, self.n_columns = indicator, indicator.shape[1]

    def targets(self, rows: Tensor) -> Tensor:
        """Labels of the rows, shape (k, b), 0 or 1, float32."""
        return self._indicator.index_select(0, rows).T.float()

    def residual(self, Z: Tensor, targets: Tensor, *, losses: Tensor, rights: Tensor) -> None:
        """Write (p - y) / k; right is the share of the labels."""
        rights += ((Z > 0) == (targets > 0)).sum((1, 2)) / self.n_columns
        losses += (torch.nn.functional.softplus(Z) - targets * Z).sum((1, 2)) / self.n_columns
        torch.sigmoid(Z.clamp_min_(_NOTHING), out=Z)
        Z -= targets
        Z /= self.n_columns


def loss_of(targets: Targets, device: torch.device) -> BatchLoss:
    """Cross-entropy of classes, or binary cross-entropy of an indicator."""
    labels = torch.from_numpy(targets.labels).to(device)
    if targets.multilabel:
        return BinaryCrossEntropy(labels)
    return CrossEntropy(labels, len(targets.classes))
