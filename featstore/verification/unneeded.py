"""Unneeded: files in a store's folder that are no part of the store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

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
        """Yield those of a store's files that it does not need; a scratch folder counts as one."""
        for place in dict.fromkeys(_scratch_folder(name) or name for name in files):
            if place not in self._known:
                yield from self._look(place)

    def _look(self, place: str) -> Iterator[Finding]:
        compact = self._advice.compact()
        if place.startswith(self._unknowable) and not place.endswith(PARTIAL):
            return
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
        else:
            problem, advice = "is no part of the store", ("remove what you did not put there",)
            yield Finding(place, problem, advice, severity="leftover")


def _scratch_folder(name: str) -> str | None:
    """Return the temporary folder that a file is in."""
    parts = name.split("/")
    for i, part in enumerate(parts[:-1]):
        if part.startswith(".") and part.endswith(PARTIAL):
            return "/".join(parts[: i + 1])
    return None
