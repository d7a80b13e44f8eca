"""Unneeded: files in a store's folder that are no part of the store."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from featstore.commits import COMMITS
from featstore.durable import PARTIAL
from featstore.folder import Folder
from featstore.history import HISTORY
from featstore.leftovers import remove_dead
from featstore.quarantine import QUARANTINE
from featstore.sums import SUMS
from featstore.verification.advice import Advice
from featstore.verification.finding import Finding
from featstore.verification.listed import ListedFolder

_SHARD = re.compile(r"features/[^/]+/c/\d+/0")


class Unneeded:
    """Finds the files that nothing refers to.

    Parameters
    ----------
    store
        The store's folder.
    listed
        Its folders with checksums.
    needed
        Names of the files that each feature consists of, by the feature's name; None for a
        feature whose metadata are damaged, so that nobody can know.
    advice
        What to do about them.
    """

    def __init__(
        self,
        store: Folder,
        *,
        listed: Iterable[ListedFolder],
        needed: Mapping[str, set[str] | None],
        advice: Advice,
    ) -> None:
        self._store = store
        self._advice = advice
        self._known = {HISTORY, SUMS, "zarr.json"}
        unknowable = []
        for folder in listed:
            prefix = f"{folder.place}/" if folder.place else ""
            self._known |= {f"{prefix}{name}" for name in (SUMS, *(folder.digests or ()))}
            if folder.digests is None:
                unknowable.append(prefix or "samples/")
                kinds = ("features", "subsets", "runs", "taxonomies")
                self._known |= {f"{kind}/zarr.json" for kind in kinds}
        for feature, names in needed.items():
            if names is None:
                unknowable.append(f"features/{feature}/")
            else:
                self._known |= {f"features/{feature}/{name}" for name in names}
        self._unknowable = tuple(unknowable)

    def findings(self, files: Iterable[str]) -> Iterator[Finding]:
        """Yield those of a store's files that it does not need.

        A scratch folder counts as one, and so does a folder of which nothing is needed.
        """
        known = {str(parent) for name in self._known for parent in PurePosixPath(name).parents}
        strays: dict[str, list[str]] = {}
        for place in dict.fromkeys(_scratch_folder(name) or name for name in files):
            if place in self._known:
                continue
            if self._is_stray(place):
                strays.setdefault(_outermost(place, known), []).append(place)
            else:
                yield from self._look(place)
        advice = ("remove what you did not put there",)
        for folder, places in strays.items():
            place, problem = places[0], "is no part of the store"
            if len(places) > 1:
                place, problem = folder, f"{problem}, with {len(places)} files"
            yield Finding(place, problem, advice, severity="leftover")

    def _is_stray(self, place: str) -> bool:
        """Whether a file is nothing that featstore writes."""
        ours = place.endswith(PARTIAL) or _SHARD.fullmatch(place)
        below = any(f"/{folder}/" in place for folder in (COMMITS, QUARANTINE))
        return not (ours or below or place.startswith(self._unknowable))

    def _look(self, place: str) -> Iterator[Finding]:
        """Look at what was left over; nothing where nobody can know."""
        if place.startswith(self._unknowable) and not place.endswith(PARTIAL):
            return
        compact = self._advice.compact()
        if place.endswith(PARTIAL) or f"/{COMMITS}/" in place:
            if self._store.local is None:
                problem = "is left over, unless something is being written to the store now"
                yield Finding(place, problem, compact, severity="leftover")
            elif remove_dead(self._store.local / place, dry_run=True):
                problem = "is left over by a process that was killed"
                yield Finding(place, problem, compact, severity="leftover")
        elif f"/{QUARANTINE}/" in place:
            yield Finding(place, "was set aside by a repair", compact, severity="leftover")
        elif _SHARD.fullmatch(place):
            yield Finding(place, "is no shard of the feature", compact, severity="leftover")


def _outermost(name: str, known: Collection[str]) -> str:
    """Return the outermost folder of a file that is not a known one; the file itself if all are."""
    parents = [str(parent) for parent in PurePosixPath(name).parents]
    return next((parent for parent in reversed(parents) if parent not in known), name)


def _scratch_folder(name: str) -> str | None:
    """Return the temporary folder that a file is in."""
    parts = name.split("/")
    for i, part in enumerate(parts[:-1]):
        if part.startswith(".") and part.endswith(PARTIAL):
            return "/".join(parts[: i + 1])
    return None
