"""`featstore diff`: what two stores or two features do not have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from featstore.cli.output import echo_json, echo_table, json_option

if TYPE_CHECKING:
    from featstore.differences import StoreDifference
    from featstore.feature_difference import FeatureDifference


@click.command()
@click.argument("a")
@click.argument("b", required=False)
@click.option("--feature", "-f", help="Compare this feature only.")
@click.option("--with", "other", help="Compare it with this one, of B if that is given, else of A.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="A row is equal if its largest difference is at most this share of its largest value; "
    "extraction on another machine agrees to about 1e-5.",
)
@json_option
def command(
    a: str, b: str | None, feature: str | None, other: str | None, tolerance: float, as_json: bool
) -> None:
    """Compare stores A and B, or two features; exit code 0 if they are equal, 1 if not.

    Samples are matched by id, in whatever order the stores have them. Where two features have the
    same rows in the same shards, equal checksums spare a look at the values.

    \b
    featstore diff before.zarr after.zarr
    featstore diff a.zarr b.zarr --feature resnet50 --tolerance 1e-5
    featstore diff birds.zarr --feature resnet50 --with resnet50_fp16
    """
    from featstore.differences import diff
    from featstore.store import FeatureStore

    result = diff(
        FeatureStore.open(a),
        None if b is None else FeatureStore.open(b),
        feature=feature,
        other=other,
        tolerance=tolerance,
    )
    if as_json:
        equal = [{"equal": one.equal} for one in result.features]
        document: dict[str, Any] = {"a": a, "b": b, "equal": result.equal}
        document |= dataclasses.asdict(result)
        for one, verdict in zip(document["features"], equal, strict=True):
            one |= verdict
        echo_json(document)
    else:
        _echo(result)
    if not result.equal:
        raise SystemExit(1)


def _echo(result: StoreDifference) -> None:
    _echo_lines("samples (of the second, against the first)", result.samples)
    _echo_lines("only in the first", result.only_a)
    _echo_lines("only in the second", result.only_b)
    if result.features:
        echo_table(pd.DataFrame([_row(one) for one in result.features]), title="features")
    for one in result.features:
        _echo_lines(f"{_name(one)} (first | second)", [*one.spec, *one.problems])
        if one.values is not None and one.values.first:
            frame = pd.DataFrame([vars(row) for row in one.values.first])
            echo_table(frame, title=f"{_name(one)}: first rows that differ")
    for member in result.members:
        _echo_lines(f"{member.place} (first | second)", member.lines)
    click.echo("equal" if result.equal else "different")


def _echo_lines(title: str, lines: Sequence[str]) -> None:
    if lines:
        click.secho(title, bold=True)
        for line in lines:
            click.echo(f"  {line}")


def _name(one: FeatureDifference) -> str:
    return one.a if one.a == one.b else f"{one.a} | {one.b}"


def _row(one: FeatureDifference) -> dict[str, Any]:
    values = one.values
    return {
        "feature": _name(one),
        "verdict": "equal" if one.equal else "different",
        "spec": "differs" if one.spec else "equal",
        "rows": values and values.rows,
        "differing": values and values.differing,
        "absolute": values and values.absolute,
        "relative": values and values.relative,
        "compared by": one.by,
    }
