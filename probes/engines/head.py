"""Heads of logistic regressions that an engine solves, certified like those of our own solver."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.probes.engines.linear import LinearEngine
from featstore.probes.head import Head, certify_head
from featstore.probes.inputs import Targets, as_tensor
from featstore.probes.preconditioner import GramBasis, Precision, working_dtype


def engine_head(
    engine: LinearEngine,
    X: NDArray[np.floating],
    targets: Targets,
    basis: GramBasis,
    *,
    C: float,
    tol: float,
    max_iter: int,
    dtype: Precision,
) -> Head:
    """Have an engine fit a head; its intercepts are then moved to what is best for its weights.

    Parameters
    ----------
    engine
        Solves one softmax, one logit of two classes, or one logit per label, one after the other.
    X, targets, basis, C, tol, max_iter
        As for `featstore.probes.head.fit_head`; `basis` serves the certificate.
    dtype
        Precision that the engine is given the features in.

    Raises
    ------
    InvalidInputError
        If there is nothing to tell apart.
    """
    working = working_dtype(dtype, X.shape)
    rows = as_tensor(X).to(working).numpy()
    problems = [targets.labels.astype(np.int64)]
    if targets.multilabel:
        problems = [label for label in problems[0].T if 0 < label.sum() < len(label)]
    elif len(targets.classes) == 1:
        raise InvalidInputError(
            f"y has one class only, {targets.classes.tolist()[0]!r}: a probe needs at least two"
        )
    if not problems:
        raise InvalidInputError(
            f"none of the {len(targets.classes)} labels has both rows with and rows without it: "
            "there is nothing to tell apart"
        )
    found = [engine.logistic(rows, codes, C=C, tol=tol, max_iter=max_iter) for codes in problems]
    return certify_head(
        X,
        targets,
        basis,
        torch.from_numpy(np.concatenate([solution.coef for solution in found])),
        torch.from_numpy(np.concatenate([solution.intercept for solution in found])),
        C=C,
        tol=tol,
        n_iter=max(solution.n_iter for solution in found),
        solver=f"{engine.name} {str(working).removeprefix('torch.')}",
    )
