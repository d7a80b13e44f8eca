"""safetensors, as the library writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from featstore.errors import InvalidInputError


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_read(tmp_path: Path, X, y, read, values, dtype: torch.dtype) -> None:
    tensor = torch.from_numpy(X).to(dtype)
    save_file({"features": tensor, "labels": torch.from_numpy(y)}, tmp_path / "f.safetensors")
    found = read(tmp_path / "f.safetensors")
    np.testing.assert_array_equal(values(found), tensor.to(torch.float64).numpy())
    np.testing.assert_array_equal(found.targets["labels"].codes, y)
    assert found.values.precision == str(dtype).removeprefix("torch.")
    assert found.ids is None


def test_truncated(tmp_path: Path, X, read) -> None:
    path = tmp_path / "f.safetensors"
    save_file({"features": torch.from_numpy(X)}, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InvalidInputError, match="cannot be read as a safetensors file"):
        read(path)


def test_integers_are_no_features(tmp_path: Path, X, read) -> None:
    save_file({"features": torch.from_numpy((X * 9).astype(np.int8))}, tmp_path / "f.safetensors")
    with pytest.raises(InvalidInputError, match="no matrix of floats"):
        read(tmp_path / "f.safetensors")
    with pytest.raises(InvalidInputError, match="holds I8"):
        read(tmp_path / "f.safetensors", key="features")
