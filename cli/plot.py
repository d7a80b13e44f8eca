"""`featstore plot`: figures for papers and slides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featstore.cli.arguments import chosen_taxonomy, named_words
from featstore.cli.curves import FIGURES, file_option
from featstore.cli.output import write_figure
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Kinds by what they need.
_OF_RUNS = ("leaderboard", "granularity", "class-averages", "reliability", "pairwise-groups")
_OF_ONE = ("per-class", "confusion", "kin-confusion", "selection-curve", "label-noise")
_OF_PAIRS = ("gain-curve", "difficulty", "granularity-gap", "group-gains")
_OF_STORES = ("cross-domain", "critical-difference", "similarity")
_OF_FILES = ("quantity", "few-shot", "corruption-drop")
KINDS = (*_OF_RUNS, *_OF_ONE, *_OF_PAIRS, *_OF_STORES, *_OF_FILES)


def _read_width(_: click.Context, __: click.Parameter, text: str) -> str | float:
    if text in ("column", "full"):
        return text
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError(
            f"--width is column, full or a number of inches, got {text!r}"
        ) from None


@click.command()
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("sources", nargs=-1, required=True, metavar="STORE|FILE...")
@click.option("--run", "runs", multiple=True, help="A stored run; repeat it.")
@click.option("--against", metavar="RUN", help="The baseline, for kinds about two runs.")
@click.option("--target", help="Runs of this label column.")
@click.option("--preset", help="Runs of this preset.")
@click.option("--metric", help="E.g. top1, mean_per_class or mAP.")
@click.option("--taxonomy", help="A file, or the name of one in the store.")
@click.option("--level", help="Of the taxonomy, for means of groups [default: the second].")
@click.option(
    "--pretrained-on",
    multiple=True,
    metavar="NAME=DATASET[,…]",
    help="Of cross-domain: the data sets that a feature was pretrained on; repeat it.",
)
@click.option(
    "--style",
    type=click.Choice(["page", "neurips", "cvpr", "nature", "talk"]),
    default="page",
    show_default=True,
    help="Widths, fonts and sizes.",
)
@click.option(
    "--width",
    default="column",
    show_default=True,
    callback=_read_width,
    help="Of the style: column, full, or inches.",
)
@file_option("--out", "Write the figure [required]", FIGURES)
def command(
    kind: str,
    sources: tuple[str, ...],
    style: Any,
    width: Any,
    out: Path | None,
    **options: Any,
) -> None:
    """Draw stored runs and results: KIND is what.

    \b
    several runs: leaderboard, granularity, class-averages, reliability, pairwise-groups
    one run: per-class, confusion, kin-confusion, selection-curve, label-noise
    two runs (--run, --against): gain-curve, difficulty, granularity-gap, group-gains
    stores: cross-domain, critical-difference; one store: similarity
    JSON files that the commands of this name write: quantity, few-shot, corruption-drop

    \b
    featstore plot granularity birds.zarr --taxonomy tree.csv --style cvpr --out levels.pdf
    featstore plot gain-curve birds.zarr --run RUN_B --against RUN_A --out gains.svg
    featstore quantity birds.zarr --out q.json && featstore plot quantity q.json --out q.pdf
    """
    from featstore import plots

    if out is None:
        raise InvalidInputError(f"say where the figure goes: --out {kind}.pdf")
    with plots.style(style, width=width):
        write_figure(out, _drawn(kind, sources, options))
    click.echo(f"{out}: {kind}, {style}")


def _drawn(kind: str, sources: tuple[str, ...], options: dict[str, Any]) -> Axes:
    from featstore import plots
    from featstore.cli import paper_sources as found

    draw: Any = getattr(plots, kind.replace("-", "_"))
    if kind in _OF_FILES:
        if kind == "corruption-drop":
            return draw(found.drops(sources))  # type: ignore[no-any-return]
        return draw(found.summaries(sources, kind), metric=options["metric"])  # type: ignore[no-any-return]
    if kind in _OF_STORES:
        return _of_stores(kind, sources, options)
    if kind in _OF_PAIRS:
        pair = found.run_pair(sources, options["runs"], options["against"])
        return draw(pair, *_beside(kind, sources, options, pair[1]))  # type: ignore[no-any-return]
    runs = found.chosen_runs(sources, options["runs"], options["target"], options["preset"])
    if kind in _OF_ONE:
        if len(runs) != 1:
            names = "\n  ".join(run.name for run in runs)
            raise InvalidInputError(f"{kind} draws one run; name it with --run:\n  {names}")
        if kind == "label-noise":
            from featstore.analysis import label_noise

            return draw(label_noise(runs[0].predictions))  # type: ignore[no-any-return]
        return draw(runs[0], *_beside(kind, sources, options, runs[0]))  # type: ignore[no-any-return]
    if kind == "leaderboard":
        return plots.leaderboard(runs, metric=options["metric"])
    return draw(runs, *_beside(kind, sources, options, runs[0]))  # type: ignore[no-any-return]


def _of_stores(kind: str, sources: tuple[str, ...], options: dict[str, Any]) -> Axes:
    from featstore import plots
    from featstore.cli.paper_sources import only_store
    from featstore.cross_domain_evaluation import cross_domain
    from featstore.feature_similarity import similarity

    if kind == "similarity":
        return plots.similarity(similarity(only_store(sources)))
    origins = dict(named_words(text) for text in options["pretrained_on"])
    table = cross_domain(sources, preset=options["preset"], pretrained_on=origins)
    return plots.cross_domain(table) if kind == "cross-domain" else plots.critical_difference(table)


def _beside(
    kind: str, sources: tuple[str, ...], options: dict[str, Any], run: Any
) -> tuple[object, ...]:
    """Return what a kind takes beside its runs: a taxonomy, or groups of classes."""
    from featstore.class_groups import ClassGroups
    from featstore.cli.paper_sources import only_store

    grouped = kind in ("class-averages", "group-gains")
    if not grouped and kind not in ("granularity", "granularity-gap", "kin-confusion"):
        return ()
    if options["taxonomy"] is None:
        raise InvalidInputError(f"{kind} is along a taxonomy: name it with --taxonomy")
    taxonomy = chosen_taxonomy(only_store(sources), options["taxonomy"])
    if not grouped:
        return (taxonomy,)
    level = options["level"] or taxonomy.levels[1]
    return (ClassGroups.from_taxonomy(taxonomy, level, run.predictions.classes),)
