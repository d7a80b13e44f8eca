"""Features: everything in a feature's folder, sealed or growing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from featstore.commits import COMMITS, MANIFEST, Commit, CommitLog, content_digest, marker_name
from featstore.feature import REQUEST
from featstore.folder import Folder
from featstore.samples import Samples
from featstore.shards import shard_name
from featstore.verification.advice import Advice
from featstore.verification.check import Check, Crew
from featstore.verification.finding import UNREADABLE, Finding, is_damage, unreadable
from featstore.verification.metadata import METADATA, DamageError, Metadata
from featstore.verification.removed import was_removed
from featstore.verification.shards import shard_damage

#: Looks at a feature that others change meanwhile.
_LOOKS = 3


class FeatureExamination:
    """Looks for damage in one feature.

    Parameters
    ----------
    store
        The store's folder.
    name
        The feature's name.
    samples
        The store's rows; None where they are damaged.
    advice
        What to do about damage to this store.

    Attributes
    ----------
    needed
        Once it was looked at, names of the files it consists of; None if nobody can know.
    """

    def __init__(self, store: Folder, name: str, samples: Samples | None, advice: Advice) -> None:
        self.name = name
        self.folder = store.child(f"features/{name}")
        self._samples = samples
        self._advice = advice
        self.needed: set[str] | None = None

    def findings(self, crew: Crew) -> list[Finding]:
        """Return everything that is wrong."""
        for look in range(_LOOKS):
            before = self._state()
            found = list(self._look(crew))
            # What was sealed, repaired or removed meanwhile looks damaged from halfway.
            if not found or look == _LOOKS - 1 or self._state() == before:
                break
        if found and was_removed(self.folder):
            self.needed = None
            return []
        return found

    def _state(self) -> bytes | None:
        try:
            return self.folder.read(METADATA)
        except OSError:
            return None

    def _look(self, crew: Crew) -> Iterator[Finding]:
        yield from self._request_findings()
        n_samples = None if self._samples is None else len(self._samples)
        self.needed = None
        try:
            metadata = Metadata.read(self.folder, n_samples)
            digest = metadata.spec.samples_digest
            if self._samples is not None and digest != self._samples.digest:
                yield self._finding(None, "was computed for other samples than the store's")
            self._need(METADATA, MANIFEST, REQUEST)
            self._need(*map(shard_name, range(metadata.layout.n_shards)))
            if metadata.sealed:
                sealed = [(commit, None) for commit in metadata.commits(self.folder)]
                yield from crew.run(self._shard_checks(metadata, sealed))
            elif n_samples is not None:
                yield from self._growing(metadata, crew)
            else:
                self.needed = None
        except DamageError as error:
            advice = self._advice.allow() if error.refused else error.advice
            yield self._finding(error.place, error.problem, advice=advice)

    def _growing(self, metadata: Metadata, crew: Crew) -> Iterator[Finding]:
        """Look at the shards of a feature that is not sealed; that they are few is no damage."""
        try:
            markers = CommitLog(self.folder, metadata.spec.digest).markers()
        except OSError as error:
            yield self._refused(COMMITS, error)
            return
        commits: list[tuple[Commit, str | None]] = []
        for marker, (commit, staged) in markers.items():
            problem = "is damaged, or of another spec"
            self._need(marker, *filter(None, [staged]))
            if commit is not None:
                problem = metadata.misfit(commit) or ""
                if marker != marker_name(commit.shard):
                    problem = f"is the marker of shard {commit.shard}"
                if not problem:
                    commits.append((commit, staged))
                    continue
            yield self._finding(marker, problem, repairable=True)
        yield from crew.run(self._shard_checks(metadata, commits))

    def _shard_checks(
        self, metadata: Metadata, commits: Iterable[tuple[Commit, str | None]]
    ) -> Iterator[Check[Finding]]:
        for commit, staged in commits:

            def check(
                advance: Callable[[int], None],
                commit: Commit = commit,
                staged: str | None = staged,
            ) -> Finding | None:
                place = shard_name(commit.shard)
                try:
                    problem = shard_damage(
                        self.folder, metadata.layout, commit, staged=staged, advance=advance
                    )
                except OSError as error:
                    if not is_damage(error):
                        return self._refused(place, error)
                    problem = unreadable(error)
                if problem is None:
                    return None
                return self._finding(place, problem, shard=commit.shard, repairable=True)

            yield check

    def _request_findings(self) -> Iterator[Finding]:
        try:
            fields = json.loads(self.folder.read(REQUEST))
            digest = fields.pop("digest", None)
            if digest != content_digest(fields):
                yield self._finding(
                    REQUEST, "was edited: it has another digest than it says", repairable=True
                )
        except FileNotFoundError:
            return
        except OSError as error:
            yield self._refused(REQUEST, error)
        except UNREADABLE:
            yield self._finding(REQUEST, "is not what featstore writes", repairable=True)

    def _need(self, *names: str) -> None:
        self.needed = (self.needed or set()) | set(names)

    def _finding(
        self,
        place: str | None,
        problem: str,
        *,
        advice: tuple[str, ...] | None = None,
        shard: int | None = None,
        repairable: bool = False,
    ) -> Finding:
        usual = self._advice.repair if repairable else self._advice.remake
        return Finding(
            place=f"features/{self.name}" + (f"/{place}" if place else ""),
            problem=problem,
            advice=advice or usual(self.name),
            feature=self.name,
            shard=shard,
            repairable=repairable,
        )

    def _refused(self, place: str, error: OSError) -> Finding:
        return Finding(
            place=f"features/{self.name}/{place}",
            problem=unreadable(error),
            advice=self._advice.allow(),
            feature=self.name,
        )
