"""remove: features, subsets, runs and taxonomies by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.history import record
from featstore.store import FeatureStore
from featstore.suggest import did_you_mean

Kind = Literal["feature", "subset", "run", "taxonomy"]


@dataclass(frozen=True)
class Removed:
    """A feature, subset, run or taxonomy that was removed, or would be.

    Attributes
    ----------
    kind, name
        What it is.
    files, nbytes
        How many files it has, of how many bytes in all.
    """

    kind: Kind
    name: str
    files: int
    nbytes: int


def remove(
    store: FeatureStore,
    names: Sequence[str],
    *,
    kind: Kind | None = None,
    dry_run: bool = False,
) -> tuple[Removed, ...]:
    """Remove features, subsets, runs or taxonomies; nothing if one of the names is wrong.

    Each is gone at once for everybody who opens it from now on.  Who is writing it gets an error;
    who has it mapped, keeps it until the mapping ends.

    Parameters
    ----------
    store
        The store.
    names
        What to remove.
    kind
        What the names are; has to be given where one is the name of e.g. a feature and a run.
    dry_run
        Only say what would be removed.

    Raises
    ------
    FeatureNotFoundError
        If there is nothing of a name.
    InvalidInputError
        If a name is ambiguous.
    StorageError
        If the disk or the service refuses.
    """
    members: dict[Kind, list[str]] = {
        "run": store.runs,
        "feature": store.features,
        "subset": store.subsets,
        "taxonomy": store.taxonomies,
    }
    chosen = [_kind(store, name, kind, members) for name in dict.fromkeys(names)]
    delete = {
        "feature": store.delete_feature,
        "subset": store.delete_subset,
        "run": store.delete_run,
        "taxonomy": store.delete_taxonomy,
    }
    removed = []
    for what, name in zip(chosen, dict.fromkeys(names), strict=True):
        folder = "taxonomies" if what == "taxonomy" else f"{what}s"
        sizes = store.folder.child(f"{folder}/{name}").files().values()
        if not dry_run:
            delete[what](name)
        removed.append(Removed(what, name, len(sizes), sum(sizes)))
    if removed and not dry_run:
        record(store.folder, "rm", names=[f"{item.kind} {item.name}" for item in removed])
    return tuple(removed)


def _kind(
    store: FeatureStore, name: str, kind: Kind | None, members: dict[Kind, list[str]]
) -> Kind:
    found = [what for what, known in members.items() if name in known and kind in (None, what)]
    if not found:
        known = [
            member for what, names in members.items() for member in names if kind in (None, what)
        ]
        raise FeatureNotFoundError(
            f"{store.location} has no {kind or 'run, feature, subset or taxonomy'} {name!r}. "
            f"{did_you_mean(name, known)}"
        )
    if len(found) > 1:
        raise InvalidInputError(
            f"{name!r} is the name of a {' and a '.join(found)}; say which, e.g. --{found[0]}"
        )
    return found[0]
