"""Corruption drop: what each corruption costs each feature."""

from __future__ import annotations

from collections.abc import Mapping

from featstore.analysis.corruption_drop import CorruptionDrop
from featstore.errors import InvalidInputError
from featstore.metric_names import metric_name
from featstore.typeset import Column, Table

_MEANS = {"mean_drop": "mean drop", "mCE": "mCE", "relative_mCE": "relative mCE"}


def corruption_drop(found: CorruptionDrop | Mapping[str, CorruptionDrop]) -> Table:
    """Tabulate values and drops by corruption.

    Parameters
    ----------
    found
        What `featstore.corruption_drop` returned, or several by the names of their features.

    Returns
    -------
    table
        A row for clean images and one for each corruption; for each feature the metric in percent
        and the drop in points with its paired interval, the smallest drops marked across features.

    Raises
    ------
    InvalidInputError
        If there are none, or metrics or corruptions differ.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Fig. 4.
    """
    named = dict(found) if isinstance(found, Mapping) else {"": found}
    if not named:
        raise InvalidInputError("there are no drops to tabulate")
    first = next(iter(named.values()))
    names = list(first.drops["corruption"])
    for name, one in named.items():
        if one.metric != first.metric or set(one.drops["corruption"]) != set(names):
            raise InvalidInputError(
                f"{name!r} has other corruptions or another metric than {next(iter(named))!r}; "
                "evaluate all on the same"
            )
    columns = [Column(name="corruption", values=("none", *names))]
    nothing, notes = float("nan"), []
    for name, one in named.items():
        rows = one.drops.set_index("corruption").loc[names]
        columns += [
            Column(
                name=metric_name(one.metric),
                values=(one.clean, *rows["value"].astype(float)),
                kind="share",
                group=name,
            ),
            Column(
                name="drop",
                values=(None, *rows["drop"].astype(float)),
                low=(nothing, *rows["low"].astype(float)),
                high=(nothing, *rows["high"].astype(float)),
                kind="points",
                group=name,
                gap="",
            ),
        ]
        means = one.summary[one.summary["measure"].isin(list(_MEANS))]
        notes.append(
            f"{name}: " * bool(name)
            + ", ".join(
                f"{_MEANS[row['measure']]} {100 * row['value']:.1f}"
                for row in means.to_dict("records")
            )
        )
    return Table(
        tuple(columns),
        title=f"{metric_name(first.metric)} in % and its drop in points",
        notes=(*notes, f"intervals: {first.level:.0%} paired bootstrap over test rows"),
        rules=(1,),
    )
