"""Candidates: the networks that a checkpoint holds, and the one that is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from featstore.backbones.families import is_lesser
from featstore.backbones.layouts import LAYOUTS, Layout, below
from featstore.backbones.state_dict import State
from featstore.errors import WeightsError


@dataclass(frozen=True, eq=False)
class Candidate:
    """One network within a checkpoint.

    Attributes
    ----------
    entry, prefix
        Where its tensors lie: the dotted path of the entry, what stands before their names.
    state
        They, named as the network to be built names them.
    layout
        How they were named; None if nothing was recognised.
    """

    entry: str
    prefix: str
    state: State
    layout: Layout | None = None

    @property
    def place(self) -> str:
        """Entry and prefix, for people."""
        return "/".join(part for part in (self.entry, self.prefix) if part) or "the file itself"


def recognised(groups: Mapping[str, State]) -> list[Candidate]:
    """Find the networks whose layout is known.

    Parameters
    ----------
    groups
        As `featstore.backbones.state_dict.read_groups` returned them.
    """
    return [
        Candidate(entry, prefix, _renamed(below(state, prefix), layout), layout)
        for entry, state in groups.items()
        for layout in LAYOUTS
        for prefix in layout.prefixes(state)
    ]


def fitting(groups: Mapping[str, State], needed: set[str]) -> list[Candidate]:
    """Find the networks that hold the names of an architecture, behind whatever prefix.

    Returns
    -------
    candidates
        All that hold every name; else the one that holds most.
    """
    found: Counter[tuple[str, str]] = Counter()
    for entry, state in groups.items():
        for name in state:
            parts = name.split(".")
            for depth in range(len(parts)):
                if ".".join(parts[depth:]) in needed:
                    found[entry, "".join(f"{part}." for part in parts[:depth])] += 1
    complete = [place for place, count in found.items() if count == len(needed)]
    if not complete:
        largest = max(groups, key=lambda entry: len(groups[entry]))
        complete = [max(found, key=lambda place: found[place], default=(largest, ""))]
    return [Candidate(entry, prefix, below(groups[entry], prefix)) for entry, prefix in complete]


def choose(candidates: Sequence[Candidate], *, origin: str) -> tuple[Candidate, tuple[str, ...]]:
    """Choose the network that published evaluations use; equal ones are one.

    Returns
    -------
    candidate, others
        The one, and the places of those that were not taken.

    Raises
    ------
    WeightsError
        If several differ and nothing says which is meant.
    """
    kept = [c for c in candidates if not is_lesser(c.prefix, c.entry)] or list(candidates)
    first = kept[0]
    distinct = [first, *(c for c in kept[1:] if not _equal(c.state, first.state))]
    entries = list(dict.fromkeys(c.entry for c in distinct))
    if len(entries) > 1:
        raise WeightsError(
            f"{origin} holds several groups of tensors that fit; choose one by ?key=: "
            f"{', '.join(entries)}"
        )
    if len(distinct) > 1:
        raise WeightsError(
            f"{origin} holds several networks that fit; choose one by ?prefix=: "
            f"{', '.join(repr(c.prefix) for c in distinct)}"
        )
    return first, tuple(c.place for c in candidates if c is not first)


def _renamed(state: State, layout: Layout) -> State:
    return {layout.rename(name): tensor for name, tensor in state.items()}


def _equal(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
