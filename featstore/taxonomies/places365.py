"""Places365: scenes, their types and their kinds, from the official lists."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from featstore.ancestors import named
from featstore.errors import InvalidInputError
from featstore.taxonomies.parents import from_parents
from featstore.taxonomy import Taxonomy

_KINDS = {1: "indoor", 2: "outdoor"}


def places365(path: str | Path, classes: Sequence[str] | None = None) -> Taxonomy:
    """Read the scene hierarchy of Places365: 365 scenes, 16 types, 3 kinds.

    The table is linked from the data set's page and saved as CSV.  Its first row names the kinds
    (``Level 2, INDOOR:`` and so on) above their types, its second row the columns, and a scene has
    1 in the column of each type that it belongs to.  Some belong to several.

    Parameters
    ----------
    path
        The table.
    classes
        Names of your target's classes; ``/a/apartment_building/outdoor``,
        ``apartment_building/outdoor``, ``apartment_building-outdoor`` and
        ``apartment_building_outdoor`` are one.  By default the names in the table.

    Returns
    -------
    taxonomy
        Levels Depth 2, Depth 1 and Depth 0 (Cole et al. 2022, C.3).  A scene is of the kinds of its
        types.

    Raises
    ------
    InvalidInputError
        If the file is no such table, a scene has no type, or a class is not in the table.

    Warns
    -----
    UserWarning
        If the table's own columns of Level 1 give some scenes other kinds than their types have.
    """
    rows = _rows(path)
    kinds, types = _header(rows, path)
    parents: dict[str, tuple[str, ...]] = {}
    stated: dict[str, set[str]] = {}
    for row in rows[2:]:
        scene = row[0].strip().strip("'")
        marked = [i for i, cell in enumerate(row) if cell.strip() == "1"]
        parents[scene] = tuple(types[i] for i in marked if i in types)
        stated[scene] = {kinds[i] for i in marked if i in kinds}
    if homeless := [scene for scene, above in parents.items() if not above]:
        raise InvalidInputError(
            f"{len(homeless)} scenes of {path} have no type: {named(homeless)}; mark at least one "
            "column of Level 2 with 1"
        )
    kind_of = {types[i]: (_kind(rows[0], i, list(kinds.values())),) for i in types}
    _compare(parents, kind_of, stated)
    return from_parents(
        {**_called(parents, classes), **kind_of, **dict.fromkeys(kinds.values(), ())},
        classes or list(parents),
    )


def places365_indoor(path: str | Path, classes: Sequence[str] | None = None) -> Taxonomy:
    """Read ``IO_places365.txt``: scenes, and whether they are indoor or outdoor.

    Parameters
    ----------
    path
        A scene and 1 (indoor) or 2 (outdoor) on each line.
    classes
        As in `places365`.

    Raises
    ------
    InvalidInputError
        If a line has another form, or a class is not in the file.
    """
    lines = [line.split() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    kinds = {}
    for number, fields in enumerate(lines, 1):
        if len(fields) != 2 or fields[1] not in ("1", "2"):
            raise InvalidInputError(
                f"line {number} of {path} is {' '.join(fields)!r}; expected a scene and 1 (indoor) "
                "or 2 (outdoor)"
            )
        kinds[fields[0]] = (_KINDS[int(fields[1])],)
    found = _called(kinds, classes)
    chosen = classes or list(found)
    return Taxonomy.from_frame(
        pd.DataFrame({"scene": chosen, "kind": [found[scene][0] for scene in chosen]})
    )


def _rows(path: str | Path) -> list[list[str]]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{path} is no comma-separated UTF-8 table: {error}") from error


def _header(rows: list[list[str]], path: str | Path) -> tuple[dict[int, str], dict[int, str]]:
    """Columns of the kinds and of the types, with their names; titles span the columns below."""
    if len(rows) < 3 or not any("level 2" in cell.lower() for cell in rows[0]):
        raise InvalidInputError(
            f"{path} is not the scene hierarchy of Places365: its first row should name Level 1 "
            "and, for each kind, Level 2, its second row the columns"
        )
    kinds: dict[int, str] = {}
    types: dict[int, str] = {}
    title = ""
    for i, name in enumerate(rows[1]):
        title = (rows[0][i] if i < len(rows[0]) else "").strip().lower() or title
        if name.strip() and title:
            (types if title.startswith("level 2") else kinds)[i] = name.strip()
    return kinds, types


def _kind(titles: Sequence[str], column: int, kinds: Sequence[str]) -> str:
    """Kind that the title above a column of types means: outdoor natural is outdoor, natural."""
    title = next(title for title in titles[column::-1] if title.strip())
    words = set(re.findall(r"[a-z]+", title.lower())) - {"level"}
    for kind in kinds:
        if set(re.findall(r"[a-z]+", kind.lower())) == words:
            return kind
    raise InvalidInputError(f"{title!r} is the title of none of the kinds {', '.join(kinds)}")


def _compare(
    parents: Mapping[str, Sequence[str]],
    kind_of: Mapping[str, Sequence[str]],
    stated: Mapping[str, set[str]],
) -> None:
    """Say where the two levels of the table contradict each other."""
    other = [
        scene
        for scene, types in parents.items()
        if stated[scene] and stated[scene] != {kind for name in types for kind in kind_of[name]}
    ]
    if other:
        warnings.warn(
            f"Level 1 of the table gives {len(other)} scenes other kinds than their types in Level "
            f"2 have: {named(other)}; the types decide",
            stacklevel=3,
        )


def _called(
    found: Mapping[str, tuple[str, ...]], classes: Sequence[str] | None
) -> dict[str, tuple[str, ...]]:
    """Rename the scenes as the classes are called."""
    if classes is None:
        return dict(found)
    by_key = {_key(scene): above for scene, above in found.items()}
    if strangers := [name for name in classes if _key(name) not in by_key]:
        raise InvalidInputError(
            f"{len(strangers)} of {len(classes)} classes are no scenes of Places365: "
            f"{named(strangers)}"
        )
    return {name: by_key[_key(name)] for name in classes}


def _key(scene: str) -> str:
    """Name of a scene without the folder of its first letter, its parts joined in one way."""
    return (
        re.sub(r"^/?[a-z]/", "", scene.strip("'")).strip("/").translate(str.maketrans("/- ", "___"))
    )
