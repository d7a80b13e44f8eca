"""scikit-learn: the scaling and the head of a run as a fitted pipeline, without featstore."""

from __future__ import annotations

from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, Normalizer, StandardScaler

from featstore.head import Head
from featstore.new_file import new_file
from featstore.optional import import_optional
from featstore.run_exports.model import RunModel


def write_skops(model: RunModel, path: Path) -> None:
    """Write the pipeline by skops: a file that runs no code when it is loaded."""
    skops = import_optional("skops.io", extra="export")
    with new_file(path) as temporary:
        skops.dump(pipeline(model), temporary)


def write_joblib(model: RunModel, path: Path) -> None:
    """Write the pipeline by joblib: a pickle, to be loaded only from where one trusts."""
    import joblib

    with new_file(path) as temporary:
        joblib.dump(pipeline(model), temporary)


def pipeline(model: RunModel) -> Pipeline:
    """Return a fitted pipeline from features (n, d) to probabilities.

    ``predict_proba`` gives what the run's probe gives, ``predict`` names of classes, or for a
    multi-label run 0 and 1 at one half.  The last step is a `LogisticRegression` that holds the
    head's weights, whatever probe they come from: scores times the link's slope are its logits.

    Parameters
    ----------
    model
        Of a linear run.
    """
    head, slope = model.head, model.link.slope
    coef, intercept = head.coef * slope, head.intercept * slope
    steps = _scaling(head, coef)
    names = np.asarray(model.classes)
    classifier: Any
    if model.link.kind == "sigmoid":
        classifier = _one_per_label(coef, intercept, len(names))
    else:
        classifier = logistic(coef, intercept, names)
    return Pipeline([*steps, ("classifier", classifier)])


def _scaling(head: Head, coef: NDArray[np.floating]) -> list[tuple[str, Any]]:
    """Make a step of the scaling; weights of columns that were constant become 0 in place."""
    scaling, d = head.scaling, head.coef.shape[1]
    if scaling.kind == "none":
        return []
    if scaling.kind == "l2":
        bounds = [0, *accumulate(scaling.dims)]
        blocks = [
            (f"block{i}", Normalizer("l2"), list(range(start, stop)))
            for i, (start, stop) in enumerate(pairwise(bounds))
        ]
        # Normalisers learn nothing; the fit records the columns.
        return [("scaling", ColumnTransformer(blocks).fit(np.zeros((1, d))))]
    constant = scaling.scale == 0
    coef[:, constant] = 0
    scaler = StandardScaler()
    scaler.mean_ = scaling.mean.astype(np.float64)
    scaler.scale_ = 1 / np.where(constant, 1.0, scaling.scale.astype(np.float64))
    scaler.var_ = np.square(scaler.scale_)
    scaler.n_features_in_, scaler.n_samples_seen_ = d, 1
    return [("scaling", scaler)]


def logistic(
    coef: NDArray[np.floating], intercept: NDArray[np.floating], classes: NDArray[Any]
) -> LogisticRegression:
    """Return a fitted `LogisticRegression` with these weights.

    Examples
    --------
    >>> halves = logistic(np.array([[1.0]]), np.zeros(1), np.array(["no", "yes"]))
    >>> halves.predict_proba([[0.0]]).tolist(), halves.predict([[2.0]]).tolist()
    ([[0.5, 0.5]], ['yes'])
    """
    fitted = LogisticRegression()
    fitted.coef_ = np.asarray(coef, np.float64)
    fitted.intercept_ = np.asarray(intercept, np.float64)
    fitted.classes_ = classes
    fitted.n_features_in_ = coef.shape[1]
    fitted.n_iter_ = np.zeros(1, np.int32)
    return fitted


def _one_per_label(
    coef: NDArray[np.floating], intercept: NDArray[np.floating], n_labels: int
) -> OneVsRestClassifier:
    sides = np.asarray([0, 1])
    fitted = OneVsRestClassifier(LogisticRegression())
    fitted.estimators_ = [
        logistic(coef[i : i + 1], intercept[i : i + 1], sides) for i in range(n_labels)
    ]
    # An indicator of the labels tells it that several may hold at once.
    fitted.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(
        np.ones((1, n_labels), np.int64)
    )
    fitted.n_features_in_ = coef.shape[1]
    return fitted
