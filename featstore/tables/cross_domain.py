"""Cross-domain: features against data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from featstore.cross_domain_evaluation import cross_domain as evaluated
from featstore.cross_domain_table import CrossDomain
from featstore.named_stores import Location
from featstore.typeset import Table


def cross_domain(
    found: CrossDomain | Sequence[Location] | Mapping[str, Location],
    *,
    pretrained_on: Mapping[str, str | Sequence[str]] | None = None,
    preset: str | None = None,
    n_boot: int = 1000,
) -> Table:
    """Tabulate features (rows) against data sets (columns).

    Parameters
    ----------
    found
        What `featstore.cross_domain` returned, or the stores; nothing is fitted.
    pretrained_on, preset, n_boot
        See `featstore.cross_domain`, which has more; only of stores.

    Returns
    -------
    table
        Values in percent with intervals; what cannot be told from the best of its column, and what
        was pretrained on it, has a sign.

    Raises
    ------
    InvalidInputError
        As `featstore.cross_domain`.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Table 1.
    """
    if not isinstance(found, CrossDomain):
        found = evaluated(found, pretrained_on=pretrained_on, preset=preset, n_boot=n_boot)
    return found.table()
