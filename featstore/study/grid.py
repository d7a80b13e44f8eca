"""Grid: the cells that a study's lists stand for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featstore.errors import InvalidInputError
from featstore.presets import PRESETS
from featstore.probe_arguments import ProbeArguments
from featstore.registry import probes
from featstore.store import FeatureStore
from featstore.study.cell import Cell, label_of
from featstore.study.settings import check_name, checked_settings

if TYPE_CHECKING:
    from featstore.study.study import Study

#: What a list says for all features of a store, or for the whole training split.
ALL = "all"
#: Axes that an entry of `stores` may have for itself.
STORE_AXES = ("features", "fusions", "targets", "subsets")


def cells_of(study: Study, stores: Mapping[str, FeatureStore]) -> list[Cell]:
    """Multiply the lists out, add the single cells, and take the excluded ones away.

    Parameters
    ----------
    study
        Whose lists.
    stores
        Open, by location.

    Raises
    ------
    InvalidInputError
        If a name is not known, an exclusion excludes nothing, or nothing is left.
    """
    cells = [
        cell
        for place, table in enumerate(study.store_tables())
        for cell in _of_store(study, place, table, stores[table["path"]])
    ]
    for place, table in enumerate(study.cells):
        cells.append(_single(study, place, table, stores))
    cells = list(dict.fromkeys(cells))
    for place, table in enumerate(study.excludes):
        kept = [cell for cell in cells if not _matches(cell, table, study)]
        if len(kept) == len(cells):
            raise InvalidInputError(f"exclude[{place}] = {dict(table)!r}: no cell is like this")
        cells = kept
    if not cells:
        raise InvalidInputError("the study has no cells; name features, or cells")
    return cells


def _of_store(
    study: Study, place: int, table: Mapping[str, Any], store: FeatureStore
) -> Iterator[Cell]:
    own = {axis: table[axis] for axis in STORE_AXES if axis in table}
    axes = {axis: own.get(axis, getattr(study, axis)) for axis in STORE_AXES}

    def at(axis: str) -> str:
        return f"stores[{place}].{axis}" if axis in own else axis

    features = _features(store, axes["features"], at("features"))
    for i, fusion in enumerate(axes["fusions"]):
        if isinstance(fusion, str) or len(fusion) < 2:
            raise InvalidInputError(
                f"{at('fusions')}[{i}] = {fusion!r}: a fusion is a list of two features or more"
            )
        for j, name in enumerate(fusion):
            check_name(name, store.features, f"{at('fusions')}[{i}][{j}]", "feature")
        features.append(tuple(fusion))
    for i, name in enumerate(axes["targets"]):
        check_name(name, store.samples.targets, f"{at('targets')}[{i}]", "target")
    for i, name in enumerate(axes["subsets"]):
        check_name(name, [ALL, *store.subsets], f"{at('subsets')}[{i}]", "subset")
    for target, names, variant, scaling, subset, seed in itertools.product(
        axes["targets"] or [None],
        features,
        study.variants(),
        study.scalings,
        axes["subsets"] or [ALL],
        study.seeds,
    ):
        told = {"scaling": scaling, "seed": seed, **study.settings, **variant}
        yield Cell(
            table["path"],
            names,
            ProbeArguments(
                **{
                    **told,
                    "target": target or store.target()[0],
                    "train_subset": None if subset == ALL else subset,
                }
            ),
            label_of(variant),
        )


def _features(store: FeatureStore, names: Any, place: str) -> list[tuple[str, ...]]:
    if names == ALL:
        return [(name,) for name in store.features]
    for i, name in enumerate(names):
        check_name(name, store.features, f"{place}[{i}]", "feature")
    return [(name,) for name in names]


def _single(
    study: Study, place: int, table: Mapping[str, Any], stores: Mapping[str, FeatureStore]
) -> Cell:
    at = f"cell[{place}]"
    told = checked_settings(table, at, but=("train_subset",), more=("store", "features", "subset"))
    store = told.pop("store", None) or next(iter(stores))
    location = study.located(store)
    check_name(location, stores, f"{at}.store", "store of this study")
    features = told.pop("features", None)
    names = (features,) if isinstance(features, str) else tuple(features or ())
    if not names:
        raise InvalidInputError(f"{at}: a cell has features, a name or a list of names")
    opened = stores[location]
    for name in names:
        check_name(name, opened.features, f"{at}.features", "feature")
    subset = told.pop("subset", ALL)
    check_name(subset, [ALL, *opened.subsets], f"{at}.subset", "subset")
    target = told.pop("target", None) or opened.target()[0]
    check_name(target, opened.samples.targets, f"{at}.target", "target")
    check_protocol(told, at)
    label = label_of(told)
    told = {**study.settings, **told, "target": target}
    if subset != ALL:
        told["train_subset"] = subset
    return Cell(location, names, ProbeArguments(**told), label)


def check_protocol(told: Mapping[str, Any], place: str) -> None:
    """Check the names of a probe and a preset, where there are any.

    Raises
    ------
    InvalidInputError
        With the key path and the nearest name there is.
    """
    if told.get("probe") is not None:
        check_name(told["probe"], probes(), f"{place}.probe", "probe")
    if told.get("preset") is not None:
        check_name(told["preset"], [*PRESETS, *probes()], f"{place}.preset", "preset")


def _matches(cell: Cell, table: Mapping[str, Any], study: Study) -> bool:
    for key, wanted in table.items():
        if key == "store":
            if cell.store != study.located(wanted):
                return False
        elif key == "features":
            names: Sequence[str] = [wanted] if isinstance(wanted, str) else wanted
            if cell.features != tuple(names):
                return False
        elif key == "subset":
            if (cell.arguments.train_subset or ALL) != wanted:
                return False
        elif getattr(cell.arguments, key) != wanted:
            return False
    return True
