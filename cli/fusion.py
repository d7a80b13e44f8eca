"""`featstore fusion`: which pairs of features are complementary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import click
import pandas as pd

from featstore.cli.arguments import store_argument
from featstore.cli.curves import interval_texts
from featstore.cli.output import echo_json, echo_table, json_option, points, records
from featstore.cli.probe_options import (
    device_option,
    probe_options,
    scaling_option,
    seed_option,
    test_option,
    val_option,
)
from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

if TYPE_CHECKING:
    from featstore.fusion_table import FusionTable

_SCORES = {"top1": "accuracy", "mAP": "mAP"}
_CONTROLS = {"projection": "best + its random projection", "pca": "PCA of the pair"}


@click.command()
@store_argument
@click.option("--pairs", help="a+b[,a+c…] [default: all pairs of complete features].")
@probe_options
@scaling_option("Of each block, learned on training rows only.")
@click.option("--train", default="train", show_default=True, help="Split to train on.")
@val_option
@test_option
@click.option(
    "--controls/--no-controls",
    default=True,
    show_default=True,
    help="Fit the best member with a projection of itself, and PCA of the pair, as well.",
)
@click.option(
    "--margin",
    type=float,
    default=0.0,
    show_default=True,
    help="Gain that counts as none: 0.01 is one point.",
)
@seed_option
@device_option
@json_option
def command(store: str, pairs: str | None, controls: bool, as_json: bool, **options: Any) -> None:
    """Compare pairs of features to their better member.

    Runs that the store has already are used again; those of members and pairs are stored, those of
    the controls are not. Intervals are paired bootstraps over the test rows.

    \b
    featstore fusion birds.zarr --pairs resnet50+dinov2,resnet50+swav --scaling l2
    """
    from featstore.fusion_evaluation import fusion
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    chosen: Literal["all"] | list[tuple[str, str]] = "all"
    if pairs is not None:
        chosen = [_pair(text, opened.features) for text in _listed(pairs)]
    table = fusion(opened, chosen, controls=controls, **options)
    if as_json:
        echo_json(
            {
                "metric": table.metric,
                "margin": table.margin,
                "level": table.level,
                "rule": table.rule,
                "protocol": table.protocol,
                "parameter": table.parameter,
                "scaling": table.scaling,
                "pairs": records(table.pairs),
                "controls": records(table.controls),
            }
        )
        return
    score = _SCORES[table.metric]
    members = pd.concat(
        [
            pd.DataFrame(
                {
                    "features": table.pairs[side],
                    "dim": table.pairs[f"dim_{side}"],
                    **_scored(table, score, f"_{side}"),
                }
            )
            for side in ("a", "b")
        ]
    ).drop_duplicates("features")
    fused = pd.DataFrame(
        {
            "features": table.pairs["a"] + " + " + table.pairs["b"],
            "dim": table.pairs["dim"],
            **_scored(table, score),
            "best": table.pairs["best"],
            "gain, points": points(table.pairs, "gain", "low", "high"),
            "verdict": table.pairs["verdict"],
        }
    )
    echo_table(members, title="members", percent=[score])
    echo_table(fused, title="pairs; gain over the best member", percent=[score])
    if len(table.controls):
        found = table.controls
        shown = pd.DataFrame(
            {
                "features": found["a"] + " + " + found["b"],
                "control": found["control"].map(_CONTROLS),
                "dim": found["dim"],
                score: found["score"],
                "gain, points": points(found, "gain", "low", "high"),
                "pair over control": points(found, "over", "over_low", "over_high"),
            }
        )
        echo_table(shown, title="controls; gain over the best member", percent=[score])
    click.echo(f"{table.protocol}; scaling of each feature: {table.scaling}")
    click.echo(table.rule)


def _scored(table: FusionTable, score: str, side: str = "") -> dict[str, object]:
    """Columns of a member, or of the pair: its score, the interval, and the value chosen."""
    pairs = table.pairs
    return {
        score: pairs[f"score{side}"],
        f"{100 * table.level:g} % interval": interval_texts(
            pairs[f"score{side}_low"], pairs[f"score{side}_high"]
        ),
        table.parameter: [f"{value:g}" for value in pairs[f"value{side}"]],
    }


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pair(text: str, known: Sequence[str]) -> tuple[str, str]:
    """Read a+b; names of features may hold a plus sign themselves."""
    cuts = [place for place, letter in enumerate(text) if letter == "+"]
    if not cuts:
        raise InvalidInputError(f"a pair is written a+b, got {text!r}")
    readings = [(text[:cut].strip(), text[cut + 1 :].strip()) for cut in cuts]
    found = [pair for pair in readings if set(pair) <= set(known)]
    if len(found) > 1:
        raise InvalidInputError(
            f"{text!r} can be read as {' or '.join(map(str, found))}; say which with "
            "featstore.fusion in Python"
        )
    if not found:
        missing = next(name for name in readings[0] if name not in known)
        raise InvalidInputError(
            f"{text!r} is no pair of the store's features: there is no {missing!r}. "
            f"{did_you_mean(missing, known)}"
        )
    return found[0]
