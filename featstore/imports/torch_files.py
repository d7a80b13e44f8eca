"""torch: tensors and dictionaries of them, and the file pairs of CLIP_benchmark and DINO.

CLIP_benchmark writes ``features_train.pt`` with ``targets_train.pt`` and the same for ``val``;
DINO's ``eval_knn.py`` writes ``trainfeat.pth`` with ``trainlabels.pth`` and the same for ``test``.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from featstore.errors import InvalidInputError
from featstore.imports.files import in_order, readable
from featstore.imports.pickled_arrays import arrays_allowed, unpickled
from featstore.imports.source import Column, Source, chosen_key, stacked_files
from featstore.imports.values import MappedValues, Values, check_floats
from featstore.splits import is_split

_KIND = "a torch file"
#: Name of a file of features, and of the file of its labels.
_PAIRS = (
    (re.compile(r"(?:.*_)?features_(?P<split>[^.]+)"), ("features_", ("targets_", "labels_"))),
    (re.compile(r"(?P<split>[a-z]+)feat"), ("feat", ("labels",))),
)
#: What vectors are called that belong to a layer or a whole set, not to an image.
_NO_ID = re.compile(
    r"(?:.*\.)?(?:running_)?(?:mean|std|var|variance|scale|shift|offset|center|centre|norm|min|max|"
    r"median|mu|sigma|weight|bias|gamma|beta)",
    re.IGNORECASE,
)


def read(path: Path, key: str | None) -> Source:
    """Read a file, or the feature files of a folder with their labels."""
    if path.is_file():
        return _read_file(path, key)
    files = [file for file in in_order(path, ".pt", ".pth") if _split(file)]
    if not files:
        raise InvalidInputError(
            f"no file in {path} has a name like features_train.pt or trainfeat.pth; give the files "
            "themselves: train=FILE test=FILE"
        )
    return stacked_files(files, lambda file: _read_file(file, key), "folder of torch files", path)


def load_column(path: Path) -> Any:
    """Load a file that holds labels or ids: a tensor, or a list."""
    found = _load(path)
    return found.numpy() if hasattr(found, "numpy") else found


def _read_file(path: Path, key: str | None) -> Source:
    found = _load(path)
    if not isinstance(found, dict):
        return _pair(path, _tensor_values(found, path), key)
    if _is_by_id(found) and key is None:
        return _by_id(found, path)
    tensors = {name: value for name, value in found.items() if hasattr(value, "shape")}
    arrays = {
        str(name): (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in tensors.items()
    }
    key = chosen_key(arrays, key, path)
    values = _tensor_values(tensors[key], path, key)
    n = values.shape[0]
    lengths = {str(name): _length(value) for name, value in found.items() if name != key}
    columns: dict[str, Column] = {
        str(name): partial(_plain, value)
        for name, value in found.items()
        if lengths.get(str(name)) == n
    }
    misfits = {name: length for name, length in lengths.items() if length not in (n, -1)}
    return Source(values, "dictionary of tensors", columns, misfits)


def _is_by_id(found: Mapping[Any, Any]) -> bool:
    """Whether a dictionary has a vector for each id, all of one length."""
    shapes = {tuple(getattr(value, "shape", ())) for value in found.values()}
    return len(shapes) == 1 and len(shapes.pop()) == 1


def _by_id(found: Mapping[Any, Any], path: Path) -> Source:
    import torch

    if all(_NO_ID.fullmatch(str(name)) for name in found):
        raise InvalidInputError(
            f"{path} holds one vector each for {', '.join(map(str, found))}: statistics or "
            "weights, by their names, and not the features of images. If these are ids, save the "
            "vectors as a matrix with them: torch.save({'features': X, 'id': ids}, FILE)"
        )
    vectors = list(found.values())
    with readable(path, _KIND):
        values = np.stack(vectors) if isinstance(vectors[0], np.ndarray) else torch.stack(vectors)
    columns: dict[str, Column] = {"id": partial(list, found)}
    return Source(_tensor_values(values, path), "dictionary of vectors by id", columns)


def _pair(path: Path, values: Values, key: str | None) -> Source:
    """Add the labels that lie in a file of their own, and the split that both are named by."""
    if key is not None:
        raise InvalidInputError(f"{path} holds one tensor without a name; leave --key out")
    columns: dict[str, Column] = {}
    labels, split = _labels_file(path), _split(path)
    notes = []
    if labels is not None:
        columns["label"] = partial(load_column, labels)
        notes.append(f"labels of {path.name} are taken from {labels.name} beside it")
    if split and is_split(split):
        columns["split"] = partial(np.full, values.shape[0], split)
    return Source(values, "torch tensor", columns, notes=tuple(notes))


def _split(path: Path) -> str | None:
    matches = (pattern.fullmatch(path.stem) for pattern, _ in _PAIRS)
    return next((match["split"] for match in matches if match), None)


def _labels_file(path: Path) -> Path | None:
    for pattern, (features, others) in _PAIRS:
        if pattern.fullmatch(path.stem):
            for other in others:
                file = path.with_name(path.name.replace(features, other))
                if file.is_file():
                    return file
    return None


def _tensor_values(tensor: Any, path: Path, name: str = "the tensor") -> MappedValues:
    import torch

    if isinstance(tensor, np.ndarray):
        check_floats(tensor.shape, tensor.dtype.name, f"{name} in {path}")
        return MappedValues(tensor)
    if not isinstance(tensor, torch.Tensor):
        raise InvalidInputError(
            f"{path} holds a {type(tensor).__name__}; a tensor, or a dictionary of tensors, is "
            "needed"
        )
    check_floats(tensor.shape, str(tensor.dtype).removeprefix("torch."), f"{name} in {path}")
    if tensor.layout != torch.strided:
        raise InvalidInputError(
            f"{name} in {path} is sparse; features have a number in every place: save "
            "tensor.to_dense()"
        )
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return MappedValues(tensor.view(torch.uint16).numpy(), bfloat16=True)
    return MappedValues(tensor.numpy())


def _load(path: Path) -> Any:
    """Load without running code of the file, mapped where the file allows it."""
    import torch

    with readable(path, _KIND), path.open("rb") as file:
        mapped = file.read(2) == b"PK"
    try:
        with readable(path, _KIND), arrays_allowed(), warnings.catch_warnings():
            # That it looks at every entry of a sparse tensor, and there is none of ours.
            warnings.filterwarnings("ignore", "Validating sparse tensor", UserWarning)
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            return unpickled(found)
    except InvalidInputError as error:
        if error.__cause__ is None:
            raise InvalidInputError(f"{path} holds {error}") from error
        if not isinstance(error.__cause__, pickle.UnpicklingError):
            raise
        needed = re.findall(r"(?:GLOBAL|class) ([\w.]+)", str(error.__cause__))
        raise InvalidInputError(
            f"{path} is a pickle that would run code to be read"
            f"{f' (it wants {needed[0]})' if needed else ''}, which featstore refuses; load it "
            "yourself and save tensors or arrays: torch.save({'features': X}, FILE)"
        ) from error


def _plain(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value


def _length(value: Any) -> int:
    if hasattr(value, "shape"):
        return int(value.shape[0]) if value.ndim else -1
    return len(value) if isinstance(value, list | tuple) else -1
