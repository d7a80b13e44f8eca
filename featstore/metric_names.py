"""Metrics as people call them."""

from __future__ import annotations

METRIC_NAMES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_per_class": "mean per class",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "macro_f1_tuned": "macro F1, tuned",
    "micro_f1_tuned": "micro F1, tuned",
    "mAP": "mAP",
    "mAP_11": "11-point mAP",
    "micro_mAP": "micro mAP",
}


def metric_name(metric: str) -> str:
    """Return what a metric is called in a table.

    Examples
    --------
    >>> metric_name("top1"), metric_name("another_one")
    ('top-1', 'another one')
    """
    return METRIC_NAMES.get(metric, metric.replace("_", " "))


def axis_name(metric: str) -> str:
    """Return what a metric is called along an axis.

    Examples
    --------
    >>> axis_name("top1"), axis_name("mAP")
    ('top-1 accuracy', 'mAP')
    """
    accuracies = ("top1", "top5", "mean_per_class")
    return metric_name(metric) + (" accuracy" if metric in accuracies else "")
