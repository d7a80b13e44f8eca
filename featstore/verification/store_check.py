"""The check of a whole store: bytes first, then what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from featstore.samples import Samples
from featstore.store import FeatureStore
from featstore.verification.advice import Advice
from featstore.verification.check import Crew, crew
from featstore.verification.features import FeatureExamination
from featstore.verification.finding import Finding, unreadable, unreadable_place
from featstore.verification.listed import ListedFolder
from featstore.verification.members import run_problem, subset_problem, taxonomy_problem
from featstore.verification.opening import open_damaged
from featstore.verification.removed import was_removed
from featstore.verification.table import read_samples
from featstore.verification.unneeded import Unneeded

#: Folders whose members were each written as a whole.
_LISTED_KINDS = ("runs", "taxonomies", "subsets")


def verify(store: FeatureStore | str | Path, *, progress: bool | None = None) -> list[Finding]:
    """Check every byte of a store but its history, and what the bytes mean.

    The store is only read.  That a feature is not finished is no finding; the shards that it has
    are checked.

    Parameters
    ----------
    store
        A store, or its location: that may be of one too damaged to be opened.
    progress
        Show a progress bar; None shows it on a terminal.

    Returns
    -------
    findings
        Empty if all is well.  Those of severity ``"leftover"`` are no damage.

    Raises
    ------
    StoreNotFoundError, NotAStoreError
        If there is no store, or one of a newer format.
    """
    opened, problem = open_damaged(store)
    return list(_StoreCheck(opened, problem).findings(progress=progress))


class _StoreCheck:
    """One pass over a store.

    Parameters
    ----------
    store
        The store.
    problem
        Why its ``zarr.json`` cannot be read; None if it can.
    """

    def __init__(self, store: FeatureStore, problem: str | None) -> None:
        self._folder = store.folder
        self._problem = problem
        self._store = store
        self._advice = Advice(self._store)
        # Stores of the first featstores have no checksums; where nobody can know, they should.
        self._has_sums = problem is not None or "checksums" in store.attributes

    def findings(self, *, progress: bool | None) -> Iterator[Finding]:
        """Yield everything that is wrong."""
        try:
            files = self._folder.files()
        except OSError as error:
            if self._folder.local is None:
                raise
            place = unreadable_place(error, self._folder.local)
            yield Finding(place, unreadable(error), self._advice.allow())
            files = {}
        places = [
            "",
            *(f"{kind}/{n}" for kind in _LISTED_KINDS for n in self._members(kind, files)),
        ]
        listed = [
            ListedFolder.read(self._folder, place, expected=self._has_sums) for place in places
        ]
        is_remote = self._folder.local is None
        with crew(sum(files.values()), is_remote=is_remote, shown=progress) as threads:
            damaged = set()
            for unit in listed:
                found = list(self._bytes(unit, threads))
                if found and unit.place and was_removed(unit.folder):
                    continue
                damaged |= {finding.place for finding in found}
                yield from found
            samples = None
            if not any(place.startswith("samples/") for place in damaged):
                samples, problems = read_samples(self._folder)
                for place, problem in problems:
                    yield Finding(place, problem, self._advice.restore(place))
            needed = {}
            for name in self._members("features", files):
                feature = FeatureExamination(self._folder, name, samples, self._advice)
                yield from feature.findings(threads)
                needed[name] = feature.needed
            for unit in listed:
                if not any(place.startswith(f"{unit.place}/") for place in damaged):
                    found = list(self._meaning(unit.place, samples))
                    yield from [] if found and was_removed(unit.folder) else found
        unneeded = Unneeded(self._folder, listed=listed, needed=needed, advice=self._advice)
        yield from unneeded.findings(files)

    def _members(self, kind: str, files: Mapping[str, int]) -> list[str]:
        """Names of the members of a kind, also of those that have lost files."""
        names = dict.fromkeys(
            name.split("/")[1]
            for name in files
            if name.startswith(f"{kind}/") and name.count("/") > 1
        )
        return [
            name
            for name in names
            # What begins with a dot is a writer's scratch folder.  In a bucket a removal that was
            # cut short has taken the zarr.json and left the rest.
            if not name.startswith(".")
            and (self._folder.local is not None or f"{kind}/{name}/zarr.json" in files)
        ]

    def _bytes(self, unit: ListedFolder, threads: Crew) -> Iterator[Finding]:
        """Compare the files of a folder with its checksums."""
        kind, _, name = unit.place.partition("/")
        problems = threads.run(unit.checks())
        names = {problem.name for problem in problems}
        if not kind and self._problem and "zarr.json" not in names:
            yield Finding("zarr.json", self._problem, self._advice.restore("zarr.json"))
        for problem in problems:
            if problem.refused:
                advice = self._advice.allow()
            elif kind == "runs":
                advice = self._advice.probe_again(name, known="zarr.json" not in names)
            elif kind == "subsets":
                advice = self._advice.draw_again(name)
            elif kind == "taxonomies":
                advice = self._advice.save_again(name)
            else:
                advice = self._advice.restore(problem.name)
            place = f"{unit.place}/{problem.name}" if kind else problem.name
            yield Finding(place, problem.problem, advice)

    def _meaning(self, place: str, samples: Samples | None) -> Iterator[Finding]:
        kind, _, name = place.partition("/")
        if kind == "runs" and (problem := run_problem(self._store, name, samples)):
            yield Finding(place, problem, self._advice.probe_again(name, known=True))
        if kind == "subsets" and (problem := subset_problem(self._store, name, samples)):
            yield Finding(place, problem, self._advice.draw_again(name))
        if kind == "taxonomies" and (problem := taxonomy_problem(self._store, name)):
            yield Finding(place, problem, self._advice.save_again(name))
