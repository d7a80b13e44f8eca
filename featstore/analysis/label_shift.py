"""Label shift: whether two sets of rows have the classes in equal shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, chi2_contingency

from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.significance import benjamini_hochberg


@dataclass(frozen=True, eq=False, repr=False)
class LabelShift(Displayed):
    """Shares of the classes in two sets of rows.

    Attributes
    ----------
    classes
        One row per class: class, n_a, n_b, share_a, share_b, p (chi-square of the class against
        the rest), q (adjusted for the number of classes, Benjamini-Hochberg).
    chi2, dof, p
        Of all classes together; NaN for a multi-label target, whose labels are not exclusive.
    cramers_v
        Effect size in [0, 1]: √(chi2 / n); NaN for a multi-label target.
    least_expected
        Smallest expected count; below 5 the chi-square is not to be relied on.
    """

    classes: pd.DataFrame
    chi2: float
    dof: int
    p: float
    cramers_v: float
    least_expected: float


def label_shift(
    a: NDArray[np.integer] | NDArray[np.bool_],
    b: NDArray[np.integer] | NDArray[np.bool_],
    classes: tuple[str, ...],
) -> LabelShift:
    """Compare the label priors of two sets of rows by Pearson's chi-square.

    Parameters
    ----------
    a, b
        Class codes, shapes (n,) and (m,), or bool (n, c) and (m, c).
    classes
        Names, length c; classes without rows in both are left out of the test.

    Raises
    ------
    InvalidInputError
        If a set has no rows, or one has one label per row and the other several.

    References
    ----------
    Pearson (1900), On the criterion that a given system of deviations …, Philosophical Magazine 50.
    Cramér (1946), Mathematical methods of statistics, section 21.9.  Lipton, Wang & Smola (2018),
    Detecting and correcting for label shift, ICML.

    Examples
    --------
    >>> a, b = np.array([0] * 30 + [1] * 10), np.array([0] * 10 + [1] * 30)
    >>> shift = label_shift(a, b, ("x", "y"))
    >>> print(shift.chi2, shift.dof, f"{shift.p:.1e}", shift.cramers_v)
    20.0 1 7.7e-06 0.5
    """
    if a.ndim != b.ndim or min(len(a), len(b)) == 0:
        raise InvalidInputError(
            f"labels of shapes {a.shape} and {b.shape}: two sets of rows with one kind of label "
            "are needed"
        )
    c = len(classes)
    multi = a.ndim == 2
    counts = np.stack(
        [codes.sum(axis=0) if multi else np.bincount(codes, minlength=c) for codes in (a, b)]
    )  # (2, c)
    totals = np.array([len(a), len(b)])
    p = np.array([_one_class(counts[:, code], totals) for code in range(c)])
    frame = pd.DataFrame(
        {
            "class": classes,
            "n_a": counts[0],
            "n_b": counts[1],
            "share_a": counts[0] / len(a),
            "share_b": counts[1] / len(b),
            "p": p,
            "q": benjamini_hochberg(p),
        }
    )
    present = counts[:, counts.sum(axis=0) > 0]
    if multi or present.shape[1] < 2:
        return LabelShift(frame, np.nan, 0, np.nan, np.nan, np.nan)
    test = chi2_contingency(present, correction=False)
    return LabelShift(
        classes=frame,
        chi2=float(test.statistic),
        dof=int(test.dof),
        p=float(test.pvalue),
        cramers_v=float(np.sqrt(test.statistic / totals.sum())),
        least_expected=float(test.expected_freq.min()),
    )


def _one_class(counts: NDArray[np.intp], totals: NDArray[np.intp]) -> float:
    """Chi-square p of one class against the rest; NaN where it has no or all rows."""
    share = counts.sum() / totals.sum()
    if not 0 < share < 1:
        return float("nan")
    expected = totals * share
    # The cells of the class and of the rest differ from what is expected by the same number.
    statistic = ((counts - expected) ** 2 * (1 / expected + 1 / (totals - expected))).sum()
    return float(chi2.sf(statistic, 1))
