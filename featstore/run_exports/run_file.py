"""export_run: a stored run to a file whose suffix says of which kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from featstore.new_file import checked_target
from featstore.run import ProbeRun
from featstore.run_exports.model import RunModel
from featstore.store import FeatureStore

#: Suffix -> module and function in `featstore.run_exports`.
RUN_EXPORTS = {
    ".onnx": "onnx_file:write",
    ".skops": "sklearn_file:write_skops",
    ".joblib": "sklearn_file:write_joblib",
    ".safetensors": "safetensors_file:write",
    ".md": "card:write",
}


@dataclass(frozen=True)
class ExportedRun:
    """What one call of `export_run` wrote.

    Attributes
    ----------
    run
        Its name.
    path
        The file.
    nbytes
        Its size.
    difference
        Of ONNX: how far its probabilities are from those of `featstore.predict`, at most, over a
        few images of noise; None for other formats.
    """

    run: str
    path: Path
    nbytes: int
    difference: float | None = None


def export_run(
    store: FeatureStore | str | Path,
    run: ProbeRun | str,
    out: str | Path,
    *,
    backbones: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> ExportedRun:
    """Write the model of a run, or a page about it.

    Parameters
    ----------
    store
        The store, or its path.
    run
        A stored run, or its name.
    out
        ``.onnx``: backbones, scaling and head, from pixels to probabilities.  ``.skops`` or
        ``.joblib``: scaling and head as a pipeline of scikit-learn, from features to
        probabilities.  ``.safetensors``: their numbers.  ``.md``: a model card.
    backbones
        Feature -> source of its backbone, where the weights have moved since the extraction.
    overwrite
        Replace an existing file.

    Raises
    ------
    InvalidInputError
        If the suffix is not known, the file exists, or the probe keeps no linear head.
    SpecMismatchError, WeightsError
        If a backbone is another than the feature's, or not where it was.
    MissingDependencyError
        If the format needs a package that is not there.
    StorageError
        If the disk refuses; there is then no file, or the old one.
    """
    path = checked_target(out, RUN_EXPORTS, what="a run", overwrite=overwrite)
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    if not isinstance(run, ProbeRun):
        run = store.run(run)
    module, _, function = RUN_EXPORTS[path.suffix.lower()].partition(":")
    write: Callable[[RunModel, Path], float | None] = getattr(
        importlib.import_module(f"featstore.run_exports.{module}"), function
    )
    difference = write(RunModel(store, run, dict(backbones or {})), path)
    return ExportedRun(run.name, path, path.stat().st_size, difference)
