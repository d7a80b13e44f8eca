"""Displayed: objects that show themselves, as a line in a terminal and as a card in a notebook."""

from __future__ import annotations

from featstore import registry


class Displayed:
    """Shows itself by `featstore.cards`, which the core does not import.

    Dataclasses have to be made with ``repr=False``: theirs would print whole frames.
    """

    def __repr__(self) -> str:
        return str(registry.cards().line(self))

    def _repr_html_(self) -> str:
        return str(registry.cards().html(self))
