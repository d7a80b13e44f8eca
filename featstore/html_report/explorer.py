"""Explorer: what the page needs to set any two runs of a board against each other, compactly."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from featstore.analysis.aligned_runs import AlignedRuns
from featstore.analysis.all_pairs import AllPairs
from featstore.html_report.board import Board
from featstore.weighted import class_average_precision

_DIGITS = 7
"""Decimals of shares and of p; more than a page shows."""


def explorer(board: Board) -> dict[str, Any]:
    """Return the classes and runs of a board as one document of JSON.

    Of single-label runs one bit for each test row says whether the run has it right: from these
    come the gains of all classes for any two runs, with McNemar's test.

    Parameters
    ----------
    board
        With two runs at least.

    Returns
    -------
    document
        ``metric``; ``classes``, names; ``n``, test rows (or positives) of each; ``runs``, each with
        label, value, low and high; ``pairs``, a row [a, b, difference, low, high, p, different] for
        each two, a and b being places in ``runs`` and the difference that of a over b; ``chosen``,
        the places to begin with, the baseline first; ``rule``, how pairs are told apart.
        Single-label: ``hits``, one text for each run, base64 of the bits (most significant first)
        of rows in the order of their classes.  Multi-label: ``precisions``, the average precision
        of each class for each run; null where it is undefined.
    """
    if board.pairs is None or board.reference is None:
        raise ValueError(f"{board.title} has one run; there is nothing to compare")
    labels = [entry.label for entry in board.entries]
    place = {label: i for i, label in enumerate(labels)}
    estimates = [entry.estimate(board.metric) for entry in board.entries]
    predictions = board.predictions
    truth = board.aligned.truth
    single = board.aligned.hits is not None
    n = np.bincount(truth, minlength=predictions.n_classes) if single else truth.sum(axis=0)
    return {
        "metric": board.metric,
        "classes": list(predictions.classes),
        "n": n.tolist(),
        "runs": [
            {"label": label, "value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}
            for label, (value, low, high) in zip(labels, estimates, strict=True)
        ],
        "pairs": [
            [place[a], place[b], *map(_rounded, numbers), different]
            for a, b, numbers, different in _pairs(board.pairs)
        ],
        "chosen": [place[board.reference.label], place[board.best.label]],
        "rule": board.pairs.rule,
        **(_hits(board.aligned) if single else _precisions(board.aligned)),
    }


def embedded(document: Any) -> Markup:
    r"""Write a document to stand in a ``<script type="application/json">``.

    Examples
    --------
    >>> print(embedded({"class": "</script>", "value": 0.5}))
    {"class":"\u003c/script>","value":0.5}
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Nothing in a string can end the element or begin a comment.
    return Markup(text.replace("<", "\\u003c"))


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), _DIGITS)


def _pairs(pairs: AllPairs) -> Iterator[tuple[str, str, list[float], bool]]:
    frame = pairs.pairs
    numbers = frame[["difference", "low", "high", "p_adjusted"]].to_numpy(float).tolist()
    yield from zip(frame["a"], frame["b"], numbers, frame["different"].tolist(), strict=True)


def _hits(aligned: AlignedRuns) -> dict[str, Any]:
    assert aligned.hits is not None
    rows = np.argsort(aligned.truth, kind="stable")
    return {"hits": [_text(np.packbits(right)) for right in aligned.hits[rows].T]}


def _text(data: NDArray[np.uint8]) -> str:
    return base64.b64encode(data.tobytes()).decode()


def _precisions(aligned: AlignedRuns) -> dict[str, Any]:
    once = np.ones((len(aligned), 1), np.float32)
    values = [class_average_precision(run)(once)[:, 0].tolist() for run in aligned.runs]
    return {"precisions": [[_rounded(value) for value in of_run] for of_run in values]}
