"""Card: what a notebook shows of an object, before it is HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from featstore.cards.fragment import STYLE, Cell, facts


@dataclass(frozen=True)
class Card:
    """An object at a glance.

    Attributes
    ----------
    kind, name
        Of the object.
    headline
        The one thing to know about it; empty where there is none.
    warnings
        What must be known before it is believed.
    facts
        Names and values.
    parts
        Tables and folds below, each made by `featstore.cards.fragment`.
    """

    kind: str
    name: str
    headline: str
    warnings: Sequence[str] = ()
    facts: Mapping[str, Cell] = field(default_factory=dict)
    parts: Sequence[Markup] = ()

    def html(self) -> str:
        """Return one ``<div>``, without a script.

        Examples
        --------
        >>> print(Card("Taxonomy", "", "8 classes").html())
        <style>...</style><div class="featstore"><div><strong>Taxonomy</strong></div>...8 classes...
        """
        name = Markup(" <code>{}</code>").format(self.name) if self.name else Markup()
        pieces = [
            Markup("<div><strong>{}</strong>{}</div>").format(self.kind, name),
            *([Markup("<div>{}</div>").format(self.headline)] if self.headline else []),
            *(Markup('<div class="warning">{}</div>').format(words) for words in self.warnings),
            *([facts(self.facts)] if self.facts else []),
            *self.parts,
        ]
        body = Markup().join(pieces)
        return str(STYLE + Markup('<div class="featstore">{}</div>').format(body))
