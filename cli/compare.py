"""`featstore compare`: two runs on the same test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, echo_note, echo_table, json_option, records

if TYPE_CHECKING:
    from featstore.analysis.compare import Comparison


@click.command()
@store_argument
@click.argument("a")
@click.argument("b")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Classes to list as most improved and most harmed.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap."
)
@json_option
def command(store: str, a: str, b: str, limit: int, seed: int, as_json: bool) -> None:
    """Say whether run B is better than run A, by how much, and for which classes.

    The interval is a paired bootstrap over the common test rows; p is McNemar's exact
    test, q adjusts the classes' p for their number (Benjamini-Hochberg). `featstore ls` shows the
    names of runs.
    """
    from featstore.analysis import compare
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    comparison = compare(opened.outcomes(a), opened.outcomes(b), seed=seed)
    if as_json:
        echo_json({**vars(comparison), "a": a, "b": b, "classes": records(comparison.classes)})
        return
    click.echo(f"a: {a}\nb: {b}")
    click.echo(_summary(comparison))
    percent = [str(name) for name in comparison.classes if name not in ("class", "n", "p", "q")]
    improved, harmed = comparison.most_improved(limit), comparison.most_harmed(limit)
    echo_table(improved[improved["gain"] > 0], title="most improved", percent=percent)
    echo_table(harmed[harmed["gain"] < 0], title="most harmed", percent=percent)
    if comparison.n_only_a or comparison.n_only_b:
        echo_note(
            f"compared on {comparison.n_common} common rows; {comparison.n_only_a} rows of a and "
            f"{comparison.n_only_b} of b were left out"
        )


def _summary(comparison: Comparison) -> str:
    lines = [
        f"{comparison.metric}: {comparison.value_a:.2%} → {comparison.value_b:.2%} on "
        f"{comparison.n_common} rows",
        f"difference {100 * comparison.difference:+.2f} points "
        f"[{100 * comparison.low:+.2f}, {100 * comparison.high:+.2f}]: "
        + _verdict(comparison.low, comparison.high),
    ]
    if comparison.p_exact is not None:
        lines.append(
            f"only a right {comparison.only_a_right}, only b right {comparison.only_b_right}, "
            f"McNemar's exact test p = {comparison.p_exact:.3g}"
        )
    lines.append(
        f"classes improved {comparison.share_improved:.0%}, unchanged "
        f"{comparison.share_unchanged:.0%}, harmed {comparison.share_harmed:.0%}"
    )
    return "\n".join(lines)


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "b is better"
    if high < 0:
        return "a is better"
    return "not distinguishable on these rows"
