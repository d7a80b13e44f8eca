"""Exchange: what featstore writes beside values in formats of other tools, and reads back.

Every exported file carries one JSON document under the key ``featstore``.  It says how the
features were made and which columns are labels with which classes, so that a later import gets
the same codes, also for classes without a row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from featstore._version import __version__
from featstore.errors import InvalidInputError
from featstore.samples import UNLABELLED, Target

#: Where a file's metadata hold the document.
KEY = "featstore"


def document(
    *,
    store: str,
    features: Mapping[str, Mapping[str, Any]],
    targets: Mapping[str, Target],
    columns: Mapping[str, str],
) -> dict[str, Any]:
    """Describe exported features.

    Parameters
    ----------
    store
        Where they come from.
    features
        Their specs by name, in the order of their columns.
    targets
        Labels by name.
    columns
        The column that holds each target.
    """
    return {
        "version": __version__,
        "store": store,
        "features": [{"name": name, "spec": dict(spec)} for name, spec in features.items()],
        "targets": {
            name: {
                "kind": target.kind,
                "classes": list(target.classes),
                "column": columns[name],
            }
            for name, target in targets.items()
        },
    }


def parsed(text: str | bytes | None) -> dict[str, Any]:
    """Read a document; empty for files that featstore did not write."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def restored_target(description: Mapping[str, Any], column: Any) -> Target:
    """Return the target that was written.

    Parameters
    ----------
    description
        Its entry in the document.
    column
        Codes (n,), an indicator (n, c), names of classes with None for a missing one, or lists
        of such names.

    Raises
    ------
    InvalidInputError
        If the column names a class that the document does not have.

    Examples
    --------
    >>> kept = {"kind": "single", "classes": ["ant", "bee", "cat"]}
    >>> restored_target(kept, ["cat", None]).codes
    array([ 2, -1], dtype=int32)
    """
    classes = tuple(description["classes"])
    if isinstance(column, np.ndarray) and column.dtype.kind in "iub":
        kind = np.int32 if description["kind"] == "single" else np.bool_
        return Target(description["kind"], classes, column.astype(kind))
    code = {name: i for i, name in enumerate(classes)}
    try:
        if description["kind"] == "single":
            codes = [UNLABELLED if name is None else code[name] for name in column]
            return Target("single", classes, np.asarray(codes, np.int32))
        indicator = np.zeros((len(column), len(classes)), bool)
        for row, names in enumerate(column):
            indicator[row, [code[name] for name in names]] = True
    except KeyError as error:
        raise InvalidInputError(
            f"a label {error.args[0]!r} is none of the {len(classes)} classes that were exported; "
            "the file was edited after the export"
        ) from None
    return Target("multi", classes, indicator)
