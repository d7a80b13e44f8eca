"""How gains are spread over classes, beside what chance alone would spread (Fig. A4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.pairing import paired
from featstore.analysis.tallies import Tallies
from featstore.decisions import Outcomes, decided
from featstore.displayed import Displayed
from featstore.intervals import percentile

Null = Literal["none", "equal"]
"""``"none"``: no class differs between the runs; ``"equal"``: all differ by the same odds."""

OUTCOMES = ("improved", "unchanged", "harmed")


@dataclass(frozen=True, eq=False, repr=False)
class Gains(Displayed):
    """What single classes win or lose when run b replaces run a.

    Attributes
    ----------
    shares
        One row per outcome (improved, unchanged, harmed): outcome, n_classes, share, low, high,
        null, null_low, null_high, p.  The interval comes from drawing classes, both runs together;
        null is the mean share if nothing but chance told the classes apart, with the range of
        the swaps; p says how often chance is as far from its middle as what was seen.
    curve
        One row per class with test rows, the largest gain first: place, class, n, gain, low, high
        (of the curve at this place, classes drawn), null, null_low, null_high (of the sorted
        curve at this place under chance).
    null
        Which hypothesis chance stands for.
    n_common, n_only_a, n_only_b
        Test rows of both runs, and rows left out because the other run lacks them.
    """

    shares: pd.DataFrame
    curve: pd.DataFrame
    null: Null
    n_common: int
    n_only_a: int
    n_only_b: int


def gains(
    a: Outcomes,
    b: Outcomes,
    *,
    null: Null = "none",
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Gains:
    r"""Sort the gains of classes, and compare them with swapped outcomes.

    Where exactly one run has a row right, a fair coin says which one if no class differs: the
    outcomes of the pair can be swapped.  With d such rows in a class its gain is then
    (2 B - d) / n, B ~ Binomial(d, 1/2).  If all classes differ by the same odds, the coin falls as
    often for b as over all rows; what is left then is whether classes differ among each other.

    Parameters
    ----------
    a, b
        Single-label runs of one target; a is the baseline.
    null
        See `Null`.
    n_boot, seed, level
        Draws of classes and swaps each (0 leaves intervals, null and p NaN), their seed, and the
        coverage of intervals and ranges.

    Raises
    ------
    InvalidInputError
        If a run is multi-label, the runs differ in their classes or in the labels of a common row,
        an id repeats within a run, or no row is common.

    References
    ----------
    Cole, Yang, Wilber, Mac Aodha & Belongie (2022), When does contrastive visual representation
    learning work?, CVPR, Fig. A4.

    Examples
    --------
    >>> from featstore.decisions import Decisions
    >>> rows = np.arange(40)
    >>> a, b = (Decisions(rows.astype(str), ("cat", "dog"), rows % 2, called, np.ones(2, bool))
    ...         for called in (np.zeros(40, int), rows % 2))
    >>> found = gains(a, b)
    >>> print(*found.curve["gain"], *found.shares["share"], *found.shares["null"].round(1))
    1.0 0.0 0.5 0.5 0.0 0.2 0.6 0.2
    """
    first, second = (decided(run) for run in paired(a, b))
    tallies = Tallies.of(first, second)
    present = np.flatnonzero(tallies.n)
    order = present[np.argsort(-tallies.gain[present], kind="stable")]
    gain = tallies.gain[order]
    rng = np.random.default_rng(seed)
    drawn = _drawn(gain, rng, n_boot)
    swapped = _swapped(tallies, order, null, rng, n_boot)
    signs = np.sign(gain)
    curve = pd.DataFrame(
        {
            "place": np.arange(1, len(order) + 1),
            "class": np.array(first.classes, object)[order],
            "n": tallies.n[order],
            "gain": gain,
            **_range(drawn, level, "low", "high"),
            "null": swapped.mean(axis=1) if n_boot else np.nan,
            **_range(swapped, level, "null_low", "null_high"),
        }
    )
    counts = np.array([(signs == sign).sum() for sign in (1, 0, -1)])
    of_draws, of_swaps = _shares(drawn), _shares(swapped)
    shares = pd.DataFrame(
        {
            "outcome": OUTCOMES,
            "n_classes": counts,
            "share": counts / len(order),
            **_range(of_draws, level, "low", "high"),
            "null": of_swaps.mean(axis=1) if n_boot else np.nan,
            **_range(of_swaps, level, "null_low", "null_high"),
            "p": _two_sided(counts / len(order), of_swaps),
        }
    )
    n = len(first)
    return Gains(shares, curve, null, n_common=n, n_only_a=len(a) - n, n_only_b=len(b) - n)


def _drawn(gain: NDArray[np.float64], rng: np.random.Generator, n_boot: int) -> NDArray[np.float32]:
    """Sorted gains of classes drawn with replacement, shape (m, n_boot)."""
    m = len(gain)
    samples = np.empty((n_boot, m), np.float32)
    for row in samples:
        # Gains are sorted, so repeating each as often as it was drawn keeps them sorted.
        row[:] = np.repeat(gain, np.bincount(rng.integers(m, size=m), minlength=m))
    return samples.T


def _swapped(
    tallies: Tallies, order: NDArray[np.intp], null: Null, rng: np.random.Generator, n_boot: int
) -> NDArray[np.float32]:
    """Sorted gains under chance, largest first, shape (m, n_boot)."""
    discordant = tallies.discordant[order]
    total = int(discordant.sum())
    odds = 0.5 if null == "none" or total == 0 else tallies.only_b[order].sum() / total
    samples = np.empty((n_boot, len(order)), np.float32)
    # A generator prepares once for each number of rows, if equal ones are drawn together.
    for d in np.unique(discordant):
        alike = np.flatnonzero(discordant == d)
        wins = rng.binomial(d, odds, size=(n_boot, len(alike)))
        samples[:, alike] = (2 * wins - d) / tallies.n[order[alike]]
    samples.sort(axis=1)
    return samples[:, ::-1].T


def _shares(gain: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of classes that gain, stay and lose, shape (3, n_boot)."""
    return np.stack([(gain > 0).mean(axis=0), (gain == 0).mean(axis=0), (gain < 0).mean(axis=0)])


def _range(
    samples: NDArray[np.floating], level: float, low: str, high: str
) -> dict[str, NDArray[np.float64]]:
    bounds = percentile(np.asarray(samples, np.float64), level=level)
    return dict(zip((low, high), bounds, strict=True))


def _two_sided(observed: NDArray[np.float64], samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the smaller tail, what was observed counting as one of the samples."""
    n_boot = samples.shape[1]
    if n_boot == 0:
        return np.full(len(observed), np.nan)
    tails = [(samples >= observed[:, None]).sum(axis=1), (samples <= observed[:, None]).sum(axis=1)]
    return np.asarray(np.minimum(2 * (1 + np.minimum(*tails)) / (n_boot + 1), 1))
