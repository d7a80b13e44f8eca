"""OneVsRest: binary problems over the same rows, each with weights of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.inputs import Targets

#: None, ``"balanced"``, or a weight per class.
ClassWeight = Literal["balanced"] | dict[Any, float] | None


@dataclass(frozen=True, eq=False)
class OneVsRest:
    """One problem per class: its rows, +1, against all others, -1.

    Two classes are one problem, whose positive class is the second; labels of an indicator are
    one problem each.

    Attributes
    ----------
    labels
        Class of each row, shape (n,), int64; or an indicator (n, c), bool.
    columns
        Class that is positive in each problem, shape (k,).
    positive, negative
        Weights of the two sides of each problem, shape (k,), float64.
    row_weights
        Weights of the rows, shape (n,), float64.
    """

    labels: Tensor
    columns: Tensor
    positive: Tensor
    negative: Tensor
    row_weights: Tensor

    @classmethod
    def of(
        cls,
        targets: Targets,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: ClassWeight = None,
        positive_weight: float = 1.0,
        device: torch.device,
    ) -> Self:
        """Weigh rows as `sklearn.svm.LinearSVC` does.

        Parameters
        ----------
        targets
            Labels of the rows.
        sample_weight
            Shape (n,), finite and not negative; a weight of 0 is a row that is not there.
        class_weight
            Of two classes, a weight for the rows of each.  Of more, class c's is the weight of its
            rows in the problem of c alone: where they are negative they count once, as liblinear
            has it.  ``"balanced"`` is n / (c n_c) with the rows' weights for n, and for a label
            of an indicator n / (2 n_side).
        positive_weight
            Multiplies the weights of positive rows in every problem.
        device
            Where to.

        Raises
        ------
        InvalidInputError
            If weights are negative or of another shape, `class_weight` names no class, or it is a
            dictionary and `targets` an indicator.

        Examples
        --------
        >>> targets = Targets.of(["a", "b", "b", "c"], n_samples=4)
        >>> problems = OneVsRest.of(
        ...     targets, class_weight="balanced", device=torch.device("cpu")
        ... )
        >>> problems.columns.tolist(), problems.positive.numpy().round(2).tolist()
        ([0, 1, 2], [1.33, 0.67, 1.33])
        """
        n, n_classes = len(targets.labels), len(targets.classes)
        weights = _row_weights(sample_weight, n)
        columns = np.arange(1 if not targets.multilabel and n_classes == 2 else 0, n_classes)
        positive, negative = _side_weights(targets, weights, class_weight)
        if not 0 < positive_weight < np.inf:
            raise InvalidInputError(
                f"positive_weight must be positive and finite, got {positive_weight}"
            )
        return cls(
            torch.from_numpy(targets.labels).to(device),
            torch.from_numpy(columns).to(device),
            torch.from_numpy(positive * positive_weight).to(device),
            torch.from_numpy(negative).to(device),
            torch.from_numpy(weights).to(device),
        )

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def n_samples(self) -> int:
        """Rows, n."""
        return len(self.labels)

    def take(self, index: Tensor) -> OneVsRest:
        """Problems at these positions, which may repeat."""
        return OneVsRest(
            self.labels,
            self.columns[index],
            self.positive[index],
            self.negative[index],
            self.row_weights,
        )

    def sides(self, rows: slice) -> Tensor:
        """Which rows are positive, shape (k, b), bool."""
        labels = self.labels[rows]
        if labels.ndim == 2:
            return labels.T[self.columns]
        return labels == self.columns[:, None]

    def signed_roots(self, rows: slice) -> Tensor:
        """Square roots of the rows' weights, with the sign of their side, (k, b), float64."""
        roots = torch.where(
            self.sides(rows), self.positive[:, None].sqrt(), -self.negative[:, None].sqrt()
        )
        return roots * self.row_weights[rows].sqrt()

    def totals(self) -> tuple[Tensor, Tensor]:
        """Sum of the weights of the positive and of the negative rows, shape (k,) each."""
        rows = self.row_weights
        if self.labels.ndim == 2:
            on = (rows @ self.labels.double())[self.columns]
        else:
            n_classes = int(self.columns.max()) + 1
            on = torch.bincount(self.labels, rows, minlength=n_classes)[self.columns]
        return self.positive * on, self.negative * (rows.sum() - on)


def _row_weights(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    if sample_weight is None:
        return np.ones(n)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n,):
        raise InvalidInputError(
            f"sample_weight must have shape ({n},), one weight a row, got {weights.shape}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InvalidInputError(
            "sample_weight must be finite and not negative, got values from "
            f"{weights.min()} to {weights.max()}"
        )
    if not weights.any():
        raise InvalidInputError(f"all {n} values of sample_weight are zero: there is no row to fit")
    return weights


def _side_weights(
    targets: Targets, weights: NDArray[np.float64], class_weight: ClassWeight
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of positive and negative rows, before those of the rows, shape (k,) each."""
    n_classes = len(targets.classes)
    single = not targets.multilabel and n_classes == 2
    if class_weight is None:
        k = 1 if single else n_classes
        return np.ones(k), np.ones(k)
    if isinstance(class_weight, str) and class_weight != "balanced":
        raise InvalidInputError(
            f"class_weight must be None, 'balanced' or a dictionary, got {class_weight!r}"
        )
    if targets.multilabel:
        if isinstance(class_weight, dict):
            raise InvalidInputError(
                "class_weight is a dictionary, and y an indicator, whose labels are no classes; "
                "use positive_weight, 'balanced' or sample_weight"
            )
        on = weights @ targets.labels
        off = weights.sum() - on
        # Sides without rows have no use for a weight.
        return tuple(
            np.divide(weights.sum() / 2, side, out=np.ones_like(side), where=side > 0)
            for side in (on, off)
        )
    if isinstance(class_weight, dict):
        unknown = [name for name in class_weight if name not in targets.classes.tolist()]
        if unknown:
            raise InvalidInputError(
                f"class_weight names {unknown[0]!r}, which is no class of y: "
                f"{', '.join(map(repr, targets.classes.tolist()[:10]))}"
            )
        if not all(0 <= weight < np.inf for weight in class_weight.values()):
            raise InvalidInputError(
                f"class_weight must be finite and not negative, got {class_weight}"
            )
    labels = targets.classes[targets.labels]
    of_class = np.asarray(
        compute_class_weight(
            class_weight, classes=targets.classes, y=labels, sample_weight=weights
        ),
        dtype=np.float64,
    )
    return (of_class[1:], of_class[:1]) if single else (of_class, np.ones(n_classes))
