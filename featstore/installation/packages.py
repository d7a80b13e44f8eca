"""Packages: what featstore asks for, what is installed, and what the optional ones are for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from featstore.installation.check import Check

#: Extra -> what it enables.  Those of developers are not looked at.
ENABLES = {
    "gpu": "the engine cuml",
    "timm": "backbones timm/…, and checkpoints of their architectures",
    "open-clip": "backbones open_clip/…",
    "onnx": "backbones onnx:…",
    "export": "export of runs as ONNX and as scikit-learn pipelines",
    "hf": "backbones hf:…, images of Hugging Face's datasets",
    "tiff": "TIFF images of many bands, 16 bits or floats",
    "fast": "extraction by the fastest of several libraries",
    "hdf5": "import of HDF5 files",
    "xarray": "to_xarray",
    "dask": "to_dask",
    "corruptions": "the common corruptions of ImageNet-C",
    "ray": "studies and extraction on a Ray cluster",
    "umap": "the report's map by UMAP",
}
FOR_DEVELOPERS = {"dev", "demo", "bench", "docs"}
#: Module names where they are not the distribution's.
_MODULES = {
    "scikit-learn": "sklearn",
    "faiss-cpu": "faiss",
    "pillow": "PIL",
    "umap-learn": "umap",
}
#: Why a release that the requirements leave out is left out.
_KNOWN_BAD = {("torch", "2.13.0"): "2.13.0 breaks the import of torchvision"}


def check_python() -> Check:
    """Check the interpreter: featstore maps files of many gigabytes."""
    version = f"{sys.version.split()[0]}, {sys.executable}"
    if sys.maxsize < 2**32:
        return Check(
            "python", "Python", "problem", f"{version}, 32 bits", "install a Python of 64 bits"
        )
    return Check("python", "Python", "ok", version)


def check_packages(distribution: str = "featstore") -> Iterator[Check]:
    """Check every required package: version, and that it can be imported.

    Importing is part of it: torch and torchvision that do not belong together, or a system library
    that is missing, show only then.
    """
    try:
        wanted = [
            requirement
            for requirement in map(Requirement, metadata.requires(distribution) or [])
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    except metadata.PackageNotFoundError:
        yield Check(
            "packages",
            distribution,
            "problem",
            "runs from its folder and is not installed, so its requirements are not known",
            "pip install -e . in the folder of the checkout",
        )
        return
    for requirement in wanted:
        yield _check_required(requirement)


def check_extras(distribution: str = "featstore") -> Iterator[Check]:
    """Check the optional packages, one line for each extra.

    Examples
    --------
    >>> {check.state for check in check_extras()} <= {"ok", "note", "problem"}
    True
    """
    try:
        found = metadata.metadata(distribution)
        requirements = [Requirement(text) for text in metadata.requires(distribution) or []]
    except metadata.PackageNotFoundError:
        return
    for extra in found.get_all("Provides-Extra") or []:
        if extra in FOR_DEVELOPERS:
            continue
        brings = [
            requirement
            for requirement in requirements
            if requirement.marker is not None
            and requirement.name != distribution
            and requirement.marker.evaluate({"extra": extra})
            and not requirement.marker.evaluate({"extra": ""})
        ]
        if brings:
            yield _check_extra(distribution, extra, brings)


def _check_required(requirement: Requirement) -> Check:
    name = requirement.name
    version = _version(name)
    if version is None:
        return Check("packages", name, "problem", "not installed", _install(requirement))
    if not requirement.specifier.contains(version, prereleases=True):
        why = _KNOWN_BAD.get((name, version), f"featstore needs {requirement.specifier}")
        return Check("packages", name, "problem", f"{version}: {why}", _install(requirement))
    try:
        importlib.import_module(_MODULES.get(name, name))
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError) as error:
        return Check(
            "packages",
            name,
            "problem",
            f"{version} cannot be imported: {type(error).__name__}: {error}",
            f'pip install --force-reinstall "{_bare(requirement)}"; of torch and torchvision, both '
            "in one command",
        )
    return Check("packages", name, "ok", version)


def _check_extra(distribution: str, extra: str, brings: list[Requirement]) -> Check:
    enables = ENABLES.get(extra, f"what needs the extra {extra!r}")
    versions = {requirement.name: _version(requirement.name) for requirement in brings}
    missing = [name for name, version in versions.items() if version is None]
    install = f'pip install "{distribution}[{extra}]"'
    if missing:
        return Check(
            "extras", extra, "note", f"no {', '.join(missing)}", f"for {enables}: {install}"
        )
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    unfit = [
        f"{requirement.name}{requirement.specifier}"
        for requirement in brings
        if not requirement.specifier.contains(versions[requirement.name] or "", prereleases=True)
    ]
    if unfit:
        return Check(
            "extras", extra, "problem", f"{shown}; featstore needs {', '.join(unfit)}", install
        )
    return Check("extras", extra, "ok", f"{shown}: {enables}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _bare(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _install(requirement: Requirement) -> str:
    return f'pip install "{_bare(requirement)}"'
