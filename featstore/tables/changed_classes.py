"""Changed classes: the most improved and the most harmed ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from featstore.analysis.changed_classes import changed_classes as lists_of
from featstore.errors import InvalidInputError
from featstore.run_changes import Change, named_changes
from featstore.typeset import Column, Table


def changed_classes(
    changes: Change | Mapping[str, Change],
    *,
    k: int = 10,
    ranking: Literal["gain", "evidence"] = "gain",
    q: float = 0.05,
) -> Table:
    """List the classes that change most when one run replaces another.

    Parameters
    ----------
    changes
        A comparison or a pair of runs, the baseline first; or several by name, side by side.
    k
        Classes in a list at most.
    ranking
        ``"gain"``: the largest changes, as Table A1 has them; ``"evidence"``: only those whose test
        holds, the surest first; see `featstore.analysis.changed_classes`.
    q
        False discovery rate of the lists by evidence.

    Returns
    -------
    table
        Columns most improved and most harmed, each with the gain in points.

    Raises
    ------
    InvalidInputError
        If no class changes.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Table A1.
    """
    found = {}
    for name, whole in named_changes(changes).items():
        lists = lists_of(whole, k=k, q=q)
        found[name] = lists[lists["ranking"] == ranking]
    longest = max(
        (len(rows) for frame in found.values() for _, rows in frame.groupby("change")), default=0
    )
    if longest == 0:
        raise InvalidInputError(
            "no class changes" if ranking == "gain" else f"no class changes for sure (q <= {q:g})"
        )
    columns = []
    for name, frame in found.items():
        for change in ("improved", "harmed"):
            rows = frame[frame["change"] == change]
            blank = [None] * (longest - len(rows))
            group = f"{name}: {change}" if name else change
            columns += [
                Column(name="class", values=(*rows["class"], *blank), group=group, gap=""),
                Column(
                    name="gain",
                    values=(*rows["gain"].astype(float), *blank),
                    kind="points",
                    group=group,
                    gap="",
                ),
            ]
    why = (
        "the largest gains of many classes are partly chance"
        if ranking == "gain"
        else f"exact McNemar tests, false discovery rate {q:g}, the surest first"
    )
    return Table(tuple(columns), title="classes that change, gain in points", notes=(why,))
