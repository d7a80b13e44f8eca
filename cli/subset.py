"""`featstore subset`: named subsets of a store's rows, the same for every feature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from featstore.cli.amounts import ClassSets, Numbers, Sizes
from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, echo_note, echo_table, json_option, records
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.size_draws import Relation
    from featstore.store import FeatureStore
    from featstore.subset import Subset
    from featstore.subset_drawing import Draws


@click.command()
@store_argument
@click.option("--sizes", type=Sizes(), help="Rows at random, e.g. 50k,125k,250k,500k,1M.")
@click.option("--shots", type=Numbers(), help="Rows of every class, e.g. 1,2,4.")
@click.option("--classes", type=ClassSets(), help="Classes x rows of each, e.g. 200x500,500x200.")
@click.option(
    "--nested",
    "relation",
    flag_value="nested",
    default="nested",
    help="Smaller subsets are parts of larger ones. [default]",
)
@click.option("--disjoint", "relation", flag_value="disjoint", help="No two sizes share a row.")
@click.option("--independent", "relation", flag_value="independent", help="Each by itself.")
@click.option("--stratified", is_flag=True, help="--sizes: every class has its share.")
@click.option("--use-all", is_flag=True, help="--shots: a class with too few rows gives all.")
@click.option(
    "--draws", type=click.IntRange(min=1), default=1, show_default=True, help="How often."
)
@click.option("--split", default="train", show_default=True, help="Split to draw from.")
@click.option("--target", help="Label column that classes are of [default: the first].")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@click.option("--prefix", default="", help="In front of the names, which are 50k, 4-shot, 200x500.")
@click.option("--export", "exported", help="A stored subset to write to --out.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="For --export: a .csv or .jsonl of id, path and label; a folder for links; %06d.tar.",
)
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the images, if moved.")
@json_option
def command(store: str, exported: str | None, out: Path | None, as_json: bool, **how: Any) -> None:
    """Draw subsets of a STORE's rows, name and keep them; without options, list them.

    Which rows are taken depends on their ids and the seed alone, so every feature, probe and
    store of the same images has the same ones. Saved subsets never change.

    \b
    featstore subset birds.zarr --sizes 50k,125k,250k,500k,1M --nested --seed 0
    featstore subset birds.zarr --shots 1,2,4,8 --draws 5
    featstore subset birds.zarr --classes 200x500,500x200,1000x100
    featstore subset birds.zarr --export 50k --out birds-50k.csv
    featstore probe birds.zarr --subset 50k
    """
    from featstore.store import FeatureStore
    from featstore.subset_drawing import draw_subsets

    opened = FeatureStore.open(store)
    if exported is not None or out is not None:
        _export(opened, exported, out, how, as_json=as_json)
        return
    plan = _plan(how)
    if plan is None:
        subsets = {name: opened.subset(name) for name in opened.subsets}
    else:
        subsets = draw_subsets(
            opened, plan, split=how["split"], target=how["target"], prefix=how["prefix"]
        )
    frame = _frame(subsets)
    if as_json:
        echo_json({"store": store, "subsets": records(frame)})
    elif subsets:
        echo_table(frame.assign(digest=frame["digest"].str[:12]))
    else:
        echo_note("the store has no subsets; draw some with --sizes, --shots or --classes")


def _plan(how: dict[str, Any]) -> Draws | None:
    from featstore.class_draws import ClassDraws
    from featstore.shot_draws import ShotDraws
    from featstore.size_draws import SizeDraws

    asked = [kind for kind in ("sizes", "shots", "classes") if how[kind] is not None]
    if len(asked) > 1:
        raise InvalidInputError(f"--{asked[0]} and --{asked[1]} are drawn by a command each")
    kind = asked[0] if asked else None
    relation: Relation = how["relation"]
    for option, fits in (
        ("stratified", kind == "sizes"),
        ("use_all", kind == "shots"),
    ):
        if how[option] and not fits:
            flag = f"--{option.replace('_', '-')}"
            raise InvalidInputError(
                f"{flag} does not go with --{kind}" if kind else f"{flag} of what? say what to draw"
            )
    if kind == "sizes":
        return SizeDraws(
            how["sizes"],
            draws=how["draws"],
            relation=relation,
            stratified=how["stratified"],
            seed=how["seed"],
        )
    if kind == "shots":
        if relation == "disjoint":
            raise InvalidInputError("--shots are --nested or --independent")
        return ShotDraws(
            how["shots"],
            draws=how["draws"],
            nested=relation == "nested",
            short="all" if how["use_all"] else "error",
            seed=how["seed"],
        )
    if kind == "classes":
        if how["draws"] > 1 or relation != "nested":
            raise InvalidInputError(
                "--classes are drawn once and nested; another --seed and --prefix draws others"
            )
        return ClassDraws(how["classes"], seed=how["seed"])
    return None


def _frame(subsets: dict[str, Subset]) -> pd.DataFrame:
    rows = [
        (
            name,
            len(subset),
            subset.recipe.get("kind", ""),
            subset.recipe.get("split") or "(all)",
            subset.seed,
            subset.digest,
        )
        for name, subset in subsets.items()
    ]
    return pd.DataFrame(rows, columns=["subset", "rows", "kind", "split", "seed", "digest"])


def _export(
    store: FeatureStore,
    name: str | None,
    out: Path | None,
    how: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from featstore.exports.manifest import export_subset

    if name is None or out is None:
        raise InvalidInputError("--export NAME and --out PLACE go together")
    written = export_subset(store, name, out, target=how["target"], root=how["root"])
    if as_json:
        echo_json({"subset": name, "out": str(out), "rows": written})
    else:
        click.echo(f"wrote {out}: {written} rows of {name}")
