"""`featstore report`: runs to a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from featstore.cli.arguments import chosen_taxonomy
from featstore.cli.output import echo_json, json_option
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.html_report.embedding import MapMethod

_STUDY = ".toml"


@click.command()
@click.argument("store", metavar="STORE|STUDY")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="The HTML file.")
@click.option(
    "--run", "run_names", multiple=True, help="A stored run (repeat it) [default: all runs]."
)
@click.option(
    "--taxonomy",
    metavar="NAME|FILE",
    help="A stored taxonomy or a CSV file [default: stored ones that fit].",
)
@click.option(
    "--result",
    "results",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="What another command wrote with --json, e.g. few-shot or cross-domain; repeat it.",
)
@click.option(
    "--images",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the images, to show mistakes [default: that of the extraction, if there].",
)
@click.option("--map", "with_map", is_flag=True, help="Place test rows on a plane; takes seconds.")
@click.option("--map-features", help="The same, by these features: a[,b…] [default: the best's].")
@click.option(
    "--map-method",
    type=click.Choice(["tsne", "umap"]),
    help="The same, by this method [default: tsne; umap needs featstore[umap]].",
)
@click.option("--title", help="Of the page [default: from the store's name].")
@json_option
def command(
    store: str,
    out: Path,
    run_names: tuple[str, ...],
    taxonomy: str | None,
    results: tuple[Path, ...],
    images: Path | None,
    with_map: bool,
    map_features: str | None,
    map_method: MapMethod | None,
    title: str | None,
    as_json: bool,
) -> None:
    """Write one self-contained HTML page about the runs of a STORE, or of a STUDY's file.

    The page has a summary, leaderboards, granularity, classes, any two runs compared, pairs of
    features, calibration, corruptions, and where everything comes from. It opens without a network,
    on a phone and on paper. What other commands wrote as JSON joins it with --result.

    \b
    featstore report birds.zarr --out birds.html
    featstore report birds.zarr --out birds.html --taxonomy taxonomy.csv --title "Birds" --map
    featstore few-shot birds.zarr --out shots.json
    featstore report birds.zarr --out birds.html --result shots.json
    featstore report study.toml --out birds.html
    """
    from featstore.html_report import report
    from featstore.store import FeatureStore

    named = [word.strip() for word in (map_features or "").split(",") if word.strip()]
    show_map: bool | list[str] = named or with_map or map_method is not None
    method = map_method or "tsne"
    if store.endswith(_STUDY):
        from featstore.study import Study

        if run_names or taxonomy:
            raise InvalidInputError("a study says which runs; --run and --taxonomy go with a store")
        study = Study.from_toml(store)
        pages = study.report(
            out,
            results=results,
            images=images,
            show_map=show_map,
            map_method=method,
            title=title,
        )
    else:
        opened = FeatureStore.open(store)
        chosen = None if taxonomy is None else chosen_taxonomy(opened, taxonomy)
        pages = [
            report(
                opened,
                out,
                runs=run_names or None,
                taxonomy=chosen,
                results=results,
                images=images,
                show_map=show_map,
                map_method=method,
                title=title,
            )
        ]
    if as_json:
        found = [{"path": str(page), "bytes": page.stat().st_size} for page in pages]
        echo_json(found[0] if len(found) == 1 else found)
        return
    for page in pages:
        click.echo(f"{page} ({page.stat().st_size / 1e3:,.0f} kB)")
