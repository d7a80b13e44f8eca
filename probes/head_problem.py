"""HeadProblem: a logistic regression made ready for any penalty."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName, device_of
from featstore.probes.inputs import Targets
from featstore.probes.loss import Loss, Sigmoid, Softmax
from featstore.probes.preconditioner import GramBasis, Precision, solver_dtype
from featstore.probes.stream import RowStream
from featstore.probes.streamed_basis import streamed_basis
from featstore.probes.weighting import Weighting
from featstore.probes.working_memory import WorkingMemory


@dataclass(frozen=True, eq=False)
class HeadProblem:
    """Features, loss and basis of a head, all but C.

    Attributes
    ----------
    stream
        Features as they are stored, (n, d).
    loss
        Over k columns of logits.
    limits
        Intercepts of all columns, shape (c,), float64: NaN for the k that are to be fitted, and
        plus or minus infinity for those of classes and labels with nothing to tell apart.
    total_weight
        Of the rows; n without weights.
    basis
        Of the features.
    memory
        How the solver goes about its rows.
    """

    stream: RowStream
    loss: Loss
    limits: Tensor
    total_weight: float
    basis: GramBasis
    memory: WorkingMemory

    @classmethod
    def of(
        cls,
        stream: RowStream,
        targets: Targets,
        weighting: Weighting,
        *,
        one_vs_rest: bool = False,
        dtype: Precision = "auto",
        device: DeviceName = "cpu",
        seed: int = 0,
        ceiling: int | None = None,
        view_ceiling: int | None = None,
        basis: GramBasis | None = None,
    ) -> HeadProblem:
        """Choose the loss, and make the basis unless there is one.

        Parameters
        ----------
        stream, targets, weighting
            Features, labels and weights of the rows.
        one_vs_rest
            Independent sigmoids for the classes of single-label targets, in place of a softmax.
        dtype, device, seed
            As for `GramBasis.of`.
        ceiling, view_ceiling
            Bytes, see `featstore.probes.working_memory.WorkingMemory.within`.
        basis
            Of the same features; it decides precision and device.

        Raises
        ------
        InvalidInputError
            If there is nothing to tell apart, or the basis belongs to other features.
        MemoryCeilingError
            If the ceiling is too low.
        """
        where = device_of(device) if basis is None else basis.mean.device
        working = solver_dtype(dtype, stream.shape) if basis is None else basis.design.dtype
        loss, limits = _loss(targets, weighting, one_vs_rest, where)
        memory = WorkingMemory.within(
            ceiling,
            stream.shape,
            loss.n_columns,
            working_bytes=torch.finfo(working).bits // 8,
            stored_bytes=stream.dtype.itemsize,
            resident=basis is not None,
            view_ceiling=view_ceiling,
        )
        if basis is not None:
            basis.check(stream)
        elif memory.streams:
            basis = streamed_basis(
                stream, dtype=working, device=where, seed=seed, batch_rows=memory.batch_rows
            )
        else:
            basis = GramBasis.of(stream, dtype=dtype, device=device, seed=seed)
        return cls(stream, loss, limits, weighting.total, basis, memory)

    def ridge(self, C: float) -> float:
        """Return λ = 1 / (C n), n being the total weight."""
        return 1.0 / (C * self.total_weight)

    def start(self) -> Tensor:
        """Zero weights and the intercepts that are optimal for them, (k, r + 1), float64."""
        weights = torch.zeros(self.loss.n_columns, self.basis.design.shape[1], dtype=torch.float64)
        return torch.cat([weights.to(self.basis.mean.device), self.loss.start()[:, None]], dim=1)

    def raw(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights (c, d) and intercepts (c,) of a head over the features as they are.

        Parameters
        ----------
        theta
            Over centred features, (k, d + 1).
        """
        fitted = self.limits.isnan()
        coef = theta.new_zeros(len(fitted), theta.shape[1] - 1)
        intercept = self.limits.to(theta, copy=True)
        coef[fitted] = theta[:, :-1]
        intercept[fitted] = theta[:, -1] - theta[:, :-1] @ self.basis.mean
        return coef, intercept


def _loss(
    targets: Targets, weighting: Weighting, one_vs_rest: bool, device: torch.device
) -> tuple[Loss, Tensor]:
    """Return the loss, and the intercepts of columns that need no fit."""
    labels, n_classes = torch.from_numpy(targets.labels).to(device), len(targets.classes)
    weights, factors = (
        None if array is None else torch.from_numpy(array).to(device)
        for array in (weighting.rows, weighting.labels)
    )
    if targets.multilabel:
        present, absent = _sides(labels, weights, factors)
        varying = present & absent
        if not varying.any():
            raise InvalidInputError(
                f"none of the {n_classes} labels has both rows with and rows without it: "
                "there is nothing to tell apart"
            )
        limits = torch.where(present, torch.inf, -torch.inf).double()
        if not varying.all():
            limits[varying] = torch.nan
            labels = labels[:, varying]
            factors = None if factors is None else factors[:, varying]
        else:
            limits.fill_(torch.nan)
        return Sigmoid(labels, weights=weights, label_weights=factors), limits
    seen = torch.bincount(labels, weights, minlength=n_classes) > 0
    if seen.sum() == 1:
        only = targets.classes[seen.cpu().numpy()].tolist()[0]
        raise InvalidInputError(
            f"y has one class only, {only!r}{'' if n_classes == 1 else ', that has any weight'}: "
            "a probe needs at least two"
        )
    if n_classes == 2:
        limits = torch.full((1,), torch.nan, dtype=torch.float64, device=device)
        return Sigmoid(labels[:, None] == 1, weights=weights), limits
    limits = torch.where(seen, torch.nan, -torch.inf).double()
    # Rows of classes without weight count for nothing, whatever their code.
    codes = labels if seen.all() else (seen.cumsum(0) - 1).clamp_min(0)[labels]
    n_columns = int(seen.sum())
    if one_vs_rest:
        factors = None if factors is None else factors[:, seen]
        return Sigmoid(codes, n_columns, weights=weights, label_weights=factors), limits
    return Softmax(codes, n_columns, weights=weights), limits


def _sides(labels: Tensor, weights: Tensor | None, factors: Tensor | None) -> tuple[Tensor, Tensor]:
    """Whether any row of positive weight has each label, and whether one has it not, (c,) each."""
    if weights is not None and not weights.all():
        labels = labels[weights > 0]
    present, absent = labels.any(0), ~labels.all(0)
    if factors is not None:
        absent, present = absent & (factors[0] > 0), present & (factors[1] > 0)
    return present, absent
