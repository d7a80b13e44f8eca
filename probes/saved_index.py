"""Saved index: a faiss index and what belongs to it, as bytes that stay.

An npz archive without pickles: ``index`` (the bytes of faiss), ``centre`` (what is subtracted from
rows for a euclidean search) and ``about`` (JSON).  Without featstore,
``faiss.deserialize_index(np.load(file)["index"])`` reads the index.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from featstore.errors import InvalidInputError
from featstore.probes.faiss_search import FaissSearch, index_named
from featstore.probes.recall import Recall
from featstore.probes.row_maps import CentredRows, UnitRows
from featstore.probes.row_search import RowSearch
from featstore.probes.search_budget import SearchBudget

_VERSION = 1


def to_bytes(found: RowSearch) -> bytes:
    """Write the index of a search as an archive.

    Raises
    ------
    InvalidInputError
        If it has none.
    """
    if not isinstance(found.search, FaissSearch):
        raise InvalidInputError(
            "engine='torch' keeps no index; use 'faiss', 'faiss-ivf' or 'faiss-hnsw'"
        )
    settings = found.search.settings
    about = {
        "version": _VERSION,
        "metric": found.metric,
        "engine": settings.name,
        "settings": asdict(settings),
        "recall": asdict(found.recall),
    }
    centre = np.empty(0)
    if isinstance(found.prepare, CentredRows):
        centre = found.prepare.centre.numpy()
    file = io.BytesIO()
    np.savez(
        file,
        index=found.search.serialised(),
        centre=centre,
        about=np.asarray(json.dumps(about)),
    )
    return file.getvalue()


def from_bytes(data: bytes) -> tuple[RowSearch, str]:
    """Return the search and its engine, from what `to_bytes` has written.

    Only from where you trust: faiss checks little.

    Raises
    ------
    InvalidInputError
        If it is something else, or damaged.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            about: dict[str, Any] = json.loads(str(archive["about"]))
            index, centre = archive["index"], archive["centre"]
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInputError(
            f"these {len(data)} bytes are no index that KNNProbe.index_bytes has written, or a "
            "damaged one; make it again"
        ) from error
    if about["version"] != _VERSION:
        raise InvalidInputError(
            f"the index has version {about['version']}, this featstore reads version {_VERSION}; "
            "make it again"
        )
    search = FaissSearch.deserialised(index, index_named(about["engine"], **about["settings"]))
    restored = RowSearch(
        search,
        CentredRows(torch.from_numpy(centre)) if about["metric"] == "euclidean" else UnitRows(),
        about["metric"],
        Recall(**about["recall"]),
        SearchBudget(search.n_train, search.n_features, itemsize=4, view_bytes=0, k=1),
        room=None,
        device=torch.device("cpu"),
    )
    return restored, about["engine"]
