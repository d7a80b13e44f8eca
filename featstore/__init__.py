"""featstore: extract frozen visual features once, evaluate them for ever after.

    import featstore as fs

    fs.extract("images/", ["torchvision/resnet50", "timm/vit_small_patch14_dinov2"], "birds.zarr")
    store = fs.open("birds.zarr")
    run = fs.probe(store, ["resnet50", "vit_small_patch14_dinov2"])
    run.accuracy, run.per_class()

Names are imported when first used, so that ``import featstore`` is quick and free of torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from featstore._version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from featstore import plots, tables
    from featstore.analysis.all_pairs import AllPairs
    from featstore.analysis.compare import Comparison
    from featstore.analysis.corruption_drop import CorruptionDrop
    from featstore.analysis.critical_difference import CriticalDifference
    from featstore.analysis.granularity_gap import GranularityGap
    from featstore.analysis.label_noise import LabelNoise
    from featstore.analysis.seeds_and_draws import SeedsAndDraws
    from featstore.bands import Bands
    from featstore.class_draws import ClassDraws
    from featstore.class_groups import ClassGroups
    from featstore.compaction import Compaction, compact
    from featstore.corrupted_copy import CorruptedCopy, corrupt_images
    from featstore.corruption_evaluation import corruption_drop
    from featstore.cross_domain_evaluation import cross_domain
    from featstore.cross_domain_table import CrossDomain
    from featstore.datasets import (
        ImageArrays,
        ImageFolder,
        ImageTable,
        TarImages,
        TorchImages,
        open_dataset,
    )
    from featstore.decisions import Decisions
    from featstore.differences import StoreDifference, diff
    from featstore.duplicate_search import Duplicates, duplicates
    from featstore.episode_draws import EpisodeDraws
    from featstore.episode_evaluation import episodes
    from featstore.errors import FeatstoreError
    from featstore.evaluate import probe
    from featstore.exports import Exported, export
    from featstore.exports.pooled import export_pool
    from featstore.extraction import Extraction, extract
    from featstore.feature_similarity import similarity
    from featstore.few_shot_result import FewShot
    from featstore.fused_view import FusedView
    from featstore.fusion_evaluation import fusion
    from featstore.fusion_table import FusionTable
    from featstore.handover import to_dask, to_dataset, to_xarray
    from featstore.holdout import HoldOut
    from featstore.html_report import report
    from featstore.image_prediction import ImagePredictions, predict
    from featstore.importation import Importation, import_features
    from featstore.imports import ForeignFeatures
    from featstore.many_runs import all_pairs, seeds_and_draws
    from featstore.merging import Merge, merge
    from featstore.mislabelled import label_noise
    from featstore.paired_runs import difficulty, gains, group_gains
    from featstore.pooled_set import Pool, pool
    from featstore.predictions import Predictions
    from featstore.probe_application import apply_probe
    from featstore.quantity_evaluation import quantity
    from featstore.quantity_result import Quantity
    from featstore.run import ProbeRun, compare, granularity_gap
    from featstore.run_calibration import Calibration, calibration
    from featstore.run_exports import ExportedRun, export_run
    from featstore.run_exports.card import model_card
    from featstore.samples import Samples, Target
    from featstore.shot_draws import ShotDraws
    from featstore.shot_evaluation import few_shot
    from featstore.similar_samples import Nearest, nearest
    from featstore.size_draws import SizeDraws
    from featstore.split_shift import Shift, shift
    from featstore.store import FeatureStore
    from featstore.study import Study, StudyPlan
    from featstore.subset import Subset
    from featstore.subset_drawing import draw_subsets
    from featstore.taxonomy import Taxonomy
    from featstore.tensors import load_tensor, tensor_batches
    from featstore.transform import Transform
    from featstore.verification import Finding, repair, verify
    from featstore.view import FeatureView

_HOMES = {
    "AllPairs": "analysis.all_pairs",
    "Bands": "bands",
    "Calibration": "run_calibration",
    "ClassDraws": "class_draws",
    "ClassGroups": "class_groups",
    "Compaction": "compaction",
    "Comparison": "analysis.compare",
    "CorruptedCopy": "corrupted_copy",
    "CorruptionDrop": "analysis.corruption_drop",
    "CriticalDifference": "analysis.critical_difference",
    "CrossDomain": "cross_domain_table",
    "Decisions": "decisions",
    "Duplicates": "duplicate_search",
    "EpisodeDraws": "episode_draws",
    "Exported": "exports",
    "ExportedRun": "run_exports",
    "Extraction": "extraction",
    "FeatstoreError": "errors",
    "FeatureStore": "store",
    "FeatureView": "view",
    "FewShot": "few_shot_result",
    "Finding": "verification",
    "ForeignFeatures": "imports",
    "FusedView": "fused_view",
    "FusionTable": "fusion_table",
    "GranularityGap": "analysis.granularity_gap",
    "HoldOut": "holdout",
    "ImageArrays": "datasets",
    "ImageFolder": "datasets",
    "ImageTable": "datasets",
    "ImagePredictions": "image_prediction",
    "Importation": "importation",
    "LabelNoise": "analysis.label_noise",
    "Merge": "merging",
    "Nearest": "similar_samples",
    "Pool": "pooled_set",
    "Predictions": "predictions",
    "ProbeRun": "run",
    "Quantity": "quantity_result",
    "Samples": "samples",
    "SeedsAndDraws": "analysis.seeds_and_draws",
    "Shift": "split_shift",
    "ShotDraws": "shot_draws",
    "SizeDraws": "size_draws",
    "StoreDifference": "differences",
    "Study": "study",
    "StudyPlan": "study",
    "Subset": "subset",
    "TarImages": "datasets",
    "Target": "samples",
    "Taxonomy": "taxonomy",
    "TorchImages": "datasets",
    "Transform": "transform",
    "all_pairs": "many_runs",
    "apply_probe": "probe_application",
    "calibration": "run_calibration",
    "compact": "compaction",
    "compare": "run",
    "corrupt_images": "corrupted_copy",
    "corruption_drop": "corruption_evaluation",
    "cross_domain": "cross_domain_evaluation",
    "diff": "differences",
    "difficulty": "paired_runs",
    "draw_subsets": "subset_drawing",
    "duplicates": "duplicate_search",
    "episodes": "episode_evaluation",
    "export": "exports",
    "export_pool": "exports.pooled",
    "export_run": "run_exports",
    "extract": "extraction",
    "few_shot": "shot_evaluation",
    "fusion": "fusion_evaluation",
    "gains": "paired_runs",
    "granularity_gap": "run",
    "group_gains": "paired_runs",
    "import_features": "importation",
    "label_noise": "mislabelled",
    "load_tensor": "tensors",
    "merge": "merging",
    "model_card": "run_exports.card",
    "nearest": "similar_samples",
    "open_dataset": "datasets",
    "pool": "pooled_set",
    "predict": "image_prediction",
    "probe": "evaluate",
    "quantity": "quantity_evaluation",
    "repair": "verification",
    "report": "html_report",
    "seeds_and_draws": "many_runs",
    "shift": "split_shift",
    "similarity": "feature_similarity",
    "tensor_batches": "tensors",
    "to_dask": "handover",
    "to_dataset": "handover",
    "to_xarray": "handover",
    "verify": "verification",
}

__all__ = [
    "AllPairs",
    "Bands",
    "Calibration",
    "ClassDraws",
    "ClassGroups",
    "Compaction",
    "Comparison",
    "CorruptedCopy",
    "CorruptionDrop",
    "CriticalDifference",
    "CrossDomain",
    "Decisions",
    "Duplicates",
    "EpisodeDraws",
    "Exported",
    "ExportedRun",
    "Extraction",
    "FeatstoreError",
    "FeatureStore",
    "FeatureView",
    "FewShot",
    "Finding",
    "ForeignFeatures",
    "FusedView",
    "FusionTable",
    "GranularityGap",
    "HoldOut",
    "ImageArrays",
    "ImageFolder",
    "ImagePredictions",
    "ImageTable",
    "Importation",
    "LabelNoise",
    "Merge",
    "Nearest",
    "Pool",
    "Predictions",
    "ProbeRun",
    "Quantity",
    "Samples",
    "SeedsAndDraws",
    "Shift",
    "ShotDraws",
    "SizeDraws",
    "StoreDifference",
    "Study",
    "StudyPlan",
    "Subset",
    "TarImages",
    "Target",
    "Taxonomy",
    "TorchImages",
    "Transform",
    "__version__",
    "all_pairs",
    "apply_probe",
    "calibration",
    "compact",
    "compare",
    "corrupt_images",
    "corruption_drop",
    "cross_domain",
    "diff",
    "difficulty",
    "draw_subsets",
    "duplicates",
    "episodes",
    "export",
    "export_pool",
    "export_run",
    "extract",
    "few_shot",
    "fusion",
    "gains",
    "granularity_gap",
    "group_gains",
    "import_features",
    "label_noise",
    "load_tensor",
    "merge",
    "model_card",
    "nearest",
    "open",
    "open_dataset",
    "plots",
    "pool",
    "predict",
    "probe",
    "quantity",
    "repair",
    "report",
    "seeds_and_draws",
    "shift",
    "similarity",
    "tables",
    "tensor_batches",
    "to_dask",
    "to_dataset",
    "to_xarray",
    "verify",
]


def open(location: str | Path, **options: Any) -> FeatureStore:  # noqa: A001 - read as fs.open
    """Open a store; see `featstore.store.FeatureStore.open`."""
    from featstore.store import FeatureStore

    return FeatureStore.open(location, **options)


def __getattr__(name: str) -> Any:
    if name in ("plots", "tables"):
        return importlib.import_module(f"featstore.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'featstore' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"featstore.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
