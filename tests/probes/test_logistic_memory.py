"""A ceiling on memory changes the way, and not the optimum."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from digits_store import make_digits_store
from sklearn.exceptions import ConvergenceWarning

from featstore.errors import InvalidInputError, MemoryCeilingError
from featstore.probes import GramBasis, LogisticProbe, logistic_path
from featstore.probes.centred_rows import CentredRows, row_blocks, row_norms
from featstore.probes.stream import RowStream
from featstore.probes.working_memory import WorkingMemory
from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling
from featstore.store import FeatureStore

STREAMED = 1_500_000  # bytes: too few for the working copy of 1,000 x 80 numbers and its logits


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_digits_store(tmp_path_factory.mktemp("logistic") / "digits.zarr")


def way(probe, X, y):
    memory = probe.problem(X, y).memory
    return memory.fused, memory.streams


def targets(y, kind):
    if kind == "indicator":
        return np.stack([y > 4, y == 3, y % 2 == 0], axis=1)
    return y % 2 if kind == "binary" else y


@pytest.mark.parametrize("kind", ["softmax", "binary", "indicator", "ovr"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("C", [1e-3, 1.0])
def test_every_way_leads_to_the_optimum(digits, oracle, kind, dtype, C):
    X, y = digits
    labels = targets(y, kind)
    options = {"dtype": dtype, "multi_class": "ovr" if kind == "ovr" else "multinomial"}
    truth = oracle(X, np.eye(10, dtype=bool)[y] if kind == "ovr" else labels, C)
    ways = set()
    for ceiling in (STREAMED, 4_000_000, None):
        probe = LogisticProbe(C, **options, max_memory=ceiling)
        ways.add(way(probe, X, labels))
        probe.fit(X, labels)
        assert abs(truth.suboptimality(probe)) <= 1e-6
        found = probe.certificate_
        assert found.converged
        assert found.objective == pytest.approx(
            truth.value(probe.coef_, probe.intercept_), rel=1e-10
        )
        assert found.objective - truth.minimum <= found.gap_bound + 1e-12
        assert found.gap_bound <= 1e-4 * found.objective
    assert {(True, True), (False, False)} <= ways


@pytest.mark.parametrize("max_iter", [1, 3, 10])
def test_the_bound_holds_on_the_way(digits, oracle, max_iter):
    X, y = digits
    truth = oracle(X, y, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe = LogisticProbe(max_iter=max_iter, max_memory=STREAMED).fit(X, y)
    found = probe.certificate_
    assert found.n_iter == max_iter
    assert found.objective - truth.minimum <= found.gap_bound + 1e-12
    assert truth.suboptimality(probe) <= found.relative_gap


def test_an_iteration_is_hardly_more_than_a_pass(digits):
    X, y = digits
    bounded = LogisticProbe(1.0, max_memory=STREAMED).fit(X, y).certificate_
    free = LogisticProbe(1.0).fit(X, y).certificate_
    assert bounded.solver == "kfac-lbfgs float64 in passes"
    assert bounded.passes <= 1.3 * bounded.n_iter + 6
    assert bounded.passes <= 2 * free.passes


def test_weights_in_passes(digits):
    X, y = digits
    weights = np.random.default_rng(0).exponential(size=len(y)) ** 2
    one, other = (
        LogisticProbe(0.1, tol=1e-12, class_weight="balanced", max_memory=ceiling).fit(
            X, y, weights
        )
        for ceiling in (STREAMED, None)
    )
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-5)


@pytest.mark.parametrize("features", [["pixels"], ["pixels", "pca"]])
@pytest.mark.parametrize("kind", ["none", "l2", "standardise"])
def test_views_are_read_in_every_pass(store, features, kind):
    view = store.view(features, split="train")
    scaling = BlockScaling.fit(view, kind)
    y = np.arange(1000) % 7
    loaded = LogisticProbe(0.1, tol=1e-9).fit(scaling.apply(view), y)
    bounded = store.view(features, split="train", max_memory=60_000)
    assert way(LogisticProbe(), bounded, y) == (True, True)
    streamed = LogisticProbe(0.1, tol=1e-9).fit(ScaledView(bounded, scaling), y)
    np.testing.assert_allclose(streamed.coef_, loaded.coef_, atol=1e-3 * abs(loaded.coef_).max())
    for probe in (streamed, loaded):
        assert probe.certificate_.objective == pytest.approx(
            loaded.certificate_.objective, rel=1e-8
        )


def test_rows_out_of_order(store):
    rows = np.random.default_rng(0).permutation(1000)[:900]
    view = store.view("pixels", rows=rows, max_memory=60_000)
    y = np.arange(900) % 3
    streamed = LogisticProbe(tol=1e-10).fit(view, y)
    loaded = LogisticProbe(tol=1e-10).fit(store.view("pixels", rows=rows).load(), y)
    np.testing.assert_allclose(streamed.coef_, loaded.coef_, atol=1e-5)


def test_same_input_same_bits(store):
    view = store.view(["pixels", "pca"], split="train")
    y = np.arange(1000) % 7
    one, other = (LogisticProbe(max_memory=STREAMED, seed=3).fit(view, y) for _ in range(2))
    assert one.coef_.tobytes() == other.coef_.tobytes()
    assert one.certificate_ == other.certificate_


def test_a_path_and_a_sweep_in_passes(store):
    view = store.view(["pixels", "pca"], split="train")
    queries = store.view(["pixels", "pca"], split="test")
    y = np.arange(1000) % 7
    bounded = LogisticProbe(tol=1e-8, max_memory=STREAMED)
    swept = dict(bounded.sweep(view, y, queries, [1.0, 0.01]))
    for probe in logistic_path(view, y, [1.0, 0.01], tol=1e-8):
        np.testing.assert_allclose(swept[probe.C], probe.predict_proba(queries), atol=1e-4)


def test_a_basis_serves_where_logits_do_not_fit(digits):
    X, y = digits
    basis = GramBasis.of(X)
    probe = LogisticProbe(max_memory=2_500_000, tol=1e-9)
    assert probe.problem(X, y, basis=basis).memory.fused
    assert not probe.problem(X, y, basis=basis).memory.streams
    bounded = probe.fit(X, y, basis=basis)
    free = LogisticProbe(tol=1e-9).fit(X, y, basis=basis)
    np.testing.assert_allclose(bounded.coef_, free.coef_, atol=1e-3)


def test_fewer_rows_than_columns(digits, oracle):
    X, y = digits[0][:50], digits[1][:50]
    probe = LogisticProbe(max_memory=STREAMED).fit(X, y)
    assert abs(oracle(X, y, 1.0).suboptimality(probe)) <= 1e-6


def test_thousands_of_classes():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(2000), 2)
    X = (rng.normal(size=(2000, 16))[y] + 0.5 * rng.normal(size=(4000, 16))).astype("f4")
    probe = LogisticProbe(1.0, tol=1e-3, max_memory="40MB")
    assert way(probe, X, y) == (True, False)
    probe.fit(X, y)
    assert probe.certificate_.converged
    assert probe.certificate_.gap_bound < probe.certificate_.objective
    assert probe.score(X[:2000], y[:2000]) > 0.2


def test_too_low_a_ceiling(digits):
    with pytest.raises(MemoryCeilingError, match="64 features and 10 columns of logits takes"):
        LogisticProbe(max_memory=100_000).fit(*digits)
    with pytest.raises(InvalidInputError, match="cannot read 'lots' as a size"):
        LogisticProbe(max_memory="lots").fit(*digits)


def test_rows_that_are_not_finite_are_named(new_store: Callable[..., FeatureStore]):
    X = np.random.default_rng(0).normal(size=(1000, 60)).astype(np.float32)
    X[7, 3] = np.inf
    y = np.arange(1000) % 3

    class Broken:
        shape, dtype, max_memory = X.shape, X.dtype, 1_000_000
        ids = np.asarray([f"{i}.jpg" for i in range(1000)])

        def __len__(self):
            return 1000

        def batches(self, size=None):
            return iter(np.array_split(X, 10))

        def array(self):
            return X

    for ceiling in (1_000_000, None):
        Broken.max_memory = ceiling
        with pytest.raises(InvalidInputError, match=r"NaN or infinity: 7\.jpg \(row 7\)"):
            LogisticProbe(dtype="float32").fit(Broken(), y)


def test_bfloat_features_are_their_float32_values(digits):
    X, y = digits
    brain = torch.from_numpy(X * 1.01).bfloat16()
    wide = brain.float().numpy()
    for ceiling in (None, STREAMED):
        probe = LogisticProbe(0.1, tol=1e-10, max_memory=ceiling).fit(brain, y)
        exact = LogisticProbe(0.1, tol=1e-10).fit(wide, y)
        np.testing.assert_allclose(probe.coef_, exact.coef_, atol=1e-5)
        np.testing.assert_array_equal(probe.predict_proba(brain), probe.predict_proba(wide))
    rounded = LogisticProbe(0.1).fit(X * 1.01, y).predict_proba(X * 1.01)
    np.testing.assert_allclose(exact.predict_proba(wide), rounded, atol=0.02)


@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centred_rows(stored, dtype):
    X = (np.random.default_rng(0).normal(size=(700, 5)) + 100).astype(stored)
    mean = torch.from_numpy(X.mean(axis=0, dtype=np.float64)).float().double()
    design = CentredRows(RowStream.of_array(X), mean, dtype)
    expected = torch.from_numpy(X.astype(np.float64)) - mean
    found = torch.cat([block for _, block in row_blocks(design, 300, torch.float64)])
    tolerance = 1e-6 if dtype == torch.float32 else 0.0
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=0.0)
    torch.testing.assert_close(row_norms(design), expected.norm(dim=1), rtol=1e-6, atol=0.0)
    torch.testing.assert_close(design.take(torch.tensor([5, 1])), expected[[5, 1]])


@pytest.mark.parametrize("k", [1, 10, 1000])
@pytest.mark.parametrize("d", [64, 1280])
def test_lower_ceilings_do_without_more(k, d):
    sizes = {"working_bytes": 4, "stored_bytes": 2}
    seen = []
    for ceiling in np.logspace(12, 6, 60):
        try:
            memory = WorkingMemory.within(int(ceiling), (10**6, d), k, **sizes)
        except MemoryCeilingError:
            break
        seen.append((memory.fused, memory.streams))
    assert seen == sorted(seen)
    assert seen[0] == (False, False)
    assert seen[-1] == (True, True)


PEAK = """
import sys, threading, time
import numpy as np

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

import torch
torch.set_num_threads(1)
from featstore.probes import LogisticProbe
from featstore.store import FeatureStore

path, ceiling, k = sys.argv[1], int(sys.argv[2]) or None, int(sys.argv[3])
rng = np.random.default_rng(0)
small = rng.normal(size=(400, 8))
LogisticProbe(max_memory=100_000_000).fit(small, np.arange(400) % k)  # libraries are loaded now
view = FeatureStore.open(path).view("wide")
y = np.arange(len(view)) % k
peak, done = 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, anonymous())
        time.sleep(0.002)

before = anonymous()
thread = threading.Thread(target=watch)
thread.start()
probe = LogisticProbe(1e-3, tol=1e-3, max_memory=ceiling, dtype="float32").fit(view, y)
done = True
thread.join()
print(peak - before, probe.certificate_.solver)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("k", [10, 200])
def test_memory_stays_below_the_ceiling(new_store: Callable[..., FeatureStore], k):
    """100 MB of features in float16, 200 MB of them in float32, and 100,000 k logits."""
    n, d = 100_000, 500
    X = np.random.default_rng(0).normal(size=(n, d)).astype(np.float16)
    store = new_store(n, wide=X)
    ceiling = 120_000_000
    peaks = {}
    for allowed in (ceiling, 0):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PEAK), str(store.path), str(allowed), str(k)],
            capture_output=True,
            text=True,
            check=True,
        )
        size, solver = done.stdout.split(maxsplit=1)
        peaks[allowed] = int(size)
        assert ("in passes" in solver) == bool(allowed)
    assert peaks[ceiling] <= ceiling
    assert peaks[0] >= 1.5 * ceiling
