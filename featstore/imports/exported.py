"""Exported: labels of files that `featstore export` wrote, with their classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from featstore.exchange import restored_target
from featstore.imports.source import Column
from featstore.samples import Target


def exported_targets(
    document: Mapping[str, Any], columns: Mapping[str, Column]
) -> dict[str, Column]:
    """Return the targets that a document describes, read from a file's columns when wanted.

    Parameters
    ----------
    document
        See `featstore.exchange`; empty for files of other tools.
    columns
        What the file has.
    """
    return {
        name: partial(_restored, description, columns[description["column"]])
        for name, description in document.get("targets", {}).items()
        if description["column"] in columns
    }


def _restored(description: Mapping[str, Any], column: Column) -> Target:
    return restored_target(description, column())
