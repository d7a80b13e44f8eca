"""The published kNN protocols, restated from their formulas, on the same features: same classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from featstore.presets import PRESETS
from featstore.probes import KNNProbe

N_CLASSES = 10


@pytest.fixture(scope="module")
def split(digits):
    """1,000 training and 797 test digits; noise, as integer pixels give many equal distances."""
    X, y = digits
    X = X + 0.1 + 0.01 * np.random.default_rng(0).normal(size=X.shape)
    X = X.astype(np.float32)
    return X[:1000], y[:1000], X[1000:]


def unit(X):
    return functional.normalize(torch.from_numpy(X), dim=1)


def dinov2(X, y, queries, ks, temperature):
    """KnnModule: softmax over the deepest list's similarities, cut to each k."""
    similarities, indices = (unit(queries) @ unit(X).T).topk(max(ks), largest=True, sorted=True)
    weights = torch.softmax(similarities / temperature, dim=1)
    votes = functional.one_hot(torch.from_numpy(y)[indices], N_CLASSES) * weights[:, :, None]
    return {k: votes[:, :k].sum(dim=1).argmax(dim=1).numpy() for k in ks}


def dino(X, y, queries, ks, temperature, chunks=100):
    """knn_classifier: queries in chunks of n // 100, which must not be 0; exp of similarities."""
    chunk = max(len(queries) // chunks, 1)
    predicted = {k: [] for k in ks}
    for start in range(0, len(queries), chunk):
        similarity = unit(queries[start : start + chunk]) @ unit(X).T
        for k in ks:
            values, indices = similarity.topk(k)
            one_hot = torch.zeros(len(values) * k, N_CLASSES)
            one_hot.scatter_(1, torch.from_numpy(y)[indices].reshape(-1, 1), 1)
            weights = (values / temperature).exp().unsqueeze(-1)
            scores = (one_hot.view(len(values), k, N_CLASSES) * weights).sum(dim=1)
            predicted[k].append(scores.sort(dim=1, descending=True).indices[:, 0].numpy())
    return {k: np.concatenate(parts) for k, parts in predicted.items()}


def instance_discrimination(X, y, queries, ks, temperature):
    """Wu et al. 2018, section 3.4: class i gets the sum of α = exp(s / τ) over its neighbours."""
    S = unit(queries).double().numpy() @ unit(X).double().numpy().T
    predicted = {}
    for k in ks:
        nearest = np.argsort(-S, axis=1, kind="stable")[:, :k]
        alpha = np.exp(np.take_along_axis(S, nearest, axis=1) / temperature)
        votes = np.stack(
            [(alpha * (y[nearest] == i)).sum(axis=1) for i in range(N_CLASSES)], axis=1
        )
        predicted[k] = votes.argmax(axis=1)
    return predicted


def lightly(X, y, queries, ks, temperature):
    """knn_predict: the bank as columns, scores scattered and summed, classes sorted by them."""
    bank, labels = unit(X).T.contiguous(), torch.from_numpy(y)
    predicted = {}
    for k in ks:
        weight, index = torch.mm(unit(queries), bank).topk(k=k, dim=-1)
        classes = torch.gather(labels.expand(len(queries), -1), -1, index)
        scores = torch.zeros(len(queries), N_CLASSES)
        scores.scatter_add_(1, classes, (weight / temperature).exp())
        predicted[k] = scores.argsort(dim=-1, descending=True)[:, 0].numpy()
    return predicted


def radio(X, y, queries, ks, temperature):
    """As Wu et al., over training rows that come in parts whose best are merged."""
    parts = torch.from_numpy(X).split(300)
    predicted = {}
    for k in ks:
        found = [(unit(queries) @ unit(part.numpy()).T).topk(k) for part in parts]
        starts = np.cumsum([0, *map(len, parts)])
        values = torch.cat([one.values for one in found], dim=1)
        rows = torch.cat([f.indices + int(s) for f, s in zip(found, starts, strict=False)], dim=1)
        values, order = values.topk(k)
        labels = torch.from_numpy(y)[rows.gather(1, order)]
        votes = torch.zeros(len(queries), N_CLASSES)
        votes.scatter_add_(1, labels, (values / temperature).exp())
        predicted[k] = votes.argmax(dim=1).numpy()
    return predicted


PROTOCOLS = {
    "dinov2-knn": dinov2,
    "dino-knn": dino,
    "instdisc-knn": instance_discrimination,
    "radio-knn": radio,
}


@pytest.mark.parametrize("engine", ["torch", "faiss"])
@pytest.mark.parametrize("n_test", [1, 99, 100, 101, 797])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_presets_predict_what_their_originals_do(split, name, n_test, engine):
    X, y, queries = split
    preset, queries = PRESETS[name], queries[:n_test]
    ks = [int(k) for k in preset.values]
    probe = KNNProbe(max(ks), **preset.arguments, engine=engine).fit(X, y)
    expected = PROTOCOLS[name](X, y, queries, ks, preset.arguments["temperature"])
    for k, proba in zip(ks, probe.predict_proba_grid(queries, ks), strict=True):
        np.testing.assert_array_equal(probe.classes_[proba.argmax(axis=1)], expected[k])


def test_lightly_predicts_the_same(split):
    X, y, queries = split
    expected = lightly(X, y, queries, [200], 0.1)[200]
    np.testing.assert_array_equal(
        KNNProbe(200, temperature=0.1).fit(X, y).predict(queries), expected
    )


def test_probabilities_are_those_of_dinov2(split):
    X, y, queries = split
    similarities, indices = (unit(queries) @ unit(X).T).topk(20)
    weights = torch.softmax(similarities / 0.07, dim=1)
    expected = (functional.one_hot(torch.from_numpy(y)[indices], 10) * weights[:, :, None]).sum(1)
    proba = KNNProbe(20).fit(X, y).predict_proba(queries)
    np.testing.assert_allclose(proba, expected, atol=1e-5)
