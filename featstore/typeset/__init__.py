"""Typeset: tables of numbers as Markdown, LaTeX, CSV and data frames."""

from __future__ import annotations

from featstore.typeset.column import Column
from featstore.typeset.table import Table

__all__ = ["Column", "Table"]
