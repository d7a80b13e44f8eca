"""Path: logistic regression over a grid of penalties, each head started from the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import ArrayLike

from featstore.errors import InvalidInputError
from featstore.probes.device import DeviceName
from featstore.probes.head import fit_head
from featstore.probes.head_problem import HeadProblem
from featstore.probes.logistic import LogisticProbe, MultiClass
from featstore.probes.preconditioner import GramBasis, Precision
from featstore.probes.weighting import ClassWeight


def logistic_path(
    X: Any,
    y: ArrayLike,
    Cs: Iterable[float],
    *,
    sample_weight: ArrayLike | None = None,
    class_weight: ClassWeight = None,
    multi_class: MultiClass = "multinomial",
    tol: float = 1e-6,
    max_iter: int = 1000,
    dtype: Precision = "auto",
    max_memory: int | str | None = None,
    device: DeviceName = "cpu",
    seed: int = 0,
    basis: GramBasis | None = None,
) -> Iterator[LogisticProbe]:
    """Fit a grid of penalties, from the smallest C to the largest, each from the one before.

    The features are checked, centred and diagonalised once, when the function is called; each
    head is fitted when it is asked for, so whoever stops asking saves the rest (large C take
    most of the passes).

    Parameters
    ----------
    X, y, sample_weight, basis
        As for `LogisticProbe.fit`.
    Cs
        Inverse penalties, in any order.
    class_weight, multi_class, tol, max_iter, dtype, max_memory, device, seed
        As for `LogisticProbe`.

    Yields
    ------
    probe
        A fitted head; `probe.C` says which.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> [probe.C for probe in logistic_path(X, y, [0.1, 0.001])]
    [0.001, 0.1]
    """
    probes = [
        LogisticProbe(
            C,
            class_weight=class_weight,
            multi_class=multi_class,
            tol=tol,
            max_iter=max_iter,
            dtype=dtype,
            max_memory=max_memory,
            device=device,
            seed=seed,
        )
        for C in sorted(Cs)
    ]
    if not probes:
        raise InvalidInputError("Cs is empty: a path needs at least one C")
    for probe in probes:
        probe.check_parameters()
    return _heads(probes, probes[0].problem(X, y, sample_weight, basis=basis))


def _heads(probes: list[LogisticProbe], problem: HeadProblem) -> Iterator[LogisticProbe]:
    opened = {
        name: value for name, value in vars(probes[0]).items() if name not in probes[0].get_params()
    }
    start = None
    for probe in probes:
        head = fit_head(problem, C=probe.C, tol=probe.tol, max_iter=probe.max_iter, start=start)
        start = head.point
        for name, value in opened.items():
            setattr(probe, name, value)  # what is known of the columns and the classes
        yield probe.adopt(head)
