"""import_features: features that another tool made become a feature of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featstore.errors import InvalidInputError, StoreNotFoundError
from featstore.history import record
from featstore.holdout import HoldOut
from featstore.imports.aligned import AlignedValues, Survey
from featstore.imports.collection import Features, collected
from featstore.imports.foreign import ForeignFeatures
from featstore.imports.matching import examples
from featstore.placement import (
    Duplicates,
    Placement,
    matched_samples,
    new_samples,
    positions,
    rooted,
    without_repeats,
)
from featstore.progress import progress_bar
from featstore.spec import BackboneSpec, FeatureSpec, StoredDtype
from featstore.store import FeatureStore, checked_name


@dataclass(frozen=True)
class Importation:
    """What one call of `import_features` did.

    Attributes
    ----------
    store
        The store, with the feature sealed.
    name
        Of the feature.
    rows
        Samples with values.
    missing, not_finite
        Samples that were excluded: the file lacks them, or its values are NaN or Inf.
    unmatched, duplicates
        Rows of the file that were left out: no sample has their id, or an earlier row has it.
    dtype
        Stored precision.
    created
        Whether the store was made from the file's rows.
    computed
        Whether anything was written; False if the very same feature was there.
    notes
        What people should know: how the file was read, and where precision was lost.
    """

    store: FeatureStore
    name: str
    rows: int
    missing: int
    not_finite: int
    unmatched: int
    duplicates: int
    dtype: StoredDtype
    created: bool
    computed: bool
    notes: tuple[str, ...]


def import_features(
    features: Features | Sequence[Features] | Mapping[str, Features],
    out: str | Path,
    *,
    name: str,
    form: str | None = None,
    key: str | None = None,
    ids: str | None = None,
    split: str | None = None,
    labels: str | Sequence[str] = (),
    root: str | None = None,
    backbone: str = "unknown",
    dtype: StoredDtype | None = None,
    by_position: bool = False,
    allow_missing: bool = False,
    allow_unmatched: bool = False,
    allow_not_finite: bool = False,
    duplicates: Duplicates = "error",
    hold_out: HoldOut | None = HoldOut(),
    progress: bool | None = None,
) -> Importation:
    """Bring in features that were made elsewhere.

    Where the store exists, rows are matched to its samples by id.  Where it does not, the file's
    ids, splits and labels make its samples.  Importing the same again does nothing.

    Parameters
    ----------
    features
        Files or folders (docs/import-export.md); a mapping gives the split of each.  Or
        `ForeignFeatures`, for arrays in memory.
    out
        The store, a path or a URL.
    name
        Of the feature in the store.
    form
        Format, see `featstore.imports.FORMATS`; None tells it from the content.
    key
        Array, tensor, data set or column of the features; None takes the usual one.
    ids, split, labels
        Columns of the files, or files of their own (``FILE`` or ``FILE#COLUMN``, one entry per
        row of all files together); labels may be named, ``"TARGET=COLUMN"``.  By default columns
        with usual names.
    root
        Leading folder to take off the file's ids.
    backbone
        What made the features; part of their identity.
    dtype
        Stored precision; by default float16 for float16 and bfloat16, float32 for the others.
    by_position
        Take row i for sample i, for files without ids.
    allow_missing, allow_not_finite
        Exclude samples that the file lacks, or whose values are NaN or Inf, instead of an error.
    allow_unmatched
        Leave out rows whose id no sample has, instead of an error.
    duplicates
        Repeated ids are an error; or left out if their values are ``"identical"`` to the first
        ones, or (``"first"``) in any case.
    hold_out
        Draws a test split for a new store whose samples have labels and no splits.
    progress
        Show a progress bar; None shows it on a terminal.

    Raises
    ------
    InvalidInputError
        If a file cannot be read, or its rows and the store's samples do not go together.
    SpecMismatchError
        If the store has another feature of this name.
    StorageError
        If the disk refuses.
    """
    checked_name(name)
    read = collected(features, form=form, key=key, ids=ids, split=split, labels=labels)
    foreign = rooted(read, root)
    stored = dtype or _usual_dtype(foreign)
    kept = without_repeats(foreign, duplicates)
    store = _existing(out)
    if store is None:
        placement = new_samples(foreign, kept, hold_out)
    elif by_position or foreign.ids is None:
        placement = positions(foreign, store.samples, store.location)
    else:
        placement = matched_samples(
            foreign,
            store.samples,
            store.location,
            allow_missing=allow_missing,
            allow_unmatched=allow_unmatched,
        )
    aligned = AlignedValues(foreign.values, placement.rows, stored)
    with progress_bar("check", len(aligned), unit="rows", shown=progress) as advance:
        survey = aligned.survey(advance)
    _check(survey, foreign, placement, stored, allow_not_finite=allow_not_finite)
    spec = _spec(foreign, placement, aligned, survey, backbone)
    if placement.by_position and not by_position and not _holds(store, name, spec):
        raise InvalidInputError(
            f"{foreign.source} has no ids, and {out} exists; give ids (--ids), or say with "
            "--by-position that row i of the file is sample i of the store"
        )
    excluded = dict.fromkeys(placement.missing.tolist(), f"not in {foreign.source}")
    excluded |= dict.fromkeys(survey.not_finite.tolist(), f"NaN or Inf in {foreign.source}")
    filled = store or FeatureStore.create(
        out,
        placement.samples,
        source={"kind": "import", "files": foreign.source, "layout": foreign.layout},
    )
    computed = _write(filled, name, spec, aligned, excluded, progress)
    if computed:
        record(filled.folder, "import", feature=name, files=foreign.source, layout=foreign.layout)
    return Importation(
        store=filled,
        name=name,
        rows=len(aligned) - len(excluded),
        missing=len(placement.missing),
        not_finite=len(survey.not_finite),
        unmatched=placement.unmatched,
        duplicates=len(foreign) - len(kept),
        dtype=stored,
        created=store is None,
        computed=computed,
        notes=(*foreign.notes, *placement.notes, *_losses(survey, foreign, stored)),
    )


def _usual_dtype(foreign: ForeignFeatures) -> StoredDtype:
    return "float16" if foreign.values.precision in ("float16", "bfloat16") else "float32"


def _existing(location: str | Path) -> FeatureStore | None:
    try:
        return FeatureStore.open(location)
    except StoreNotFoundError:
        return None


def _check(
    survey: Survey,
    foreign: ForeignFeatures,
    placement: Placement,
    dtype: StoredDtype,
    *,
    allow_not_finite: bool,
) -> None:
    """Refuse values that cannot be stored."""
    ids = placement.samples.ids
    if len(survey.not_finite) and not allow_not_finite:
        raise InvalidInputError(
            f"{foreign.source}: {len(survey.not_finite)} of {len(foreign)} rows hold NaN or Inf, "
            f"{examples(ids[survey.not_finite].tolist())}; exclude them with --allow-not-finite"
        )
    if len(survey.overflowing):
        raise InvalidInputError(
            f"{foreign.source}: {len(survey.overflowing)} of {len(foreign)} rows have values that "
            f"{dtype} cannot hold, {examples(ids[survey.overflowing].tolist())}"
            + ("; store it with --dtype float32" if dtype == "float16" else "")
        )
    if len(survey.not_finite) + len(placement.missing) == len(ids):
        raise InvalidInputError(f"{foreign.source} has no row with values that can be stored")


def _spec(
    foreign: ForeignFeatures,
    placement: Placement,
    aligned: AlignedValues,
    survey: Survey,
    backbone: str,
) -> FeatureSpec:
    return FeatureSpec(
        backbone=BackboneSpec(
            source=f"import:{foreign.source}",
            architecture=backbone,
            weights=foreign.source,
            weights_digest=survey.digest,
            layer="imported",
            pooling="none",
            dim=aligned.dim,
        ),
        transform=None,
        dtype=aligned.stored,
        numerics=None,
        samples_digest=placement.samples.digest,
    )


def _holds(store: FeatureStore | None, name: str, spec: FeatureSpec) -> bool:
    """Whether this very feature is in the store, or was begun."""
    return (
        store is not None
        and name in store.features
        and store.feature(name).spec.digest == spec.digest
    )


def _write(
    store: FeatureStore,
    name: str,
    spec: FeatureSpec,
    aligned: AlignedValues,
    excluded: Mapping[int, str],
    progress: bool | None,
) -> bool:
    """Write the shards that are not there yet; whether there were any."""
    writer = store.writer(name, spec)
    if writer.sealed:
        return False
    pending = {shard: writer.layout.shard_range(shard) for shard in writer.pending()}
    total = sum(map(len, pending.values()))
    with progress_bar("import", total, unit="rows", shown=progress) as advance:
        for shard, rows in pending.items():
            block = aligned.block(rows.start, rows.stop)
            gone = {row: excluded[row] for row in rows if row in excluded}
            writer.put(shard, block, excluded=gone)
            advance(len(rows))
    writer.seal()
    return True


def _losses(survey: Survey, foreign: ForeignFeatures, dtype: StoredDtype) -> list[str]:
    if not survey.rounded:
        return []
    keeps = "; --dtype float32 keeps more" if dtype == "float16" else ""
    return [f"{foreign.values.precision} values were rounded to {dtype}{keeps}"]
