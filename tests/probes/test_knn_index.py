"""Indexes of faiss: recall that is measured, and bytes that stay."""

from __future__ import annotations

import io
import json

import faiss
import numpy as np
import pytest

from featstore.errors import InvalidInputError
from featstore.probes import InvertedLists, KNNProbe, NeighbourGraph
from featstore.probes.recall import Recall

KINDS = {
    "faiss": "faiss",
    "faiss-ivf": InvertedLists(nlist=20, nprobe=4),
    "faiss-hnsw": NeighbourGraph(M=8, ef_construction=40, ef_search=24),
}
APPROXIMATE = ["faiss-ivf", "faiss-hnsw"]


@pytest.fixture(scope="module")
def split(digits):
    X, y = digits
    X = X + 0.1 + 0.01 * np.random.default_rng(0).normal(size=X.shape)
    return X[:1400], y[:1400], X[1400:], y[1400:]


def overlap(one, other):
    return np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(one, other, strict=True)])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("engine", APPROXIMATE)
def test_recall_is_what_the_certificate_says(split, engine, metric):
    X, y, queries, truth = split
    probe = KNNProbe(10, metric=metric, engine=KINDS[engine]).fit(X, y)
    exact = KNNProbe(10, metric=metric).fit(X, y)
    certificate = probe.certificate_
    assert (certificate.engine, certificate.recall_queries) == (engine, 256)
    rows = np.linspace(0, 1399, 256).astype(int)
    on_training_rows = overlap(probe.kneighbors()[0][rows], exact.kneighbors()[0][rows])
    assert certificate.recall == pytest.approx(on_training_rows)
    assert 0.5 < certificate.recall < 1
    found = overlap(probe.kneighbors(queries)[0], exact.kneighbors(queries)[0])
    assert found == pytest.approx(certificate.recall, abs=0.1)
    assert probe.score(queries, truth) > 0.9


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("engine", [InvertedLists(20, 20), NeighbourGraph(32, 200, 1400)])
def test_a_search_through_everything_is_exact(split, engine, metric):
    X, y, queries, _ = split
    probe = KNNProbe(10, metric=metric, engine=engine).fit(X, y)
    assert probe.certificate_.recall > 0.999
    exact = KNNProbe(10, metric=metric).fit(X, y)
    np.testing.assert_allclose(
        probe.kneighbors(queries)[1], exact.kneighbors(queries)[1], atol=2e-5
    )
    np.testing.assert_array_equal(probe.predict(queries), exact.predict(queries))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("engine", [InvertedLists(100, 1), NeighbourGraph(2, 4, 1)])
def test_every_query_gets_its_k(split, engine, metric):
    X, y, queries, _ = split
    probe = KNNProbe(900, metric=metric, engine=engine).fit(X, y)
    neighbours, similarities = probe.kneighbors(queries)
    assert neighbours.min() >= 0
    assert all(len(np.unique(row)) == 900 for row in neighbours)
    assert (np.diff(similarities) <= 0).all()


def test_an_exact_search_has_nothing_to_measure(split):
    X, y, _, _ = split
    for engine in ("torch", "faiss"):
        certificate = KNNProbe(engine=engine).fit(X, y).certificate_
        assert (certificate.engine, certificate.recall, certificate.recall_queries) == (
            engine,
            1.0,
            0,
        )


def test_recall_counts_what_is_missing(split):
    X, y, _, _ = split
    exact = KNNProbe(5).fit(X, y)._search.search

    class Shifted:
        """Finds the 2nd to (k + 1)th nearest in place of the k nearest."""

        def __call__(self, queries, k):
            neighbours, similarities = exact(queries, k + 1)
            return np.delete(neighbours, 1, axis=1), np.delete(similarities, 1, axis=1)

    assert Recall.measure(Shifted(), exact, 5).share == pytest.approx(0.8)
    assert Recall.measure(exact, exact, 5) == Recall(1.0, 256)


@pytest.mark.parametrize("k", [1, 3])
def test_few_rows(k):
    X, y = np.random.default_rng(0).normal(size=(3, 2)), np.arange(3)
    for engine in ("faiss-ivf", "faiss-hnsw"):
        probe = KNNProbe(k, engine=engine).fit(X, y)
        np.testing.assert_array_equal(probe.kneighbors(X)[0][:, 0], y)


# Bytes


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("engine", KINDS)
def test_an_index_that_was_kept_is_the_index(split, tmp_path, engine, metric):
    X, y, queries, _ = split
    parameters = {"metric": metric, "engine": KINDS[engine]}
    probe = KNNProbe(10, **parameters).fit(X, y)
    (tmp_path / "digits.index").write_bytes(probe.index_bytes())
    again = KNNProbe(10, **parameters).fit_from_index((tmp_path / "digits.index").read_bytes(), y)
    for one, other in zip(again.kneighbors(queries), probe.kneighbors(queries), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.predict_proba(queries), probe.predict_proba(queries))
    np.testing.assert_array_equal(again.leave_one_out(), probe.leave_one_out())
    assert again.certificate_ == probe.certificate_
    assert again.n_features_in_ == 64
    assert again.index_bytes() == probe.index_bytes()


def test_other_labels_on_the_same_rows(split):
    X, y, queries, _ = split
    data = KNNProbe(engine="faiss-hnsw").fit(X, y).index_bytes()
    odd = np.where(y % 2, "odd", "even")
    again = KNNProbe("loo", ks=[1, 5], engine="faiss-hnsw").fit_from_index(data, odd)
    assert again.classes_.tolist() == ["even", "odd"]
    assert again.chosen_by_ == "leave-one-out"
    assert again.predict(queries).dtype.kind == "U"


def test_faiss_alone_reads_the_index(split):
    X, y, _, _ = split
    probe = KNNProbe(3, engine="faiss-ivf").fit(X, y)
    with np.load(io.BytesIO(probe.index_bytes())) as archive:
        index = faiss.deserialize_index(archive["index"])
        about = json.loads(str(archive["about"]))
    assert (index.ntotal, index.d, about["metric"], about["engine"]) == (
        1400,
        64,
        "cosine",
        "faiss-ivf",
    )


def test_bytes_of_something_else(split):
    X, y, queries, _ = split
    probe = KNNProbe(engine="faiss").fit(X, y)
    data = probe.index_bytes()
    other = io.BytesIO()
    np.savez(other, X=X)
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    for wrong in (b"", b"no archive", other.getvalue(), data[:-100], bytes(damaged)):
        with pytest.raises(InvalidInputError, match=rf"these {len(wrong)} bytes are no index"):
            KNNProbe(engine="faiss").fit_from_index(wrong, y)
    with pytest.raises(InvalidInputError, match="X has 1400 rows and y 5"):
        KNNProbe(1, engine="faiss").fit_from_index(data, y[:5])
    for parameters in ({"engine": "faiss-ivf"}, {"engine": "faiss", "metric": "euclidean"}):
        with pytest.raises(InvalidInputError, match="made by engine='faiss' for metric='cosine'"):
            KNNProbe(**parameters).fit_from_index(data, y)
    with pytest.raises(InvalidInputError, match="engine='torch' keeps no index"):
        KNNProbe().fit(X, y).index_bytes()
    with pytest.raises(ValueError, match="X has 3 features, but KNNProbe is expecting 64"):
        KNNProbe(engine="faiss").fit_from_index(data, y).predict(queries[:, :3])
