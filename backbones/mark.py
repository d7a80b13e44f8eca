"""Mark: what a source stands for right now, told without loading it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from featstore.backbones.load import ENTRY_POINTS
from featstore.backbones.source import parse_source

_LIBRARIES = (
    *("featstore", "pillow", "numpy", "torch", "torchvision", "timm", "open_clip_torch"),
    *("transformers", "onnx", "onnxruntime"),
)


def mark(source: str) -> dict[str, str]:
    """Return what must be unchanged for a source to give the same features again.

    Comparing marks spares a repeated extraction the seconds that loading weights takes.  It
    errs on the safe side: a touched file or a new library version means loading, and comparing
    digests.

    Returns
    -------
    mark
        Versions of the libraries; size and modification time of a weight file (for ONNX of all
        files in its folder).

    Examples
    --------
    >>> mark("torchvision/resnet50").keys() >= {"torch", "torchvision"}
    True
    """
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    parsed = parse_source(source)
    if parsed.is_file and Path(parsed.model).exists():
        path = Path(parsed.model)
        # An ONNX graph may keep its weights in files beside it.
        files = sorted(path.parent.iterdir()) if parsed.kind == "onnx" else [path]
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file())
        for file in files:
            status = file.stat()
            found[file.name] = f"{status.st_size} bytes, modified {status.st_mtime_ns}"
    for plugin in metadata.entry_points(group=ENTRY_POINTS, name=parsed.kind):
        if plugin.dist is not None:
            found[plugin.dist.name] = plugin.dist.version
    return found
