"""faiss: which instructions it uses, and whether its search finds what NumPy finds."""

from __future__ import annotations

import numpy as np

from featstore.installation.check import Check

_REINSTALL = "pip install --force-reinstall faiss-cpu"


def check_faiss() -> Check:
    """Search a few rows among a thousand, by inner product.

    Examples
    --------
    >>> check_faiss().state
    'ok'
    """
    try:
        import faiss
    except (ImportError, OSError) as error:
        return Check("faiss", "search", "problem", f"cannot be imported: {error}", _REINSTALL)
    rng = np.random.default_rng(0)
    base = rng.standard_normal((1000, 32), np.float32)
    index = faiss.IndexFlatIP(32)
    index.add(base)
    _, nearest = index.search(base[:50], 1)
    devices = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    found = f"faiss {faiss.__version__}, {faiss.get_compile_options().strip().lower()}"
    found += f", {devices} GPUs" if devices else ""
    if (nearest[:, 0] != (base[:50] @ base.T).argmax(axis=1)).any():
        return Check(
            "faiss", "search", "problem", f"{found}: other neighbours than NumPy", _REINSTALL
        )
    return Check("faiss", "search", "ok", found)
