"""Shrinkage: covariances within classes, shrunk towards the identity, and what they solve."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.conditioning import Conditioning
from featstore.probes.device import threads_for
from featstore.probes.inputs import Targets
from featstore.probes.moments import Moments
from featstore.probes.stream import BLOCK_ROWS, RowStream

_SEPARABLE = 1e-12  # of a label's variance along its discriminant: nothing is left of it


@dataclass(frozen=True, eq=False)
class WithinClass:
    """The covariance S that shrinkage applies to, diagonalised.

    Attributes
    ----------
    moments
        Of the features.
    covariance
        S in the coordinates of `moments`, shape (r, r): for single labels of the rows around their
        class means, for an indicator of all rows around their mean; over n.
    eigenvalues
        Of S, shape (r,); 0 where that is rounding.
    eigenvectors
        Shape (r, r).
    """

    moments: Moments
    covariance: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor

    @classmethod
    def of(cls, moments: Moments, *, multilabel: bool) -> WithinClass:
        """Take what lies between the classes away, and diagonalise the rest.

        Raises
        ------
        InvalidInputError
            If nothing is left.
        """
        scatter = moments.scatter
        if not multilabel:
            scatter = scatter - (moments.sums / moments.counts[:, None]).T @ moments.sums
        covariance = scatter / moments.n_samples
        with threads_for(10.0 * scatter.numel() * len(scatter), scatter.device):
            eigenvalues, Q = torch.linalg.eigh(covariance)
        # A difference of large matrices is as exact as these.
        floor = moments.noise * moments.scatter.diagonal().sum() / moments.n_samples
        kept = eigenvalues > floor
        if not kept.any():
            raise InvalidInputError(
                f"the {moments.n_samples} rows of X do not differ from their class means: there is "
                "no covariance to discriminate by; use the centroid probe, or more rows per class"
            )
        return cls(moments, covariance, eigenvalues * kept, Q)

    @property
    def isotropic(self) -> float:
        """What S is shrunk to is this times the identity: tr S / d."""
        return self.eigenvalues.sum().item() / self.moments.n_features

    def class_solution(self, shrinkage: float) -> tuple[Tensor, Tensor, Conditioning]:
        """Linear discriminants (c, d), their intercepts (c,), and the conditioning of Σ."""
        moments = self.moments
        spectrum = (1 - shrinkage) * self.eigenvalues + shrinkage * self.isotropic
        means = moments.sums / moments.counts[:, None]  # (c, r)
        coordinates = (means @ self.eigenvectors * _inverse(spectrum)) @ self.eigenvectors.T
        priors = moments.counts / moments.n_samples
        weights = moments.to_features(coordinates)
        offsets = priors.log() - (coordinates * means).sum(dim=1) / 2 - weights @ moments.mean
        shrunk = (1 - shrinkage) * coordinates @ self.covariance
        shrunk += shrinkage * self.isotropic * coordinates
        reached = means
        if shrinkage == 0:  # what is left out cannot be reached
            reached = means @ self.eigenvectors * (spectrum > 0) @ self.eigenvectors.T
        residual = ((shrunk - reached).norm() / means.norm().clamp_min(1e-300)).item()
        return weights, offsets, _conditioning(spectrum, residual)

    def label_solution(self, shrinkage: float) -> tuple[Tensor, Tensor, Conditioning]:
        """Discriminants of the labels of an indicator, as of `class_solution`, one for each.

        The covariance within a label is C - p (1 - p) δ δᵀ, with C that of all rows, p the label's
        share and δ the difference of its two means; a matrix and a rank-one term are solved by
        Sherman & Morrison 1950.
        """
        moments, n = self.moments, self.moments.n_samples
        share = moments.counts / n
        varying = (share > 0) & (share < 1)
        spread = share * (1 - share)
        # Centred features: the mean without a label follows from that with it.
        difference = moments.sums / n / torch.where(varying, spread, 1.0)[:, None]
        rotated = difference @ self.eigenvectors  # (c, r)
        trace = self.eigenvalues.sum() - spread * difference.square().sum(dim=1)
        isotropic = trace.clamp_min(0) / moments.n_features
        spectrum = (1 - shrinkage) * self.eigenvalues + shrinkage * isotropic[:, None]
        solved = rotated * _inverse(spectrum)
        taken = (1 - shrinkage) * spread * (rotated * solved).sum(dim=1)
        solved /= (1 - taken).clamp_min(_SEPARABLE)[:, None]
        coordinates = solved @ self.eigenvectors.T * varying[:, None]
        weights = moments.to_features(coordinates)
        # The two means are p δ and (1 - p) δ away from that of all rows, on either side.
        middle = (coordinates * difference).sum(dim=1) * (0.5 - share)
        offsets = torch.logit(share) - middle - weights @ moments.mean
        worst = spectrum[(spectrum.amin(dim=1) / spectrum.amax(dim=1)).argmin()]
        return weights, offsets, _conditioning(worst, 0.0)


def ledoit_wolf(
    stream: RowStream, targets: Targets, moments: Moments, within: WithinClass
) -> float:
    """Shrinkage of Ledoit & Wolf 2004, "A well-conditioned estimator", of a `WithinClass`.

    With residuals z_i of the rows it is the covariance of,

        s = min(1, (Σ_i ‖z_i‖⁴ / n - ‖S‖²) / n / ‖S - (tr S / d) I‖²),

    which takes one more pass, for the fourth powers alone.

    Parameters
    ----------
    stream, targets
        What the moments were taken of.
    moments, within
        Theirs.

    Returns
    -------
    shrinkage
        In [0, 1].
    """
    n, where = moments.n_samples, moments.mean.device
    means = moments.sums / moments.counts[:, None]
    labels = torch.from_numpy(targets.labels)
    fourth = 0.0
    work = 2.0 * BLOCK_ROWS * (moments.n_features if moments.rotation is None else n * n)
    with threads_for(work, where):
        for rows, block in stream.blocks(where):
            residuals = moments.coordinates(block)
            if not targets.multilabel:
                residuals -= means[labels[rows].to(where)]
            fourth += residuals.square().sum(dim=1).square().sum().item()
    squares = within.eigenvalues.square().sum().item()
    distance = squares - within.isotropic**2 * moments.n_features
    noise = (fourth / n - squares) / n
    return 1.0 if distance <= noise else max(noise / distance, 0.0)


def _inverse(spectrum: Tensor) -> Tensor:
    return torch.where(spectrum > 0, 1 / spectrum, 0.0)


def _conditioning(spectrum: Tensor, residual: float) -> Conditioning:
    kept = spectrum[spectrum > 0]
    condition = (kept.amax() / kept.amin()).item()
    return Conditioning(condition, rank=len(kept), effective_dof=None, residual=residual)
