"""Both probes keep scikit-learn's contract, and the package loads lazily."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator

import featstore.probes
from featstore.probes import KNNProbe, LogisticProbe, NeighbourGraph

SHARES = {
    "check_classifiers_multilabel_output_format_predict_proba": (
        "wants probabilities in the open interval (0, 1); a share of votes may be 0 or 1"
    ),
}
KNN_EXCEPTIONS = SHARES | {
    "check_methods_subset_invariance": (
        "wants 1e-7; float32 products of another number of queries differ by 1e-7, "
        "and 1 / temperature multiplies that"
    ),
}
LOGISTIC_EXCEPTIONS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "wants 1e-7; a relative gap of 1e-6 leaves 1e-3 of a probability"
    ),
}


@pytest.mark.parametrize(
    ("probe", "exceptions"),
    [
        (LogisticProbe(), LOGISTIC_EXCEPTIONS),
        (LogisticProbe(tol=1e-18), {}),
        (LogisticProbe(multi_class="ovr", class_weight="balanced"), LOGISTIC_EXCEPTIONS),
        (KNNProbe(k=3), KNN_EXCEPTIONS),
        (KNNProbe("loo", ks=[1, 3], temperatures=[0.07, 0.5]), SHARES),
        (KNNProbe(3, metric="euclidean", weights="distance", engine="faiss"), SHARES),
        (KNNProbe(3, engine=NeighbourGraph(8)), SHARES),
    ],
)
def test_contract_of_scikit_learn(probe, exceptions):
    with warnings.catch_warnings():
        # Checks that do not apply are skipped with a warning, and some fit hopeless problems.
        warnings.simplefilter("ignore")
        outcomes = check_estimator(
            probe, expected_failed_checks=exceptions, on_skip=None, on_fail=None
        )
    failures = {o["check_name"]: o["exception"] for o in outcomes if o["status"] == "failed"}
    assert failures == {}
    failed_as_expected = {o["check_name"] for o in outcomes if o["status"] == "xfail"}
    assert failed_as_expected == set(exceptions)


def test_importing_the_package_imports_no_heavy_library():
    heavy = "torch faiss sklearn scipy"
    code = (
        "import sys, featstore.probes as p; p.__all__; dir(p); "
        f"print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_export_exists():
    for name in featstore.probes.__all__:
        assert getattr(featstore.probes, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'typo'"):
        featstore.probes.typo  # noqa: B018
