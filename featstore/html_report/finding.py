"""Findings: what a board's numbers say, in sentences that claim no more than they do."""

from __future__ import annotations

import math

from markupsafe import Markup

from featstore.html_report.board import Board, Change, Entry
from featstore.metric_names import metric_name
from featstore.numerals import p_value, percent, plural, points, points_span, span

ALPHA = 0.05
"""Level below which a test counts, next to the interval."""


def findings(board: Board) -> list[Markup]:
    """Say which run is best, and whether that can be told from the next.

    Parameters
    ----------
    board
        At least one run.

    Returns
    -------
    sentences
        Two or three, safe to put into a page.
    """
    sentences = [_highest(board)]
    if board.reference is None:
        sentences.append(Markup("There is no other run on these rows to compare it with."))
    else:
        sentences.append(_gap(board.best, board.reference))
        third = _third(board)
        if third is not None:
            sentences.append(third)
    return sentences


def _highest(board: Board) -> Markup:
    best = board.best
    value, low, high = best.estimate(board.metric)
    excelled = any(entry.run.metric(board.metric) > value for entry in board.entries)
    sentence = Markup("<strong>{}</strong> scores highest{}: {} ({}) {} on {} of {}").format(
        best.label,
        " of the runs that chose nothing on the test rows" if excelled else "",
        percent(value),
        _whole(span(low, high)),
        metric_name(board.metric),
        plural(best.run.config.n_test, "test image"),
        plural(board.predictions.n_classes, "class"),
    )
    return sentence + _warned(best) + "."


def _gap(best: Entry, reference: Entry) -> Markup:
    single = best.fused and not reference.fused
    rank = "best single-feature run" if single else "runner-up"
    one, other = reference.run.config, best.run.config
    alike = one.preset == other.preset and set(one.features) <= set(other.features)
    comparison = _comparison(reference)
    sentence = Markup("{} {} points ({}) over the {}, <strong>{}</strong>").format(
        "Fusing gains" if single and alike else "That is",
        points(comparison.difference),
        _whole(points_span(comparison.low, comparison.high)),
        rank,
        reference.label,
    )
    return sentence + _warned(reference) + _verdict(comparison)


def _third(board: Board) -> Markup | None:
    """Of the runner-up ahead of a fused run's reference, or of fusion where it does not win."""
    reference = board.reference
    others = [entry for entry in board.ranked if entry.to_best and entry is not reference]
    if reference is None or not others:
        return None
    if board.best.fused:
        ahead = others[0].run.metric(board.metric) >= reference.run.metric(board.metric)
        following, noun = (others[0] if ahead else None), "The next run"
    else:
        fused = [] if reference.fused else [entry for entry in others if entry.fused]
        following, noun = next(iter(fused), None), "The best fused run"
    if following is None:
        return None
    comparison = _comparison(following)
    sentence = Markup("{}, <strong>{}</strong>, is {} points behind ({})").format(
        noun,
        following.label,
        points(comparison.difference).lstrip("+"),
        _whole(points_span(comparison.low, comparison.high).replace("+", "")),
    )
    return sentence + _warned(following) + _verdict(comparison)


def _comparison(entry: Entry) -> Change:
    if entry.to_best is None:
        raise ValueError(f"{entry.label} is the best run and has no comparison to itself")
    return entry.to_best


def _warned(entry: Entry) -> Markup:
    if not entry.warnings:
        return Markup()
    return Markup(" <em>({})</em>").format(", ".join(entry.warnings))


def _whole(interval: str) -> Markup:
    """Keep an interval on one line."""
    return Markup('<span class="keep">{}</span>').format(interval)


def _verdict(comparison: Change) -> str:
    if comparison.difference == comparison.low == comparison.high == 0:
        return ": on these rows the two are equal."
    if math.isnan(comparison.low) or math.isnan(comparison.high):
        return ": without an interval, nothing can be said of the difference."
    if comparison.low <= 0 <= comparison.high:
        return ", an interval that includes zero: the two are not distinguishable on these rows."
    if comparison.p >= ALPHA:
        p = p_value(comparison.p)
        return f", an interval that excludes zero, but McNemar's test doubts it (p = {p})."
    return ", an interval that excludes zero."
