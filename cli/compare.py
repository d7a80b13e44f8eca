"""`featstore compare`: runs on the same test rows, two of them or many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, echo_note, echo_table, json_option, records
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.analysis.compare import Comparison
    from featstore.store import FeatureStore


@click.command()
@store_argument
@click.argument("runs", nargs=-1)
@click.option("--all-pairs", is_flag=True, help="Each with each; also done for three runs or more.")
@click.option(
    "--seeds-and-draws",
    is_flag=True,
    help="Runs that differ in feature, seed and subset alone: how much each accounts for.",
)
@click.option("--target", help="Of the runs, if none are named [default: the first].")
@click.option("--preset", help="Of the runs, if none are named.")
@click.option("--metric", help="top1, top5, mean_per_class or mAP [default: top1, or mAP].")
@click.option("--common", is_flag=True, help="Runs on different rows: compare their common ones.")
@click.option(
    "--adjust",
    "adjustment",
    type=click.Choice(["holm", "bh"]),
    default="holm",
    show_default=True,
    help="For many pairs: no false difference (Holm), or few of those found (Benjamini-Hochberg).",
)
@click.option(
    "--test",
    type=click.Choice(["exact", "mid-p"]),
    default="exact",
    show_default=True,
    help="McNemar's test of many pairs.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw many runs and what cannot be told apart, or their means: .svg, .pdf or .png.",
)
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
def command(
    store: str,
    runs: tuple[str, ...],
    all_pairs: bool,
    seeds_and_draws: bool,
    target: str | None,
    preset: str | None,
    plot: Path | None,
    limit: int,
    **options: Any,
) -> None:
    """Say whether run B is better than run A, by how much, and for which classes.

    The interval is a paired bootstrap over the test rows; p is McNemar's exact test, q adjusts
    the classes' p for their number (Benjamini-Hochberg). With three runs or more, each is compared
    with each, and runs that share a letter cannot be told apart. `featstore ls` shows the names of
    runs.

    \b
    featstore compare birds.zarr RUN_A RUN_B
    featstore compare birds.zarr --all-pairs --preset logistic --plot runs.svg
    featstore compare birds.zarr --seeds-and-draws --preset logistic
    """
    from featstore.cli.compared_noise import show_noise
    from featstore.cli.compared_runs import show_all_pairs
    from featstore.store import FeatureStore

    if all_pairs and seeds_and_draws:
        raise InvalidInputError("choose one of --all-pairs and --seeds-and-draws")
    many = all_pairs or len(runs) > 2
    if plot is not None and not (many or seeds_and_draws):
        raise InvalidInputError("--plot draws many runs: name three or more, or take --all-pairs")
    opened = FeatureStore.open(store)
    if seeds_and_draws:
        show_noise(opened, runs or _chosen(opened, target, preset, subsets=True), plot, options)
    elif many:
        show_all_pairs(opened, runs or _chosen(opened, target, preset), plot, options)
    elif len(runs) == 2:
        _show_pair(opened, *runs, limit, options)
    else:
        known = "\n  ".join(["The runs:", *opened.runs]) if opened.runs else "There are no runs yet"
        raise InvalidInputError(
            f"name two runs or more, or take --all-pairs or --seeds-and-draws; got {len(runs)}. "
            f"{known}"
        )


def _chosen(
    store: FeatureStore, target: str | None, preset: str | None, *, subsets: bool = False
) -> tuple[str, ...]:
    """Names of the runs of a target and a preset; those on subsets of the rows only if wanted."""
    from featstore.probe_request import stored_configs

    name, _ = store.target(target)
    found = tuple(
        run
        for run, config in stored_configs(store)
        if config.target == name
        and preset in (None, config.preset)
        and (subsets or config.train_subset is None)
    )
    if len(found) < 2:
        raise InvalidInputError(
            f"{store.location} has {len(found)} such runs of {name}; at least two are needed "
            "(featstore ls shows all)"
        )
    return found


def _show_pair(store: FeatureStore, a: str, b: str, limit: int, options: dict[str, Any]) -> None:
    from featstore.analysis import compare

    if options["metric"] is not None:
        raise InvalidInputError("--metric goes with --all-pairs; two runs are compared by top1")
    comparison = compare(store.outcomes(a), store.outcomes(b), seed=options["seed"])
    left_out = (
        f"{comparison.n_only_a} rows of a and {comparison.n_only_b} of b are not among "
        f"the {comparison.n_common} common rows"
    )
    if (comparison.n_only_a or comparison.n_only_b) and not options["common"]:
        raise InvalidInputError(
            f"the runs were measured on different rows: {left_out}. Compare runs of one split, or "
            "take --common"
        )
    if options["as_json"]:
        echo_json({**vars(comparison), "a": a, "b": b, "classes": records(comparison.classes)})
        return
    click.echo(f"a: {a}\nb: {b}")
    click.echo(_summary(comparison))
    percent = [str(name) for name in comparison.classes if name not in ("class", "n", "p", "q")]
    improved, harmed = comparison.most_improved(limit), comparison.most_harmed(limit)
    echo_table(improved[improved["gain"] > 0], title="most improved", percent=percent)
    echo_table(harmed[harmed["gain"] < 0], title="most harmed", percent=percent)
    if comparison.n_only_a or comparison.n_only_b:
        echo_note(f"{left_out}, and were left out")


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
