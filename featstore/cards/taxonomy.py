"""Card of a taxonomy: its levels with their classes, and the tree to unfold."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, fold, muted, table
from featstore.numerals import plural
from featstore.taxonomy import Taxonomy

SHOWN_CHILDREN = 15
SHOWN_CLASSES = 400
"""Of the whole tree: a card is to be small."""


def headline(taxonomy: Taxonomy) -> str:
    """Say the levels with their numbers of classes, finest first."""
    pairs = zip(taxonomy.levels, taxonomy.names, strict=True)
    return " → ".join(f"{level} {len(names):,}" for level, names in pairs)


def card(taxonomy: Taxonomy) -> Card:
    """Show a taxonomy."""
    rows: list[list[Cell]] = [
        [level, len(names), ", ".join(names[:4]) + (", …" if len(names) > 4 else "")]
        for level, names in zip(taxonomy.levels, taxonomy.names, strict=True)
    ]
    several = sum(len(codes) > 1 for parents in taxonomy.parents for codes in parents)
    return Card(
        kind="Taxonomy",
        name="",
        headline=headline(taxonomy),
        parts=[
            table(["level, finest first", "classes", "such as"], rows),
            *([muted(f"{plural(several, 'class')} with several parents")] if several else []),
            fold(f"from {taxonomy.levels[-1]} to {taxonomy.levels[0]}", _Tree(taxonomy).html()),
        ],
    )


class _Tree:
    """Nested folds, the coarsest level outside; a class with several parents is under each."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.names = taxonomy.names
        self.children: list[list[list[int]]] = [
            [[] for _ in names] for names in taxonomy.names[1:]
        ]  # [level - 1][class]: codes at the level below
        for below, parents in enumerate(taxonomy.parents):
            for child, codes in enumerate(parents):
                for code in codes:
                    self.children[below][code].append(child)
        self.left = SHOWN_CLASSES

    def html(self) -> Markup:
        """Return the tree."""
        top = len(self.names) - 1
        return self._nodes(top, range(len(self.names[top])))

    def _nodes(self, level: int, codes: Sequence[int]) -> Markup:
        """Lay out classes of a level: folds, or at the finest a line of names."""
        shown = codes[: min(SHOWN_CHILDREN, self.left)]
        self.left -= len(shown)
        hidden = len(codes) - len(shown)
        if level == 0:
            names = [escape(self.names[0][code]) for code in shown]
            names += [escape(f"… {hidden:,} more")] if hidden else []
            return Markup("<div>{}</div>").format(Markup(", ").join(names))
        folds = [self._node(level, code) for code in shown]
        return Markup().join(folds) + (muted(f"… {hidden:,} more") if hidden else "")

    def _node(self, level: int, code: int) -> Markup:
        below = self.children[level - 1][code]
        summary = Markup('{} <span class="muted">{:,}</span>').format(
            self.names[level][code], len(below)
        )
        return fold(summary, self._nodes(level - 1, below)) if below else fold(summary, "")
