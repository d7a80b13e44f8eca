"""`featstore table`: tables for papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featstore.cli.arguments import chosen_taxonomy, named_words
from featstore.cli.curves import file_option
from featstore.cli.output import echo_paper_table
from featstore.errors import InvalidInputError
from featstore.new_file import new_file

if TYPE_CHECKING:
    from featstore.typeset import Table

KINDS = (
    "leaderboard",
    "comparison",
    "cross-domain",
    "granularity",
    "per-class",
    "changed-classes",
    "similarity",
    "quantity",
    "few-shot",
    "fusion",
    "corruption-drop",
)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="STORE|FILE...")
@click.option(
    "--kind", type=click.Choice(KINDS), default="leaderboard", show_default=True, help="What of."
)
@click.option("--run", "runs", multiple=True, help="A stored run; repeat it.")
@click.option("--against", metavar="RUN", help="The baseline of changed-classes.")
@click.option("--target", help="Runs of this label column.")
@click.option("--preset", help="Runs of this preset.")
@click.option("--metric", help="E.g. top1, mean_per_class or mAP.")
@click.option("--columns", help="Of a leaderboard: probe, target, store, metric; a,b for several.")
@click.option("--dims", is_flag=True, help="Of a leaderboard: show the length of the features.")
@click.option("--taxonomy", help="A file, or the name of one in the store; for granularity.")
@click.option(
    "--pretrained-on",
    multiple=True,
    metavar="NAME=DATASET[,…]",
    help="Of cross-domain: the data sets that a feature was pretrained on; repeat it.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Classes at most.")
@click.option(
    "--intervals",
    type=click.Choice(["pm", "brackets", "none"]),
    help="± half their width, [low, high], or none [default: LaTeX ±, Markdown brackets].",
)
@click.option("--decimals", type=click.IntRange(min=0), help="Of percent [default: 1].")
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "latex", "csv"]),
    default="md",
    show_default=True,
    help="What is printed.",
)
@click.option("--environment", is_flag=True, help="LaTeX: with caption, as a table environment.")
@file_option("--out", "Write the table instead", (".md", ".tex", ".csv"))
def command(
    sources: tuple[str, ...],
    kind: str,
    out: Path | None,
    form: str,
    intervals: Any,
    environment: bool,
    decimals: int | None,
    **options: Any,
) -> None:
    """Tabulate stored runs and results for a paper: the best bold, the second best underlined.

    Leaderboards and cross-domain tables take one store or several, other tables of runs one;
    quantity, few-shot, fusion and corruption-drop take the JSON files that these commands write.
    LaTeX needs the package booktabs.

    \b
    featstore table birds.zarr --format latex
    featstore table birds.zarr scenes.zarr --kind cross-domain --preset logistic --out table.tex
    featstore quantity birds.zarr --out q.json && featstore table q.json --kind quantity
    """
    table = _made(kind, sources, options)
    if decimals is not None:
        table = table.with_decimals(decimals)
    if out is None:
        echo_paper_table(table, form, intervals=intervals, environment=environment)
        return
    if environment and out.suffix == ".tex":
        text = table.to_latex(intervals=intervals or "pm", environment=True)
        with new_file(out) as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")
    else:
        table.save(out, intervals=intervals)
    click.echo(f"{out}: {len(table)} rows")


def _made(kind: str, sources: tuple[str, ...], options: dict[str, Any]) -> Table:
    from featstore import tables
    from featstore.cli import paper_sources as found

    def runs() -> Any:
        return found.chosen_runs(sources, options["runs"], options["target"], options["preset"])

    metric = options["metric"]
    if kind == "leaderboard":
        return _leaderboard(sources, options)
    if kind == "comparison":
        return tables.comparison(runs())
    if kind == "cross-domain":
        origins = dict(named_words(text) for text in options["pretrained_on"])
        return tables.cross_domain(sources, pretrained_on=origins, preset=options["preset"])
    if kind == "granularity":
        if options["taxonomy"] is None:
            raise InvalidInputError("granularity is along a taxonomy: name it with --taxonomy")
        taxonomy = chosen_taxonomy(found.only_store(sources), options["taxonomy"])
        return tables.granularity(runs(), taxonomy)
    if kind == "per-class":
        return tables.per_class(runs(), limit=options["limit"])
    if kind == "changed-classes":
        pair = found.run_pair(sources, options["runs"], options["against"])
        return tables.changed_classes(pair, k=options["limit"] or 10)
    if kind == "similarity":
        from featstore.feature_similarity import similarity

        return tables.similarity(similarity(found.only_store(sources)))
    if kind == "quantity":
        return tables.quantity(found.summaries(sources, kind), metric=metric)
    if kind == "few-shot":
        return tables.few_shot(found.summaries(sources, kind), metric=metric)
    if kind == "fusion":
        return tables.fusion(found.fusion_table(sources))
    return tables.corruption_drop(found.drops(sources))


def _leaderboard(sources: tuple[str, ...], options: dict[str, Any]) -> Table:
    from featstore import tables
    from featstore.tables.run_rows import run_rows

    rows = run_rows(sources)
    for option, column in (("target", "target"), ("preset", "probe")):
        if options[option] is not None:
            rows = rows[rows[column] == options[option]]
    if options["runs"]:
        rows = rows[rows["run"].isin(options["runs"])]
    if rows.empty:
        raise InvalidInputError(
            "no stored run fits --target, --preset and --run; `featstore ls` shows all"
        )
    columns = options["columns"]
    return tables.leaderboard(
        rows,
        metric=options["metric"],
        columns=None if columns is None else [name.strip() for name in columns.split(",")],
        dims=options["dims"],
    )
