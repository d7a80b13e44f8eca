"""Amounts on the command line: 1,2,4 · 500,50k,1.3M · 200x500."""

from __future__ import annotations

from typing import Any

import click

from featstore.errors import InvalidInputError


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """Whole numbers with commas between them."""

    name = "k,k,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Split and convert."""
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers such as 1,2,4", param, ctx)


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """A number of rows: 500, 50k or 1.3M."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert."""
        from featstore.counts import parse_count

        try:
            return parse_count(str(value))
        except InvalidInputError as error:
            self.fail(str(error), param, ctx)


class Sizes(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """Numbers of rows with commas between them: 500,50k,1.3M."""

    name = "n,n,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Split and convert."""
        from featstore.counts import parse_count

        try:
            return tuple(parse_count(part) for part in str(value).split(","))
        except InvalidInputError as error:
            self.fail(str(error), param, ctx)


class ClassSets(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """Pairs of classes and rows of each: 200x500,500x200."""

    name = "c×n,c×n,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[int, int], ...]:
        """Split and convert."""
        try:
            pairs = [part.replace("×", "x").split("x") for part in str(value).split(",")]
            return tuple((int(classes), int(rows)) for classes, rows in pairs)
        except ValueError:
            self.fail(f"{value!r} is no list of classes x rows such as 200x500,500x200", param, ctx)
