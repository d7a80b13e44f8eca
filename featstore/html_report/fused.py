"""Fused: what pairs of features gain over their better member."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import pandas as pd

from featstore.fusion_table import FusionTable, verdict
from featstore.html_report.board import Board, Entry, change
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.numbers import hundredths
from featstore.numerals import plural, points, points_span

_CONTROLS = {"projection": "the best beside its random projection", "pca": "PCA of the pair"}
_LEVEL = 0.95
#: What runs of one protocol on other features may differ in.
_OF_THE_FEATURES = ("features", "spec_digests", "dims", "n_train")


def fused(board: Board, key: str) -> Exhibit | None:
    """Make the table of those pairs of which the board has both members.

    Parameters
    ----------
    board
        Its runs are compared already.
    key
        The exhibit's anchor.

    Returns
    -------
    exhibit
        None where no pair has runs of both members by the same protocol.
    """
    rows = [row for row in (_row(board, entry) for entry in board.ranked) if row is not None]
    if not rows:
        return None
    metric: Literal["top1", "mAP"] = "mAP" if board.metric == "mAP" else "top1"
    table = FusionTable(metric, pd.DataFrame(rows), pd.DataFrame(), 0.0, _LEVEL)
    return fusion_exhibit(key, table.pairs, table.controls, rule=table.rule)


def fusion_exhibit(key: str, pairs: pd.DataFrame, controls: pd.DataFrame, *, rule: str) -> Exhibit:
    """Show a table of pairs.

    Parameters
    ----------
    key
        The exhibit's anchor.
    pairs, controls, rule
        As in `featstore.fusion_table.FusionTable`.  A column protocol tells pairs of several
        protocols apart.
    """
    pairs = pairs.sort_values("gain", ascending=False, kind="stable")
    shown = pd.DataFrame(
        {
            "pair": pairs["a"] + " + " + pairs["b"],
            **({"probe": pairs["protocol"]} if _several(pairs) else {}),
            "dim": pairs["dim"].astype(int),
            "first %": pairs["score_a"].map(hundredths),
            "second %": pairs["score_b"].map(hundredths),
            "pair %": pairs["score"].map(hundredths),
            "gain over the better, points": _bounded(pairs, "gain", "low", "high"),
            "verdict": pairs["verdict"],
        }
    )
    sheets = [sheet("Pairs of features", shown, text=["pair", "probe", "verdict"])]
    if len(controls):
        of_controls = pd.DataFrame(
            {
                "pair": controls["a"] + " + " + controls["b"],
                "control": controls["control"].map(_CONTROLS),
                "dim": controls["dim"].astype(int),
                "control %": controls["score"].map(hundredths),
                "pair over control, points": _bounded(controls, "over", "over_low", "over_high"),
            }
        )
        sheets.append(sheet("Controls of equal size", of_controls, text=["pair", "control"]))
    return Exhibit(
        key=key,
        heading="Fusion",
        sentences=[_sentence(pairs)],
        sheets=sheets,
        note=f"Paired bootstrap intervals over the test rows. {rule[0].upper()}{rule[1:]}.",
    )


def _sentence(pairs: pd.DataFrame) -> str:
    best, n = pairs.iloc[0], len(pairs)
    apart = int((pairs["verdict"] == "complementary").sum())
    return (
        f"{apart} of {plural(n, 'pair')} {'is' if apart == 1 else 'are'} complementary. The "
        f"largest gain is that of {best['a']} + {best['b']}: {points(best['gain'])} points "
        f"({points_span(best['low'], best['high'])}) over {best['best']} alone."
    )


def _several(pairs: pd.DataFrame) -> bool:
    return "protocol" in pairs and pairs["protocol"].nunique() > 1


def _row(board: Board, entry: Entry) -> dict[str, object] | None:
    config = entry.run.config
    if len(config.features) != 2 or config.test_features or board.pairs is None:
        return None
    members = [_member(board.entries, entry, name) for name in config.features]
    if None in members:
        return None
    a, b = (member for member in members if member is not None)
    scores = [one.run.metric(board.metric) for one in (a, b, entry)]
    best = a if scores[0] >= scores[1] else b
    gain = change(board.pairs, best.label, entry.label)
    return {
        "a": config.features[0],
        "b": config.features[1],
        "protocol": entry.label.removeprefix(f"{' + '.join(config.features)} · "),
        "dim": config.dim,
        "score_a": scores[0],
        "score_b": scores[1],
        "score": scores[2],
        "best": best.run.config.features[0],
        "gain": gain.difference,
        "low": gain.low,
        "high": gain.high,
        "verdict": verdict(gain.low, gain.high),
    }


def _member(entries: Sequence[Entry], of: Entry, feature: str) -> Entry | None:
    """Return the run on one feature of a pair that differs from the pair's in features alone."""
    wanted = _protocol(of)
    alike = [
        entry
        for entry in entries
        if entry.run.config.features == (feature,) and _protocol(entry) == wanted
    ]
    return next(iter(alike), None)


def _protocol(entry: Entry) -> dict[str, object]:
    config = entry.run.config
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    # Each run has chosen a value of its own, unless it was fixed.
    free = {*_OF_THE_FEATURES, *(() if config.selected_on == "fixed" else ("value",))}
    return {name: value for name, value in fields.items() if name not in free}


def _bounded(frame: pd.DataFrame, name: str, low: str, high: str) -> list[str]:
    columns = (frame[column] for column in (name, low, high))
    return [
        f"{points(value)} ({points_span(least, most)})"
        for value, least, most in zip(*columns, strict=True)
    ]
