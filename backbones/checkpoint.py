"""Checkpoint: weights from a local file, recognised by content and matched key by key.

Nothing is loaded unless every tensor of the backbone is there with its name and shape.  Code bases,
layouts, prefixes and, of ResNets and ViTs, architectures are found by content; the classification
head alone may differ or be absent, as long as it is not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from featstore.backbones.architectures import canonical, untrained
from featstore.backbones.candidates import Candidate, choose, fitting, recognised
from featstore.backbones.families import family_of
from featstore.backbones.layouts import below
from featstore.backbones.match import CheckpointMatch, fit_state
from featstore.backbones.network import Network
from featstore.backbones.plans import planned
from featstore.backbones.settings import TRANSFORM_OPTIONS, Settings
from featstore.backbones.source import LAYER_OPTIONS, Source
from featstore.backbones.state_dict import State, read_groups, without_wrappers
from featstore.backbones.torch_encoder import TorchEncoder, torch_encoder
from featstore.errors import InvalidInputError, WeightsError

_OPTIONS = ("arch", "key", "prefix", "ignore", "stem")


def open_encoder(source: Source, settings: Settings) -> TorchEncoder:
    """Open ``checkpoint:FILE[?arch=ARCHITECTURE]``.

    Options: ``arch=`` is needed where layout and shapes do not tell; ``key=`` names the entry that
    holds the tensors, ``prefix=`` the common prefix of their names, where several fit;
    ``ignore=a,b`` drops tensors below ``a.`` and ``b.`` that the architecture does not have;
    ``stem=`` is a ResNet's.  The transform is the architecture's usual one unless options say
    otherwise.
    """
    network, _ = open_checkpoint(source)
    return torch_encoder(network, source, settings)


def open_checkpoint(source: Source) -> tuple[Network, CheckpointMatch]:
    """Recognise a checkpoint and load it into a network.

    Returns
    -------
    network, match
        The network with its weights, and what was recognised.

    Raises
    ------
    WeightsError
        If the file cannot be read safely, is ambiguous or does not match.
    InvalidInputError
        If the architecture neither shows nor was said.
    """
    source.check_options(*_OPTIONS, *LAYER_OPTIONS, *TRANSFORM_OPTIONS)
    content = _read(source)
    built = _build(source, content)
    network = built.network
    head_needed = source.layer is not None and network.in_head(source.layer)
    chosen, others = built.chosen, built.others
    if chosen is None:
        chosen, others = _tensors_for(network, content, head_needed=head_needed)
    fit = fit_state(
        network,
        chosen.state,
        origin=str(content.path),
        head_needed=head_needed,
        prefix=chosen.prefix,
        ignored=tuple(filter(None, source.options.get("ignore", "").split(","))),
    )
    name = content.path.name
    match = CheckpointMatch(
        file=name,
        family=content.family,
        layout=chosen.layout.name if chosen.layout else "the architecture's own names",
        entry=chosen.entry,
        prefix=chosen.prefix,
        architecture=network.architecture,
        tensors=fit.tensors,
        dropped=fit.dropped,
        others=others,
        notes=(*built.notes, *filter(None, [fit.note])),
    )
    weights = name if fit.note is None else f"{name} ({fit.note})"
    return replace(network, weights=weights), match


@dataclass(frozen=True)
class _Content:
    """What is in a file, and what of it may be meant."""

    path: Path
    groups: dict[str, State]
    family: str | None
    architecture: str | None  # that was asked for
    prefix: str | None  # that was asked for
    candidates: list[Candidate]


@dataclass(frozen=True)
class _Built:
    """A network without the weights; the tensors are chosen where that decided what was built."""

    network: Network
    notes: tuple[str, ...]
    chosen: Candidate | None = None
    others: tuple[str, ...] = ()


def _read(source: Source) -> _Content:
    """Read a file; refuse an architecture that its layout contradicts."""
    path = Path(source.model)
    groups = read_groups(path, key=source.options.get("key"))
    asked, prefix = source.options.get("arch"), source.options.get("prefix")
    architecture = canonical(asked) if asked is not None else None
    candidates = _with_prefix(recognised(groups), groups, prefix)
    for candidate in candidates:
        only = candidate.layout.architecture if candidate.layout else None
        if candidate.layout and architecture and only not in (None, architecture):
            raise WeightsError(
                f"{path} has the layout of {candidate.layout.name}, which only {only} "
                f"computes as the original does; leave out ?arch={asked}"
            )
    family = family_of(f"{entry}/{name}" for entry, state in groups.items() for name in state)
    return _Content(path, groups, family, architecture, prefix, candidates)


def _build(source: Source, content: _Content) -> _Built:
    """Build what the content shows or the source says, with freshly drawn weights."""
    size = source.integer("size", default=0, minimum=1) if "size" in source.options else None
    stem, architecture = source.options.get("stem"), content.architecture
    chosen: Candidate | None = None
    others: tuple[str, ...] = ()
    if content.candidates and architecture is None:
        chosen, others = choose(content.candidates, origin=str(content.path))
    # One of those whose tensors are chosen later is enough: twins have equal shapes.
    plans = (
        planned(candidate, family=content.family, size=size, stem=stem, architecture=architecture)
        for candidate in ([chosen] if chosen else content.candidates)
    )
    plan = next((plan for plan in plans if plan is not None), None)
    if plan is not None:
        network, notes = plan
    elif architecture is not None:
        network, notes = untrained(architecture, seed=0, size=size), ()
    else:
        raise InvalidInputError(
            f"backbone {source.text!r}: its content does not show which architecture the weights "
            f"belong to; say it, as in checkpoint:{source.model}?arch=resnet50"
        )
    if stem is not None and not any(note.startswith("stem") for note in notes):
        notes = (*notes, f"stem {stem!r}, as asked")
    return _Built(network, notes, chosen, others)


def _tensors_for(
    network: Network, content: _Content, *, head_needed: bool
) -> tuple[Candidate, tuple[str, ...]]:
    """Choose the tensors that hold a network, and name those that would, too."""
    needed = {name for name in network.state(head=True) if head_needed or not network.in_head(name)}
    held = _most_complete(content.candidates, needed)
    if not held:
        held = _with_prefix([], content.groups, content.prefix) or fitting(content.groups, needed)
    return choose(held, origin=str(content.path))


def _with_prefix(
    candidates: Sequence[Candidate], groups: dict[str, State], prefix: str | None
) -> list[Candidate]:
    """Keep the candidates behind the prefix that was asked for; make them if there are none."""
    if prefix is None:
        return list(candidates)
    prefix = without_wrappers(prefix)
    kept = [candidate for candidate in candidates if candidate.prefix == prefix]
    return kept or [
        Candidate(entry, prefix, own)
        for entry, state in groups.items()
        if (own := below(state, prefix))
    ]


def _most_complete(candidates: Sequence[Candidate], needed: set[str]) -> list[Candidate]:
    """Keep the candidates that hold most of the names, if they hold most of them at all."""
    held = [(len(needed & candidate.state.keys()), candidate) for candidate in candidates]
    most = max((count for count, _ in held), default=0)
    return [candidate for count, candidate in held if count == most and 2 * count > len(needed)]
