"""Preconditioner: the Gram eigenbasis of a feature matrix and the Kronecker factor over it.

For linear logits the Hessian of the mean loss is E[H_i ⊗ x_i x_iᵀ], H_i = diag p_i - p_i p_iᵀ.
K-FAC (Martens & Grosse 2015) takes the expectation of the product for the product of the
expectations, A ⊗ G with A = E[H_i] (k, k) and G = E[x xᵀ] (r, r).  G depends on the features
alone, so its eigenvectors Q serve every C, label set and seed; with those of A, U, the inverse is

    (A ⊗ G + λI)⁻¹ = (U ⊗ Q) diag(1 / (σ_j l_m + λ)) (U ⊗ Q)ᵀ,     exact in λ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.centred_rows import STREAMED_ROWS, CentredRows, Design, row_norms
from featstore.probes.device import DeviceName, device_of, multiplies_bfloat16
from featstore.probes.inputs import blocks
from featstore.probes.stream import RowStream

Precision = Literal["auto", "float32", "float64"]

_FLOAT64_BELOW = 20_000_000  # numbers in X; there float64 costs seconds at most
#: The same where float32 is checked in float64 afterwards, and gone on with if it did not suffice.
_SOLVED_IN_FLOAT64_BELOW = 1_000_000
_GRAM_ROWS_PER_FEATURE = 4  # more rows do not make the preconditioner better
_GRAM_ROWS_AT_LEAST = 2**13
_ROTATED_ROWS = 4  # times d


@dataclass(frozen=True, eq=False)
class GramBasis:
    """A feature matrix made ready for solvers: centred, and its Gram matrix diagonalised.

    Built once per feature matrix and reused for every C, label set and seed; also from one fit to
    the next, where the rows remember it (`RowStream.recall`).

    Attributes
    ----------
    mean
        Column means, shape (d,), float64.
    design
        Working copy of the centred features, shape (n, r).  With many rows it keeps the
        coordinates of X, r = d.  With few (n <= 4 d) it is rotated to the Gram eigenbasis of the
        rows' span, r = min(n, d); exact, because the ridge penalty is invariant to rotation and
        the optimal weights lie in that span.
    rotation
        That basis, shape (d, r), float64; None where `design` keeps the coordinates of X.
    eigenvalues
        Of the Gram matrix designᵀ design / n, shape (r,), float64; with n >> d estimated from
        a sample of the rows, which only a preconditioner can afford.
    eigenvectors
        Shape (r, r), float64; None where `design` is rotated to them.
    rounds
        Whether a solver may also use the design in bfloat16, for steps between exact passes.
    """

    mean: Tensor
    design: Design
    rotation: Tensor | None
    eigenvalues: Tensor
    eigenvectors: Tensor | None
    rounds: bool = False

    @classmethod
    def of(
        cls,
        X: NDArray[np.floating] | RowStream,
        *,
        dtype: Precision = "auto",
        device: DeviceName = "cpu",
        seed: int = 0,
        centre: bool = True,
    ) -> GramBasis:
        """Centre, rotate if wide, and diagonalise a feature matrix.

        Parameters
        ----------
        X
            Shape (n, d), finite, any floating dtype; never copied whole to float64 unless
            `dtype` says so or n < d, where the copy is smaller than a d x d matrix.
        dtype
            Precision of `design`: ``"auto"`` is float64 below a million numbers in X, and above
            float32 with steps in bfloat16 where `multiplies_bfloat16`.
        device
            Where the solver runs.
        seed
            Draws the rows of the Gram sample.
        centre
            False leaves the features where they are, for heads without a free intercept; `mean` is
            then 0.

        Raises
        ------
        InvalidInputError
            If X holds NaN or infinity, or a parameter is unknown.

        Examples
        --------
        >>> X = np.random.default_rng(0).normal(size=(10, 40))
        >>> basis = GramBasis.of(X)
        >>> tuple(basis.design.shape), tuple(basis.rotation.shape)
        ((10, 10), (40, 10))
        """
        stream = _stream(X)
        working, where = solver_dtype(dtype, stream.shape), device_of(device)
        # Without a sample of the rows the seed decides nothing.
        drawn = seed if _sample_size(*stream.shape) is not None else None
        rounds = dtype == "auto" and working == torch.float32 and multiplies_bfloat16(where)
        basis: GramBasis = stream.recall(
            ("Gram basis", working, where, drawn, centre, rounds),
            lambda: replace(cls._of(stream, working, where, seed, centre=centre), rounds=rounds),
        )
        return basis

    @classmethod
    def _of(
        cls,
        stream: RowStream,
        dtype: torch.dtype,
        device: torch.device,
        seed: int,
        *,
        centre: bool,
    ) -> GramBasis:
        n, d = stream.shape
        mean = column_means(stream, device)  # which looks for NaN, too
        if not centre:
            mean.zero_()
        if n < d:
            # Xcᵀ = Q R is backward stable at any scale of the columns; a Gram matrix of X is not.
            Q, R = torch.linalg.qr((stream.read(device) - mean).T)
            eigenvalues, V = torch.linalg.eigh(R @ R.T / n)
            return cls(mean, (R.T @ V).to(dtype), Q @ V, eigenvalues.clamp_min(0.0), None)
        design = torch.empty(n, d, dtype=dtype, device=device)
        for rows, block in stream.blocks(device, check=False):
            design[rows] = (block - mean).to(dtype)
        eigenvalues, V = torch.linalg.eigh(_gram(design, seed))
        if n <= _ROTATED_ROWS * d:
            # Rotating every gradient instead would cost as much as the passes themselves.
            for rows in blocks(n):
                design[rows] = (design[rows].double() @ V).to(dtype)
            return cls(mean, design, V, eigenvalues.clamp_min(0.0), None)
        return cls(mean, design, None, eigenvalues.clamp_min(0.0), V)

    @property
    def nbytes(self) -> int:
        """What its tensors take; the design only where it is in memory."""
        held = [self.mean, self.design, self.rotation, self.eigenvalues, self.eigenvectors]
        rounded = 2 * self.design.numel() if self.rounds else 0
        return sum(part.nbytes for part in held if isinstance(part, Tensor)) + rounded

    @property
    def resident(self) -> Tensor:
        """`design`, where it is a tensor.

        Raises
        ------
        InvalidInputError
            If it is read in every pass.
        """
        if isinstance(self.design, CentredRows):
            raise InvalidInputError("the design of this basis is not in memory")
        return self.design

    @cached_property
    def rounded_design(self) -> Tensor:
        """`design` in bfloat16, for all fits."""
        return self.resident.bfloat16()

    @cached_property
    def row_norms(self) -> Tensor:
        """Norms of the centred rows, shape (n,), float64."""
        return row_norms(self.design)

    @property
    def squared_radius(self) -> float:
        """Mean squared norm of the centred rows."""
        return self.row_norms.square().mean().item()

    @property
    def n_features(self) -> int:
        """Columns of the feature matrix, d."""
        return len(self.mean)

    def check(self, X: NDArray[np.floating] | RowStream) -> None:
        """Refuse a basis that was built from other features than X.

        Compares shapes and the norms of a few centred rows, which no rotation changes.
        """
        n, d = len(self.design), self.n_features
        stream = _stream(X)
        if X.shape != (n, d):
            raise InvalidInputError(
                f"the Gram basis was built from features of shape {(n, d)}, X has {X.shape}; "
                "build it from this X with GramBasis.of(X)"
            )
        rows = np.linspace(0, n - 1, num=min(n, 8), dtype=int)
        expected = np.linalg.norm(
            stream.take(rows).astype(np.float64) - self.mean.cpu().numpy(), axis=1
        )
        design, index = self.design, torch.from_numpy(rows)
        chosen = design.take(index) if isinstance(design, CentredRows) else design[index]
        found = chosen.double().norm(dim=1).cpu().numpy()
        if not np.allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max()):
            raise InvalidInputError(
                f"the Gram basis was built from other features: rows {rows.tolist()} differ from "
                "those of X; build it from this X with GramBasis.of(X)"
            )

    def to_features(self, theta: Tensor) -> Tensor:
        """Parameters for centred features, (k, d + 1), from those for `design`, (k, r + 1)."""
        return theta if self.rotation is None else _map_weights(theta, self.rotation.T)

    def from_features(self, gradient: Tensor) -> Tensor:
        """Gradient in the parameters for `design`, (k, r + 1), from that in (k, d + 1)."""
        return gradient if self.rotation is None else _map_weights(gradient, self.rotation)


class KroneckerMetric:
    """Inverse of the Kronecker-factored Hessian; a metric for gradients (k, r + 1).

    Parameters
    ----------
    basis
        Gram eigenbasis.
    ridge
        λ, or one for each column, shape (k, 1).
    dtype
        Precision of what it is applied to.
    """

    def __init__(self, basis: GramBasis, ridge: float | Tensor, *, dtype: torch.dtype) -> None:
        self._eigenvalues = basis.eigenvalues
        self._Q = None if basis.eigenvectors is None else basis.eigenvectors.to(dtype)
        self._ridge, self.dtype = ridge, dtype

    def refresh(self, class_curvature: Tensor) -> None:
        """Set the class factor A, shape (k, k), or (k,) for a diagonal one."""
        self._U: Tensor | None = None
        if class_curvature.ndim == 2:
            sigma, U = torch.linalg.eigh(class_curvature)
            self._U = U.to(self.dtype)
        else:
            sigma = class_curvature
        sigma = sigma.clamp_min(1e-12)
        weights = sigma[:, None] * self._eigenvalues + self._ridge  # (k, r)
        # A softmax does not notice a constant added to all intercepts: sigma is 0 there.
        intercepts = sigma + 1e-3 * sigma.mean()
        self._inverse = torch.cat([weights, intercepts[:, None]], dim=1).reciprocal().to(self.dtype)

    def to_eigenbasis(self, theta: Tensor) -> Tensor:
        """Gradient, or parameters, (k, r + 1) for the design in the coordinates of `apply`."""
        return theta if self._Q is None else _map_weights(theta, self._Q)

    def from_eigenbasis(self, theta: Tensor) -> Tensor:
        """Undo `to_eigenbasis`."""
        return theta if self._Q is None else _map_weights(theta, self._Q.T)

    def apply(self, gradient: Tensor) -> Tensor:
        """Return the inverse Hessian times `gradient`, both in the eigenbasis; a new tensor.

        The two rotations, 4 k r² operations, are worth having once per iteration only.
        """
        if self._U is None:
            return gradient * self._inverse
        return self._U @ ((self._U.T @ gradient) * self._inverse)

    def intercept_decrement(self, gradient: Tensor) -> float:
        """Half the squared Newton decrement in the intercepts alone, of a gradient (k, r + 1)."""
        g = gradient[:, -1]
        return 0.5 * (g * self.intercept_step(g)).sum(dtype=torch.float64).item()

    def intercept_step(self, g: Tensor) -> Tensor:
        """Return the inverse Hessian in the intercepts alone times their gradient, (k,)."""
        if self._U is None:
            return g * self._inverse[:, -1]
        return self._U @ ((self._U.T @ g) * self._inverse[:, -1])

    def gram(self) -> Tensor:
        """Gram matrix (r, r) of the design, as far as it is known."""
        eigenvalues = self._eigenvalues.to(self.dtype)
        return eigenvalues.diag() if self._Q is None else (self._Q * eigenvalues) @ self._Q.T


def solver_dtype(dtype: Precision, shape: tuple[int, ...]) -> torch.dtype:
    """Return the precision of the design for features of this shape.

    Examples
    --------
    >>> solver_dtype("auto", (100, 10)), solver_dtype("auto", (10**4, 1000))
    (torch.float64, torch.float32)
    """
    small = shape[0] * shape[1] < _SOLVED_IN_FLOAT64_BELOW
    return working_dtype("float32" if dtype == "auto" and not small else dtype, shape)


def working_dtype(dtype: Precision, shape: tuple[int, ...]) -> torch.dtype:
    """Resolve a precision for features of a shape (n, d).

    Raises
    ------
    InvalidInputError
        If it is unknown.

    Examples
    --------
    >>> working_dtype("auto", (100, 10)), working_dtype("auto", (10**6, 1000))
    (torch.float64, torch.float32)
    """
    if dtype not in ("auto", "float32", "float64"):
        raise InvalidInputError(f"dtype must be 'auto', 'float32' or 'float64', got {dtype!r}")
    double = dtype == "float64" or (dtype == "auto" and shape[0] * shape[1] < _FLOAT64_BELOW)
    return torch.float64 if double else torch.float32


def _map_weights(theta: Tensor, rotation: Tensor) -> Tensor:
    """Multiply the weights of (k, r + 1) parameters from the right; keep the intercepts."""
    return torch.cat([theta[:, :-1] @ rotation, theta[:, -1:]], dim=1)


def column_means(
    stream: RowStream, device: torch.device, *, batch_rows: int | None = None
) -> Tensor:
    """Mean of each column, shape (d,), float64; `batch_rows` as for `RowStream.blocks`.

    Raises
    ------
    InvalidInputError
        If X holds NaN or infinity.
    """
    n, d = stream.shape
    total = torch.zeros(d, dtype=torch.float64, device=device)
    for _, block in stream.blocks(device, size=STREAMED_ROWS, batch_rows=batch_rows):
        total += block.sum(0, dtype=torch.float64)
    if not total.isfinite().all():
        raise InvalidInputError("X contains NaN or infinity; drop these rows")
    return total / n


def gram_rows(n: int, r: int, seed: int) -> Tensor | None:
    """Draw the rows that a Gram matrix (r, r) is estimated from, in order; None for all."""
    n_rows = _sample_size(n, r)
    if n_rows is None:
        return None
    draw = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:n_rows]
    return draw.sort().values


def _sample_size(n: int, r: int) -> int | None:
    """Rows that a Gram matrix (r, r) is estimated from; None for all."""
    n_rows = max(_GRAM_ROWS_PER_FEATURE * r, _GRAM_ROWS_AT_LEAST)
    return None if n_rows >= n else n_rows


def _stream(X: NDArray[np.floating] | RowStream) -> RowStream:
    return X if isinstance(X, RowStream) else RowStream.of_array(X)


def _gram(design: Tensor, seed: int) -> Tensor:
    """Gram matrix (r, r), accumulated in float64, of the rows or of a sample of them."""
    n, r = design.shape
    draw = gram_rows(n, r, seed)
    if draw is not None:
        design = design[draw.to(design.device)]
    gram = torch.zeros(r, r, dtype=torch.float64, device=design.device)
    for rows in blocks(len(design)):
        gram += design[rows].T @ design[rows]
    return gram / len(design)
