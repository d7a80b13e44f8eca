"""Collections: the files of several splits read as one matrix with its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from featstore.errors import InvalidInputError
from featstore.imports.column_file import is_column_file
from featstore.imports.columns import joined_targets
from featstore.imports.foreign import ForeignFeatures, label_name
from featstore.imports.formats import read_source
from featstore.imports.values import StackedValues

#: A file or folder, or features in memory.
Features = str | Path | ForeignFeatures


def collected(
    features: Features | Sequence[Features] | Mapping[str, Features],
    *,
    form: str | None = None,
    key: str | None = None,
    ids: str | None = None,
    split: str | None = None,
    labels: str | Sequence[str] = (),
) -> ForeignFeatures:
    """Read files or folders, one below the other.

    Parameters
    ----------
    features
        What to read; a mapping gives the split of each.
    form, key, ids, split, labels
        As in `featstore.importation.import_features`: columns are looked for in every file,
        files of columns go with all rows together.

    Raises
    ------
    InvalidInputError
        If a file cannot be read or has no such column, or the files do not go together.
    """
    if isinstance(features, str | Path | ForeignFeatures):
        features = [features]
    sources = dict(features) if isinstance(features, Mapping) else dict(enumerate(features))
    if not sources:
        raise InvalidInputError("no file of features was given")
    labels = [labels] if isinstance(labels, str) else labels
    elsewhere = [label for label in labels if is_column_file(label_name(label)[1])]
    id_file = ids is not None and is_column_file(ids)
    split_file = split is not None and is_column_file(split)
    parts = []
    for name, source in sources.items():
        part = (
            source
            if isinstance(source, ForeignFeatures)
            else ForeignFeatures.from_source(
                read_source(source, form=form, key=key),
                Path(source).name,
                ids=None if id_file else ids,
                split=None if split_file else split,
                labels=[label for label in labels if label not in elsewhere],
                with_ids=not id_file,
            )
        )
        parts.append(part.in_split(name) if isinstance(name, str) and name else part)
    return joined(parts).with_files(
        ids=ids if id_file else None, split=split if split_file else None, labels=elsewhere
    )


def joined(parts: Sequence[ForeignFeatures]) -> ForeignFeatures:
    """Put the features of several files below each other.

    Raises
    ------
    InvalidInputError
        If only some of them have ids, or their vectors differ in length.
    """
    if len(parts) == 1:
        return parts[0]
    ids = [part.ids for part in parts if part.ids is not None]
    if ids and len(ids) < len(parts):
        without = ", ".join(part.source for part in parts if part.ids is None)
        raise InvalidInputError(
            f"{without} has no ids and the other files have; give all of them ids, or import the "
            "files one by one"
        )
    targets = {
        name: joined_targets([part.targets[name] for part in parts])
        for name in parts[0].targets
        if all(name in part.targets for part in parts)
    }
    splits = [np.full(len(p), "") if p.splits is None else p.splits for p in parts]
    return ForeignFeatures(
        values=StackedValues([part.values for part in parts]),
        source=", ".join(part.source for part in parts),
        layout=", ".join(dict.fromkeys(part.layout for part in parts)),
        ids=np.concatenate(ids) if ids else None,
        splits=np.concatenate(splits) if any(p.splits is not None for p in parts) else None,
        targets=targets,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )
