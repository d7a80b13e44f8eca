"""Newton directions of many squared hinge problems over the same rows."""

from __future__ import annotations

import torch
from torch import Tensor

from featstore.probes.active_rows import exact_direction, exact_work
from featstore.probes.device import threads_for
from featstore.probes.inputs import blocks
from featstore.probes.preconditioner import GramBasis, KroneckerMetric
from featstore.probes.squared_hinge import Evaluation, SquaredHinge

_EXACT_PASSES = 40.0  # of conjugate gradients; above, they are left to it
_INNER = 250  # iterations of conjugate gradients
_ROWS = 512  # of the working copy: they stay in the cache between the two products
_CUDA_ROWS = 2**16  # there they only bound memory


def newton_direction(
    objective: SquaredHinge, found: Evaluation, basis: GramBasis, accuracy: Tensor
) -> tuple[Tensor, float]:
    """Solve H p = -g for every problem, in the way that is likely to take less.

    Parameters as for `conjugate_gradients`.

    Returns
    -------
    direction
        Shape (k, d + 1), over the centred features.
    passes
        Sum over the problems of their passes, or of what equals them in operations.
    """
    design, free = basis.resident, objective.free_intercept
    n, r = design.shape
    per_pass = 4.0 * n * r
    counts = (found.curvature > 0).sum(1).tolist()
    work = [exact_work(m, r) for m in counts]
    exact = [m > 0 and w <= _EXACT_PASSES * per_pass for m, w in zip(counts, work, strict=True)]
    out = torch.zeros_like(found.gradient)
    passes = 0.0
    with threads_for(max(work), design.device):
        for j in [j for j, cheap in enumerate(exact) if cheap]:
            active = found.curvature[j].nonzero()[:, 0]
            gradient = basis.from_features(found.gradient[j : j + 1])[0]
            direction = exact_direction(
                design[active].double(),
                found.curvature[j, active],
                gradient,
                objective.ridge[j].item(),
                free_intercept=free,
            )
            out[j] = basis.to_features(direction[None])[0]
            passes += work[j] / per_pass
    index = torch.tensor(exact, device=out.device).logical_not().nonzero()[:, 0]
    if len(index):
        part = Evaluation(found.values[index], found.gradient[index], found.curvature[index])
        out[index], more = conjugate_gradients(objective.take(index), part, basis, accuracy[index])
        passes += more
    return out, passes


def conjugate_gradients(
    objective: SquaredHinge, found: Evaluation, basis: GramBasis, accuracy: Tensor
) -> tuple[Tensor, float]:
    """Solve H p = -g for every problem by preconditioned conjugate gradients.

    Parameters
    ----------
    objective
        Its intercepts and penalties.
    found
        Gradients and curvatures of the rows.
    basis
        Working copy; the Gram eigenbasis preconditions, with a problem's mean curvature for all
        of its rows.
    accuracy
        Residual to reach, relative to the gradient in the preconditioner's norm, shape (k,).

    Returns
    -------
    direction
        Shape (k, d + 1), over the centred features.
    passes
        Sum over the problems of their passes.
    """
    dtype, design = basis.resident.dtype, basis.resident
    # Scaled to 1, since float32 ends at 1e-38.
    scale = found.gradient.norm(dim=1, keepdim=True)
    r = -(basis.from_features(found.gradient / scale)).to(dtype)
    mean_curvature = found.curvature.sum(1)
    D = found.curvature.to(dtype)
    ridge = objective.ridge.to(dtype)[:, None]
    free = objective.free_intercept
    out = torch.zeros_like(r)
    index = torch.arange(len(r), device=r.device)
    metric = _metric(basis, objective.ridge, mean_curvature, dtype)
    x, z = torch.zeros_like(r), _applied(metric, r)
    p = z.clone()
    rho = (r * z).sum(1)
    enough = accuracy.to(dtype).square() * rho
    passes = 0.0
    with threads_for(4.0 * design.numel() * len(r), design.device):
        for _ in range(_INNER):
            Hp = _hessian_times(design, D, ridge, p, free=free)
            passes += len(p)
            curvature = (p * Hp).sum(1)
            alpha = rho / torch.where(curvature > 0, curvature, torch.inf)
            x.addcmul_(p, alpha[:, None])
            r.addcmul_(Hp, alpha[:, None], value=-1.0)
            z = _applied(metric, r)
            previous, rho = rho, (r * z).sum(1)
            going = (rho > enough) & (curvature > 0)
            if not going.all():
                done = ~going
                out[index[done]] = x[done]
                if not going.any():
                    break
                kept = going.nonzero()[:, 0]
                index, x, r, z, p, D = (a[kept] for a in (index, x, r, z, p, D))
                ridge, rho, previous, enough = (a[kept] for a in (ridge, rho, previous, enough))
                metric = _metric(basis, objective.ridge[index], mean_curvature[index], dtype)
            p = torch.addcmul(z, p, (rho / previous)[:, None])
        else:
            out[index] = x
    return basis.to_features(out.double()) * scale, passes


def _metric(
    basis: GramBasis, ridge: Tensor, mean_curvature: Tensor, dtype: torch.dtype
) -> KroneckerMetric:
    metric = KroneckerMetric(basis, ridge[:, None], dtype=dtype)
    metric.refresh(mean_curvature)
    return metric


def _applied(metric: KroneckerMetric, gradient: Tensor) -> Tensor:
    return metric.from_eigenbasis(metric.apply(metric.to_eigenbasis(gradient)))


def _hessian_times(design: Tensor, D: Tensor, ridge: Tensor, p: Tensor, *, free: bool) -> Tensor:
    """Hessians of all problems times a direction of each, (k, r + 1); one pass."""
    W, b = p[:, :-1].contiguous(), p[:, -1:]
    weights, intercepts = ridge * W, torch.zeros_like(b)
    size = _CUDA_ROWS if design.device.type == "cuda" else _ROWS
    for rows in blocks(len(design), size):
        block = design[rows]
        U = torch.addmm(b, W, block.T).mul_(D[:, rows])
        weights.addmm_(U, block)
        if free:
            intercepts += U.sum(1, keepdim=True)
    return torch.cat([weights, intercepts], dim=1)
