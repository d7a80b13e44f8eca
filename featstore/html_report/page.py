"""Page: all sections rendered into one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from featstore._version import __version__
from featstore.errors import InvalidInputError
from featstore.html_report.board import Board, boards
from featstore.html_report.class_sizes import class_sizes
from featstore.html_report.command import report_command
from featstore.html_report.embedding import MapMethod, embedding
from featstore.html_report.levels import covering_level
from featstore.html_report.mistakes import image_root, mistakes
from featstore.html_report.numbers import FILTERS
from featstore.html_report.provenance import provenance
from featstore.html_report.result_file import exhibits_of
from featstore.html_report.script import policy, scripts, template
from featstore.html_report.section import Section, section
from featstore.local_folder import LocalFolder
from featstore.numerals import plural, points_span, span
from featstore.plots.per_class import NAMED_CLASSES
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy


def report(
    store: FeatureStore,
    out: str | Path,
    *,
    runs: Sequence[str] | None = None,
    taxonomy: Taxonomy | None = None,
    results: Sequence[str | Path] = (),
    images: str | Path | None = None,
    show_map: bool | Sequence[str] = False,
    map_method: MapMethod = "tsne",
    title: str | None = None,
) -> Path:
    """Write a page about the runs of a store: one HTML file that needs no network.

    Runs are grouped by target and test rows; what is ranked together was measured on the same
    rows.  Nothing is fitted again.

    Parameters
    ----------
    store
        With at least one run.
    out
        The file; replaced if it exists.
    runs
        Names of the runs to report; all by default.
    taxonomy
        For the accuracy at coarser levels.  By default every stored taxonomy that covers a
        target's classes is used.
    results
        Files that other commands wrote, see `featstore.html_report.result_file.exhibits_of`.
    images
        Folder that the ids of samples are paths in: images of the most confused classes are shown.
        By default the one that was extracted from, where it is still there.
    show_map
        Whether to place test rows on a plane, which takes seconds; or the features to do it by,
        those of the best run by default.
    map_method
        ``"tsne"``, or ``"umap"``, which needs the package umap-learn.
    title
        Of the page; made from the store's name by default.

    Returns
    -------
    out
        The file.

    Raises
    ------
    InvalidInputError
        If there is no run, `out` is a folder or in none, the taxonomy covers no target, `images`
        is no folder, a file holds no result, or the map is by no known method.
    MissingDependencyError
        If umap-learn is asked for and not installed.
    FeatureNotFoundError
        If there is no run of a name.
    StorageError
        If the disk refuses.
    """
    out = Path(out)
    _check_place(out)
    names = list(dict.fromkeys(store.runs if runs is None else runs))
    if not names:
        raise InvalidInputError(
            f"{store.location} has no runs to report; run `featstore probe {store.location}` first"
            if runs is None
            else "name at least one run to report, or none to report them all"
        )
    with ThreadPoolExecutor() as pool:
        loaded = list(pool.map(store.run, names))
    digests = {name: store.feature(name).spec.digest for name in store.features}
    found = boards(loaded, targets=list(store.samples.targets), digests=digests)
    ranked = [entry.run for board in found for entry in board.entries]
    if taxonomy is not None:
        _check_cover(taxonomy, found)
    taxonomies = [store.taxonomy(name) for name in store.taxonomies]
    taxonomies = taxonomies if taxonomy is None else [taxonomy]
    root = image_root(store.attributes["source"], images)
    exhibits = exhibits_of(results, digests=digests)
    sections = [
        section(
            board,
            f"s{i}",
            taxonomies,
            corruptions=_corruptions(store),
            sizes=class_sizes(store, board.best.run),
        )
        for i, board in enumerate(found, 1)
    ]
    maps = {}
    if show_map:
        chosen = None if show_map is True else show_map
        maps = {one.key: embedding(store, one.board, chosen, method=map_method) for one in sections}
    texts = scripts(drawing=_draws(sections) or any(maps.values()))
    page = (
        _environment()
        .get_template("report.html")
        .render(
            title=title or f"{Path(store.folder.name).stem}: probes on frozen features",
            data=_data(store),
            source=_source(store),
            time=datetime.now(UTC),
            version=__version__,
            sections=sections,
            exhibits=exhibits,
            maps=maps,
            named=NAMED_CLASSES,
            mistakes={one.key: mistakes(one.board, root) if root else [] for one in sections},
            provenance=provenance(store, ranked),
            report_command=report_command(
                store.location,
                out,
                runs=runs,
                results=results,
                images=images,
                show_map=show_map,
                map_method=map_method,
                title=title,
            ),
            style=Markup(template("report.css")),
            scripts=texts,
            policy=policy(texts),
        )
    )
    LocalFolder(out.parent).write(out.name, [page.encode()])
    return out


def _draws(sections: Sequence[Section]) -> bool:
    return any(one.explorer for one in sections)


def _corruptions(store: FeatureStore) -> dict[str, str]:
    """Features of corrupted images, and the label of the corruption."""
    found = {name: store.feature(name).spec.corruption for name in store.features}
    return {name: one.label for name, one in found.items() if one is not None}


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals |= {"span": span, "points_span": points_span, "plural": plural}
    return environment


def _check_place(out: Path) -> None:
    if out.is_dir():
        raise InvalidInputError(
            f"{out} is a folder; give the name of a file, e.g. {out}/report.html"
        )
    if not out.absolute().parent.is_dir():
        raise InvalidInputError(f"cannot write {out}: there is no folder {out.parent}; create it")


def _check_cover(taxonomy: Taxonomy, found: Sequence[Board]) -> None:
    single = [board for board in found if not board.predictions.multilabel]
    if any(covering_level(taxonomy, board.predictions.classes) for board in single):
        return
    if not single:
        raise InvalidInputError(
            "the taxonomy cannot be used: every run is multi-label, and granularity needs one "
            "class per row; leave the taxonomy out"
        )
    # Says which classes are missing, and what they may be called instead.
    taxonomy.coarsen(single[0].predictions.classes, taxonomy.levels[-1])


def _data(store: FeatureStore) -> dict[str, Any]:
    """Size of the data set: samples, splits and targets."""
    samples = store.samples
    counts = Counter(samples.splits.tolist())
    return {
        "samples": len(samples),
        "splits": [(name, n) for name, n in counts.most_common() if name],
        "targets": [
            (name, target.kind, len(target.classes)) for name, target in samples.targets.items()
        ],
    }


def _source(store: FeatureStore) -> dict[str, str]:
    """Where the data come from: in short, and with all paths."""
    known = {str(key): str(value) for key, value in store.attributes["source"].items() if value}
    kind = known.pop("kind", "")
    place = known.get("table") or known.get("root") or ""
    return {
        "short": f"{kind} {PurePath(place).name}".strip(),
        "full": ", ".join([kind, *(f"{key} {value}" for key, value in known.items())]),
    }
