"""MLPProbe against the same modules and optimiser of torch, and against linear probes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from digits_store import make_digits_store
from module_loop import module_loop
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from featstore.errors import InvalidInputError, MemoryCeilingError
from featstore.probes import LogisticProbe, MLPProbe
from featstore.probes.design import padded_width
from featstore.probes.row_feed import BLOCK_ROWS
from featstore.probes.sample_order import SampleOrder
from featstore.probes.standardisation import Standardisation
from featstore.probes.stream import RowStream

SHORT = {"widths": (48,), "epochs": 6, "batch_size": 128}
TAGS = ({0, 2, 4, 6, 8}, {5, 6, 7, 8, 9}, {7})


class SeededDropout(nn.Module):
    """Dropout of the same hidden units as the probe's."""

    def __init__(self, share, generator):
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, hidden):
        kept = torch.rand(hidden.shape[1], len(hidden), generator=self.generator) >= self.share
        return hidden * kept.T / (1 - self.share)


def perceptron(d, w, k, *, activation="gelu", dropout=0.0, seed=0):
    """Modules as torch starts them after its seed was set, and a generator in that state."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    first, last = nn.Linear(d, w), nn.Linear(w, k)
    torch.set_rng_state(state)
    generator = torch.Generator().manual_seed(seed)
    for size in (w * d, w, k * w, k):
        torch.empty(size).uniform_(generator=generator)
    act = {"gelu": nn.GELU, "relu": nn.ReLU}[activation]()
    return nn.Sequential(first, act, SeededDropout(dropout, generator), last)


def labels_of(y, kind):
    if kind == "two classes":
        return y % 2
    return np.stack([np.isin(y, list(tag)) for tag in TAGS], axis=1) if kind == "tags" else y


@pytest.mark.parametrize("kind", ["classes", "two classes", "tags"])
@pytest.mark.parametrize(("activation", "dropout"), [("gelu", 0.0), ("relu", 0.0), ("gelu", 0.25)])
def test_trajectory_is_that_of_torch(digits, kind, activation, dropout):
    X, y = digits
    y = labels_of(y, kind)
    k = y.shape[1] if y.ndim == 2 else len(np.unique(y))
    probe = MLPProbe(
        **SHORT, lrs=(3e-3,), weight_decays=(0.1,), activation=activation, dropout=dropout
    ).fit(X, y)
    standardised = StandardScaler().fit_transform(X)
    module = perceptron(64, 48, k, activation=activation, dropout=dropout)
    order = SampleOrder(len(X), batch_size=128, seed=0)
    n_steps = 6 * order.steps_per_epoch
    losses = module_loop(
        module,
        standardised,
        y,
        order.batch,
        lr=3e-3,
        weight_decay=0.1,
        betas=(0.9, 0.999),
        n_steps=n_steps,
        n_warmup=round(0.1 * n_steps),
    )
    sizes = [len(order.batch(step)) for step in range(order.steps_per_epoch)]
    expected = np.average(np.reshape(losses, (6, -1)), axis=1, weights=sizes)
    np.testing.assert_allclose(probe.curve_.loss, expected, rtol=1e-5)
    module[2].share = 0.0
    with torch.no_grad():
        logits = module(torch.from_numpy(standardised.astype(np.float32))).numpy()
    if kind == "two classes":
        logits = logits[:, 1] - logits[:, 0]
    np.testing.assert_allclose(probe.decision_function(X), logits, atol=1e-5 * np.abs(logits).max())


def test_first_steps_agree_to_rounding(digits):
    X, y = digits
    order = SampleOrder(len(X), batch_size=1797, seed=0)
    module = perceptron(64, 48, 10)
    standardised = StandardScaler().fit_transform(X)
    module_loop(
        module, standardised, y, order.batch,
        lr=1e-3, weight_decay=0.1, betas=(0.9, 0.999), n_steps=5, n_warmup=0,
    )  # fmt: skip
    probe = MLPProbe(widths=(48,), epochs=5, batch_size=1797, warmup=0.0, weight_decays=(0.1,)).fit(
        X, y
    )
    with torch.no_grad():
        logits = module(torch.from_numpy(standardised.astype(np.float32))).numpy()
    np.testing.assert_allclose(probe.decision_function(X), logits, atol=1e-5)


def test_heads_of_a_sweep_are_what_they_are_alone(digits):
    X, y = digits
    grid = MLPProbe(
        widths=(16, 48), lrs=(1e-3, 1e-2), weight_decays=(0.0, 0.1), epochs=4, dropout=0.1
    )
    queries = X[:200]
    swept = dict(grid.sweep(X, y, queries, [0, 3, 6, 5]))
    assert list(swept) == [0.0, 3.0, 6.0, 5.0]
    for head, proba in swept.items():
        alone = clone(grid).set_params(head=int(head)).fit(X, y)
        np.testing.assert_allclose(proba, alone.predict_proba(queries), atol=1e-4)
        settings = grid.heads[int(head)]
        assert alone.certificate_.width == settings.width
        assert alone.certificate_.lr == settings.lr
        assert alone.certificate_.weight_decay == settings.weight_decay


def test_scores_in_groups_are_those_in_one_pass(digits, monkeypatch):
    X, y = digits
    grid = MLPProbe(widths=(16,), lrs=(1e-3, 3e-3, 1e-2), epochs=2)
    whole = dict(grid.sweep(X, y, X[:50], range(3)))
    monkeypatch.setattr("featstore.probes.network_probe._SCORE_BYTES", 1)
    monkeypatch.setattr("featstore.probes.network_heads._PASS_BYTES", 1)
    for value, proba in grid.sweep(X, y, X[:50], range(3)):
        np.testing.assert_allclose(proba, whole[value], atol=1e-12)


def test_what_no_linear_probe_can_read(digits):
    """Is the sum of two digits even?  No sum of scores of the two images says so."""
    X, y = digits
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 1200, (2, 6000))
    c, d = rng.integers(1200, len(X), (2, 1000))
    train, test = ((np.c_[X[i], X[j]], (y[i] + y[j]) % 2) for i, j in ((a, b), (c, d)))
    linear = LogisticProbe(C=0.1).fit(*train).score(*test)
    perceptron = MLPProbe(widths=(256,), epochs=15).fit(*train).score(*test)
    assert linear < 0.6
    assert perceptron > 0.75


def test_tags_are_ranked_well(digits):
    X, y = digits
    tags = labels_of(y, "tags")
    probe = MLPProbe(lrs=(3e-3,), epochs=15).fit(X[:1200], tags[:1200])
    proba = probe.predict_proba(X[1200:])
    assert average_precision_score(tags[1200:], proba, average="macro") > 0.95
    np.testing.assert_array_equal(probe.predict(X[1200:]), proba > 0.5)


def test_constant_columns_and_far_columns(few_digits):
    X, y = few_digits
    probe = MLPProbe(**SHORT).fit(X, y)
    moved = MLPProbe(**SHORT).fit(X * 3.0 + 1000.0, y)
    np.testing.assert_allclose(
        moved.predict_proba(X * 3.0 + 1000.0), probe.predict_proba(X), atol=1e-5
    )
    constant = np.flatnonzero(X.std(axis=0) == 0)
    other = X.copy()
    other[:, constant] = 99.0  # never seen to vary: without a say
    np.testing.assert_array_equal(probe.predict_proba(other), probe.predict_proba(X))


def test_standardisation_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(1e4, rng.uniform(0.1, 10, 7), (5000, 7)) + np.arange(7) * 1e5
    X[:, 3] = 4.25
    stream = RowStream.of(MLPProbe(), X, reset=True)
    found = Standardisation.of(stream, torch.device("cpu"))
    expected = StandardScaler().fit(X)
    np.testing.assert_allclose(found.mean, expected.mean_, rtol=1e-13)
    varying = np.arange(7) != 3
    np.testing.assert_allclose(
        1 / found.scale.numpy()[varying], expected.scale_[varying], rtol=1e-9
    )
    assert found.scale[3] == 0


# Wherever the features lie


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_digits_store(tmp_path_factory.mktemp("mlp") / "digits.zarr")


def test_memory_modes_agree_to_the_bit(store):
    view = store.view(["pixels", "pca"], split="train")
    y = np.arange(len(view)) % 7
    arguments = {"widths": (32,), "epochs": 3, "batch_size": 300, "dropout": 0.1}

    def scores(X, **more):
        return MLPProbe(**arguments, **more).fit(X, y).decision_function(view)

    expected = scores(view.load())
    np.testing.assert_array_equal(scores(view), expected)
    np.testing.assert_array_equal(scores(torch.from_numpy(view.load())), expected)
    room = 4 * 300 * padded_width(80, bias=False) + 2 * BLOCK_ROWS * 80 * 4
    np.testing.assert_array_equal(scores(view, max_memory=room), expected)
    with pytest.raises(MemoryCeilingError, match="batches of 300 rows"):
        scores(view, max_memory=room - 1)


def test_same_seed_same_bits_other_seed_other_head(few_digits):
    X, y = few_digits
    one, same, other = (
        MLPProbe(**SHORT, dropout=0.2, seed=seed).fit(X, y).decision_function(X)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-2


def test_pickle(few_digits):
    X, y = few_digits
    probe = MLPProbe(**SHORT).fit(X, y)
    again = pickle.loads(pickle.dumps(probe))
    np.testing.assert_array_equal(again.predict_proba(X), probe.predict_proba(X))


# Mistakes


def test_divergence_is_said_with_the_settings(few_digits):
    X, y = few_digits
    with pytest.raises(InvalidInputError, match=r"diverged .* width=48, lr=1e\+30, .*\(epoch"):
        MLPProbe(**SHORT, lrs=(1e30,)).fit(X, y)
    probe = MLPProbe(**SHORT, lrs=(1e-3, 1e30))
    with pytest.warns(ConvergenceWarning, match=r"lr=1e\+30"):
        assert [value for value, _ in probe.sweep(X, y, X, [0, 1])] == [0.0]
    with pytest.raises(InvalidInputError, match="diverged"):
        list(probe.sweep(X, y, X, [1]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": 1}, r"head must lie in \[0, 1\), got 1"),
        ({"widths": ()}, "widths must be whole numbers"),
        ({"widths": (0,)}, r"from 1 on, at least one; got \[0\]"),
        ({"widths": (2.5,)}, "whole numbers"),
        ({"lrs": (-1.0,)}, "lrs must be finite numbers, not negative"),
        ({"weight_decays": (np.inf,)}, "weight_decays must be finite"),
        ({"activation": "tanh"}, "activation must be one of 'gelu', 'relu', got 'tanh'"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"warmup": 1.0}, "warmup must lie in"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"max_memory": "lots"}, "cannot read 'lots' as a size"),
    ],
)
def test_parameters_out_of_range(few_digits, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        MLPProbe(**arguments).fit(*few_digits)


def test_values_out_of_the_grid(few_digits):
    X, y = few_digits
    with pytest.raises(InvalidInputError, match=r"head must lie in \[0, 1\), got 4"):
        list(MLPProbe().sweep(X, y, X, [4]))


@pytest.mark.filterwarnings("ignore")  # checks that do not apply warn that they are skipped
def test_contract_of_scikit_learn():
    probe = MLPProbe(widths=(32,), lrs=(0.02,), epochs=15, batch_size=64)
    outcomes = check_estimator(probe, on_skip=None, on_fail=None)
    assert {o["check_name"]: o["exception"] for o in outcomes if o["status"] == "failed"} == {}


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(digits):
    X, y = digits
    cpu, cuda = (
        MLPProbe(**SHORT, dropout=0.1, device=device).fit(X, y).decision_function(X)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(cuda, cpu, atol=5e-3 * np.abs(cpu).max())
