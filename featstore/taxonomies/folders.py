"""Folders: how they are nested says which classes belong together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from featstore.datasets.folder import EXTENSIONS
from featstore.errors import InvalidInputError
from featstore.splits import is_split
from featstore.taxonomies.parents import from_parents
from featstore.taxonomy import Taxonomy


def from_paths(paths: Sequence[str], *, names: Literal["path", "last"] = "path") -> Taxonomy:
    """Group classes by the folders they are in.

    Parameters
    ----------
    paths
        One for each class, with ``/`` between its parts.
    names
        Whether the classes are called by their path or by its last part.

    Returns
    -------
    taxonomy
        Levels as `from_parents` makes them; coarser classes are paths.

    Raises
    ------
    InvalidInputError
        If two classes, or a class and a folder, would have one name, or all classes are in one
        folder.

    Examples
    --------
    >>> taxonomy = from_paths(["bird/wren", "bird/owl/barn owl", "bat"], names="last")
    >>> taxonomy.names
    (('wren', 'barn owl', 'bat'), ('wren', 'bird/owl', 'bat'), ('bird', 'bat'))
    """
    called = [path.rpartition("/")[2] if names == "last" else path for path in paths]
    parents: dict[str, tuple[str, ...]] = {}
    path_of: dict[str, str] = {}
    for path, name in zip(paths, called, strict=True):
        folders = path.split("/")
        above = ["/".join(folders[:end]) for end in range(len(folders) - 1, 0, -1)]
        for place, node, parent in zip([path, *above], [name, *above], [*above, ""], strict=True):
            if path_of.setdefault(node, place) != place:
                raise InvalidInputError(
                    f"{path_of[node]!r} and {place!r} would both be called {node!r}; call the "
                    'classes by their path (names="path")'
                )
            parents[node] = (parent,) if parent else ()
    return from_parents(parents, called)


def from_folders(root: str | Path, *, names: Literal["path", "last"] = "path") -> Taxonomy:
    """Find the folders below `root` that hold images, and group them as they are nested.

    Parameters
    ----------
    root
        Folders of splits (train, val, test) directly below it are looked through.
    names
        See `from_paths`.

    Raises
    ------
    InvalidInputError
        If there are no images in folders, or as `from_paths`.
    """
    root = Path(root)
    paths: dict[str, None] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        parts = Path(folder).relative_to(root).parts
        if parts and is_split(parts[0]):
            parts = parts[1:]
        if parts and any(Path(file).suffix.lower() in EXTENSIONS for file in files):
            paths["/".join(parts)] = None
    if not paths:
        raise InvalidInputError(f"no images in folders below {root}")
    return from_paths(sorted(paths), names=names)
