"""Arguments that several commands take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.run import ProbeRun
    from featstore.store import FeatureStore
    from featstore.taxonomy import Taxonomy

store_argument = click.argument("store")
run_option = click.option(
    "--run", "run_name", help="A stored run; the only one by default (featstore ls shows all)."
)

moved_backbones_option = click.option(
    "--backbone",
    "-b",
    "moved",
    multiple=True,
    metavar="[FEATURE=]SOURCE",
    help="Where the backbone of a feature is by now, if its weights have moved; repeat it.",
)


def moved_backbones(moved: tuple[str, ...], features: Sequence[str]) -> dict[str, str]:
    """Read [FEATURE=]SOURCE; the name may be left out where there is one feature."""
    from featstore.registry import backbones

    found = {}
    for text in moved:
        name = backbones().parse_source(text).name
        if name is None and len(features) != 1:
            raise InvalidInputError(
                f"which feature is {text!r} the backbone of? Say FEATURE=SOURCE, with one of "
                f"{', '.join(features)}"
            )
        found[name or features[0]] = text
    return found


def chosen_run(store: FeatureStore, name: str | None) -> ProbeRun:
    """Load the named run, or the only one there is."""
    return store.run(chosen_run_name(store, name))


def chosen_run_name(store: FeatureStore, name: str | None) -> str:
    """Return the name, or that of the only run there is."""
    if name is None:
        names = store.runs
        if len(names) != 1:
            choose = "\n  ".join(["choose one with --run:", *names])
            advice = choose if names else "run `featstore probe` first"
            raise InvalidInputError(f"{store.location} has {len(names)} runs; {advice}")
        name = names[0]
    return name


def chosen_features(
    store: FeatureStore, features: tuple[str, ...], fuse: tuple[str, ...]
) -> list[list[str]]:
    """Return the features and fusions that were named, or every complete feature by itself."""
    chosen = [[name] for name in features]
    chosen += [[name.strip() for name in names.split(",") if name.strip()] for names in fuse]
    if chosen:
        return chosen
    sealed = [name for name in store.features if store.feature(name).sealed]
    if not sealed:
        raise InvalidInputError(
            "the store has no complete features yet; run `featstore extract` first"
        )
    return [[name] for name in sealed]


def named_words(text: str) -> tuple[str, list[str]]:
    """Read NAME=WORD[,WORD…]."""
    name, sign, rest = text.partition("=")
    words = [word.strip() for word in rest.split(",") if word.strip()]
    if not (name.strip() and sign and words):
        raise InvalidInputError(f"{text!r} is not NAME=WORD[,WORD…], e.g. dinov2=lvd142m")
    return name.strip(), words


def chosen_taxonomy(store: FeatureStore, name: str) -> Taxonomy:
    """Read a taxonomy from a CSV or JSON file, or load the stored one of this name."""
    from featstore.taxonomy import Taxonomy

    if Path(name).is_file():
        return Taxonomy.from_file(name)
    if Path(name).suffix in (".csv", ".json") and name not in store.taxonomies:
        raise InvalidInputError(
            f"there is no file {name}, and no taxonomy of this name in {store.location}; a "
            "taxonomy is a CSV with a column per level, finest first, or the name of a stored one"
        )
    return store.taxonomy(name)
