"""Commands that make a run again, from its configuration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from featstore.html_report.embedding import MapMethod
from featstore.presets import PRESETS, Preset
from featstore.run_config import RunConfig
from featstore.store import FeatureStore


def extract_command(store: FeatureStore, feature: str) -> str | None:
    """Return the `featstore extract` command that makes a feature again.

    Parameters
    ----------
    store
        The store.
    feature
        Name of one of its features.

    Returns
    -------
    command
        One line for a shell; None if the feature was not extracted by a command, or from
        images in memory.
    """
    request = store.feature(feature).request
    source = store.attributes["source"]
    images = source.get("table") or source.get("place") or source.get("root")
    if request is None or images is None:
        return None
    words = ["featstore", "extract", images]
    words += ["--root", source["root"]] if "table" in source else []
    for option, value in source.get("options", {}).items():
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{option}"] if one is True else [f"--{option}", str(one)]
    given, corruption = request["source"], store.feature(feature).spec.corruption
    label = "" if corruption is None else corruption.label
    base = feature.removesuffix(f"-{label}")
    words += ["--backbone", given if given.startswith(f"{base}=") else f"{base}={given}"]
    words += ["--corrupt", label] if label else []
    for option, usual in (("transform", "own"), ("dtype", "float16"), ("numerics", "fp32")):
        words += [f"--{option}", request[option]] if request[option] != usual else []
    words += ["--decode", request["decode"]] if "decode" in request else []
    return shlex.join([*words, "--out", store.location])


def probe_command(config: RunConfig, name: str, store: str, *, splits: Sequence[str]) -> str:
    """Return the `featstore probe` command that makes a run again.

    Parameters
    ----------
    config, name
        Of a stored run.
    store
        Path or URL of the store.
    splits
        Names of the store's splits.

    Returns
    -------
    command
        One line for a shell.  The device is left to the default.
    """
    features = ",".join(config.features)
    words = ["featstore", "probe", str(store)]
    words += ["--fuse" if len(config.features) > 1 else "--features", features]
    words += ["--preset", config.preset]
    preset = PRESETS.get(config.preset)
    if config.selected_on == "fixed" and (preset is None or preset.values != (config.value,)):
        words += ["--value", f"{config.value:.12g}"]
    words += ["--target", config.target]
    if config.scaling != "none":
        words += ["--scaling", config.scaling]
    train, val = train_and_val(config.train_split, splits)
    if val is None and config.selected_on in splits:
        val = config.selected_on
    words += ["--train", train] if train != "train" else []
    words += ["--subset", config.train_subset] if config.train_subset else []
    words += ["--val", val] if val is not None else []
    words += [] if config.nested else ["--test", config.test_split]
    words += [word for name in config.test_features for word in ("--test-feature", name)]
    words += _selection_words(config)
    words += ["--seed", str(config.seed)] if config.seed else []
    return shlex.join([*words, "--name", name])


def _selection_words(config: RunConfig) -> list[str]:
    """Options of the choice that are not the preset's."""
    preset = PRESETS.get(config.preset, Preset("", "", (), ""))
    words = []
    if config.select != preset.select or (config.folds and config.folds != preset.folds):
        words += ["--select", config.select]
        words += ["--folds", str(config.folds)] if config.folds else []
    words += ["--repeats", str(config.repeats)] if config.repeats > 1 else []
    words += ["--rule", config.rule] if config.rule != preset.rule else []
    words += ["--search", config.search] if config.search not in ("", preset.search) else []
    if config.metric not in ("", preset.metric, preset.multilabel_metric):
        words += ["--metric", config.metric]
    words += ["--groups", config.groups] if config.groups else []
    return words


def report_command(
    store: str,
    out: Path,
    *,
    runs: Sequence[str] | None,
    results: Sequence[str | Path],
    images: str | Path | None,
    show_map: bool | Sequence[str],
    map_method: MapMethod,
    title: str | None,
) -> str:
    """Return the `featstore report` command, without a taxonomy that came from a file."""
    words = ["featstore", "report", str(store), "--out", str(out)]
    for name in runs or ():
        words += ["--run", name]
    for path in results:
        words += ["--result", str(path)]
    words += [] if images is None else ["--images", str(images)]
    words += ["--map"] if show_map is True else []
    words += ["--map-features", ",".join(show_map)] if isinstance(show_map, Sequence) else []
    words += ["--map-method", map_method] if show_map and map_method != "tsne" else []
    if title is not None:
        words += ["--title", title]
    return shlex.join(words)


def train_and_val(train_split: str, splits: Sequence[str]) -> tuple[str, str | None]:
    """Take apart ``train+val``, the name of rows that were refitted on together."""
    if train_split in splits:
        return train_split, None
    for train in splits:
        val = train_split.removeprefix(f"{train}+")
        if val != train_split and val in splits:
            return train, val
    return train_split, None
