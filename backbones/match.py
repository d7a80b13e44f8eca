"""Match: which tensors of a checkpoint became which network, and what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch

from featstore.backbones.families import only_for_training
from featstore.backbones.layouts import below
from featstore.backbones.network import Network
from featstore.backbones.state_dict import State
from featstore.backbones.vit import fold_class_position, resample_positions
from featstore.errors import WeightsError


@dataclass(frozen=True)
class CheckpointMatch:
    """What was recognised in a checkpoint; `str` says it in lines.

    Attributes
    ----------
    file
        Name of the file.
    family
        The code base that wrote it; None if nothing says.
    layout
        How its tensors are named.
    entry, prefix
        Where they lie: the dotted path of the entry, and what stands before their names.
    architecture
        What they were loaded into.
    tensors
        How many were.
    dropped
        Modules beside the backbone that were left out, with their number of tensors.
    others
        Places of other networks in the file that would have fit.
    notes
        What else happened: position embeddings interpolated, a stem chosen.
    """

    file: str
    family: str | None
    layout: str
    entry: str
    prefix: str
    architecture: str
    tensors: int
    dropped: tuple[tuple[str, int], ...] = ()
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line for each thing worth knowing."""
        place = " ".join(
            f"{what} {text!r}"
            for what, text in (("entry", self.entry), ("prefix", self.prefix))
            if text
        )
        lines = [
            f"{self.file}: {self.family or 'no known code base'}; {self.layout}",
            f"  {self.tensors} tensors{f' from {place}' if place else ''} -> {self.architecture}",
        ]
        if self.dropped:
            parts = ", ".join(f"{module} ({count})" for module, count in self.dropped)
            lines.append(f"  left out: {parts}")
        if self.others:
            lines.append(f"  not taken: {', '.join(self.others)}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


@dataclass(frozen=True)
class Fit:
    """What `fit_state` did.

    Attributes
    ----------
    tensors
        Loaded.
    dropped
        Modules left out, with their number of tensors.
    note
        Whether position embeddings were interpolated.
    """

    tensors: int
    dropped: tuple[tuple[str, int], ...]
    note: str | None


def fit_state(
    network: Network,
    state: State,
    *,
    origin: str,
    head_needed: bool,
    prefix: str = "",
    ignored: tuple[str, ...] = (),
) -> Fit:
    """Load tensors into a network, all of its backbone's or none.

    Parameters
    ----------
    network
        Whose weights are replaced.
    state
        Tensors by the network's own names.
    origin
        Where they come from, for the error.
    head_needed
        Whether the classification head must match too.
    prefix
        What stood before the names, for the error.
    ignored
        Modules in `state` that the architecture lacks and that may be dropped.

    Raises
    ------
    WeightsError
        Listing the missing, unexpected and wrongly shaped keys.
    """
    wanted = network.state(head=True)
    needed = {name for name in wanted if head_needed or not network.in_head(name)}
    state = fold_class_position(below(state, ""), network.module)
    state, note = resample_positions(state, wanted)
    missing = sorted(needed - state.keys())
    extra = sorted(name for name in state.keys() - needed if name not in wanted)
    unexpected = [
        name
        for name in extra
        if not network.in_head(name)
        and not only_for_training(name.split(".")[0])
        and name.split(".")[0] not in ignored
    ]
    misshapen = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(needed & state.keys())
        if state[name].shape != wanted[name].shape
    ]
    if missing or unexpected or misshapen:
        raise WeightsError(
            f"{origin} does not match {network.architecture}"
            + (f" below the prefix {prefix!r}" if prefix else "")
            + ": "
            + "; ".join(
                f"{len(keys)} {what} ({', '.join(keys[:10])}{', ...' if len(keys) > 10 else ''})"
                for what, keys in (
                    ("missing", missing),
                    ("unexpected", unexpected),
                    ("of wrong shape", misshapen),
                )
                if keys
            )
            + ". Choose the architecture by ?arch=, or drop extra modules by ?ignore=A,B"
        )
    with torch.no_grad():
        network.module.load_state_dict({name: state[name] for name in needed}, strict=False)
    left = Counter(name.split(".")[0] for name in state.keys() - needed)
    return Fit(tensors=len(needed), dropped=tuple(sorted(left.items())), note=note)
