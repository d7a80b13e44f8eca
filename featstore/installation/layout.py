"""Layout: whether the folders that are linked into the package are there."""

from __future__ import annotations

import sys
from pathlib import Path

from featstore.installation.check import Check

#: Folders of the repository that are subpackages by a symbolic link.
LINKED = ("probes", "backbones", "cli")


def broken_links(package: Path) -> list[str]:
    """Return the links that a checkout without symlinks (Git on Windows) wrote as text files.

    Examples
    --------
    >>> import featstore
    >>> broken_links(Path(featstore.__file__).parent)
    []
    """
    return [name for name in LINKED if (package / name).is_file()]


def links_advice(package: Path, broken: list[str]) -> str:
    """Say which links are broken, and how to get a checkout that has them."""
    return (
        f"{', '.join(broken)} in {package} should be symbolic links. Clone again with "
        f"`git clone -c core.symlinks=true`{' as an administrator' * (sys.platform == 'win32')}, "
        "or install the wheel."
    )


def check_layout(package: Path) -> Check:
    """Check the folder that ``import featstore`` found."""
    broken = broken_links(package)
    missing = [name for name in LINKED if not (package / name).exists()]
    if broken:
        return Check("python", "featstore", "problem", str(package), links_advice(package, broken))
    if missing:
        return Check(
            "python",
            "featstore",
            "problem",
            f"{package} lacks {', '.join(missing)}",
            "install featstore again; a copy of the folder alone does not follow its links",
        )
    linked = [name for name in LINKED if (package / name).is_symlink()]
    return Check(
        "python", "featstore", "ok", f"{package}, {'a checkout' if linked else 'installed whole'}"
    )
