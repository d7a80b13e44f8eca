"""Board: the runs of one target on the same test rows, ranked and compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from featstore.analysis.aligned_runs import AlignedRuns, align
from featstore.analysis.all_pairs import AllPairs, all_pairs
from featstore.html_report.label import labels
from featstore.numerals import plural
from featstore.predictions import Predictions
from featstore.run import ProbeRun


class Estimate(NamedTuple):
    """A value and its interval."""

    value: float
    low: float
    high: float


class Change(NamedTuple):
    """What changes from one run to another: difference, paired interval, p.

    `p` is of McNemar's exact test; NaN for multi-label runs.
    """

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class Entry:
    """A run on a board.

    Attributes
    ----------
    run, label
        The run, and its short name on this board.
    warnings
        What a reader must know before believing its number.
    letters
        Runs that share one cannot be told apart, see `AllPairs`; empty for a single run.
    to_best
        What changes when the best run replaces this one; None for the best itself.
    """

    run: ProbeRun
    label: str
    warnings: tuple[str, ...]
    letters: str
    to_best: Change | None

    def estimate(self, metric: str) -> Estimate:
        """Return a metric of the run with its interval."""
        metrics = self.run.metrics
        row = metrics.loc[metrics["metric"] == metric, ["value", "low", "high"]]
        return Estimate(*row.to_numpy(float)[0].tolist())

    @property
    def fused(self) -> bool:
        """Whether it is probed on several features side by side."""
        return len(self.run.config.features) > 1

    @property
    def selected_on_test(self) -> bool:
        """Whether the reported rows chose its hyper-parameter."""
        return self.run.config.selected_on_test

    @property
    def drawn_label(self) -> str:
        """The label with its warnings, for figures."""
        return "\n".join([self.label, *(f"({warning})" for warning in self.warnings)])


@dataclass(frozen=True, eq=False)
class Board:
    """The runs of one target on the same test rows.

    Attributes
    ----------
    target
        The label column.
    metric
        What ranks them: ``"top1"``, or ``"mAP"`` for a multi-label target.
    entries
        Highest value first.
    best
        The highest of those whose test rows chose nothing; of all, where none is such.
    reference
        What the best is held against: for a fused run the best run on one feature, else the
        next best; None where there is only one run.
    aligned
        All runs on rows in the same order, in the order of the entries, by their labels.
    pairs
        Every run against every other, by their labels; None where there is only one run.
    n_others
        Boards of the same target with other test rows.
    """

    target: str
    metric: str
    entries: tuple[Entry, ...]
    best: Entry
    reference: Entry | None
    aligned: AlignedRuns
    pairs: AllPairs | None
    n_others: int

    @property
    def predictions(self) -> Predictions:
        """Of the best run; rows, truth and classes are the same for all."""
        return self.best.run.predictions

    @property
    def title(self) -> str:
        """Target, and test rows where it has several boards."""
        if not self.n_others:
            return self.target
        split = self.best.run.config.tested_on
        return f"{self.target} · {split} ({plural(len(self.predictions), 'row')})"

    @property
    def ranked(self) -> list[Entry]:
        """All runs but those that chose on the test rows, unless there are no others."""
        return _honest(self.entries)


def boards(
    runs: Sequence[ProbeRun],
    *,
    targets: Sequence[str],
    digests: Mapping[str, str],
    n_boot: int = 1000,
) -> list[Board]:
    """Group runs by target and test rows, and rank each group.

    Parameters
    ----------
    runs
        Of one store.
    targets
        Order of the targets.
    digests
        Feature -> digest of its spec as it is stored now.
    n_boot
        Resamples of the paired bootstrap.
    """
    groups: dict[tuple[str, str], list[ProbeRun]] = defaultdict(list)
    for run in runs:
        groups[run.config.target, run.predictions.rows_digest].append(run)
    order = {name: i for i, name in enumerate(targets)}
    ranked = sorted(
        groups.values(),
        key=lambda group: (
            order.get(group[0].config.target, len(order)),
            -len(group),
            -group[0].config.n_test,
            group[0].config.test_split,
        ),
    )
    n_boards = [group[0].config.target for group in ranked]
    return [
        _board(
            group,
            warnings=[_warnings(run, digests) for run in group],
            n_others=n_boards.count(group[0].config.target) - 1,
            n_boot=n_boot,
        )
        for group in ranked
    ]


def _board(
    group: Sequence[ProbeRun],
    *,
    warnings: Sequence[tuple[str, ...]],
    n_others: int,
    n_boot: int,
) -> Board:
    metric = "mAP" if group[0].predictions.multilabel else "top1"
    entries = [
        Entry(run, label, notes, "", None)
        for run, label, notes in zip(group, labels(group), warnings, strict=True)
    ]
    entries.sort(key=lambda entry: (-_value(entry, metric), entry.selected_on_test, entry.label))
    best, pairs = _honest(entries)[0], None
    aligned = align({entry.label: entry.run.predictions for entry in entries})
    if len(entries) > 1:
        pairs = all_pairs(aligned, n_boot=n_boot)
        entries = _compared(entries, best, pairs)
        best = next(entry for entry in entries if entry.to_best is None)
    rivals = _honest(_rivals(entries, best))
    single = [entry for entry in rivals if not entry.fused]
    reference = next(iter(single if best.fused and single else rivals), None)
    target = best.run.config.target
    return Board(target, metric, tuple(entries), best, reference, aligned, pairs, n_others)


def _rivals(entries: Sequence[Entry], best: Entry) -> list[Entry]:
    """All but the best; where there are others, without probes reported on other images."""
    others = [entry for entry in entries if entry is not best]
    return [entry for entry in others if not entry.run.config.test_features] or others


def _compared(entries: Sequence[Entry], best: Entry, pairs: AllPairs) -> list[Entry]:
    """Add to each entry its letters, and what changes when the best replaces it."""
    letters = dict(zip(pairs.runs["run"], pairs.runs["group"], strict=True))
    return [
        replace(
            entry,
            letters=letters[entry.label],
            to_best=None if entry is best else change(pairs, entry.label, best.label),
        )
        for entry in entries
    ]


def change(pairs: AllPairs, before: str, after: str) -> Change:
    """Say what changes when the run `after` replaces the run `before`."""
    frame = pairs.pairs
    names = {before, after}
    row = frame[frame["a"].isin(names) & frame["b"].isin(names)].iloc[0]
    difference, low, high, p = row[["difference", "low", "high", "p"]].to_numpy(float).tolist()
    p = p if pairs.metric == "top1" else np.nan
    if row["a"] == after:
        return Change(difference, low, high, p)
    return Change(-difference, -high, -low, p)


def _honest(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if not entry.selected_on_test] or list(entries)


def _value(entry: Entry, metric: str) -> float:
    value = entry.run.metric(metric)
    return -np.inf if np.isnan(value) else value


def _warnings(run: ProbeRun, digests: Mapping[str, str]) -> tuple[str, ...]:
    config, found = run.config, []
    if config.selected_on_test:
        found.append("selected on test")
    if config.shared_groups:
        found.append(f"{config.shared_groups} groups in training and test")
    if run.certificate.get("converged") is False:
        found.append("not converged")
    stored = [digests.get(name) for name in config.features]
    if None in stored:
        found.append("feature no longer stored")
    elif tuple(stored) != config.spec_digests:
        found.append("feature has changed since")
    return tuple(found)
