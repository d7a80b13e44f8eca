"""Scripts: what the page runs, and the policy that allows these and nothing else."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from markupsafe import Markup

_DRAWING = ("vendor/d3.min.js", "vendor/plot.umd.min.js")
_OWN = ("tables.js", "chart.js", "explorer.js", "map.js", "print.js")


def template(name: str) -> str:
    """Read a file of the folder of templates."""
    return (resources.files("featstore") / "templates" / name).read_text(encoding="utf-8")


def scripts(*, drawing: bool) -> list[Markup]:
    """Return the texts of the page's ``<script>`` elements.

    Parameters
    ----------
    drawing
        Whether the page has interactive figures; it is half a megabyte smaller without.
    """
    own = Markup("\n".join(template(name) for name in _OWN))
    return [*(Markup(template(name)) for name in _DRAWING if drawing), own]


def policy(texts: list[Markup]) -> str:
    """Return a content security policy: these scripts run, and nothing is fetched from anywhere.

    Examples
    --------
    >>> policy([Markup("let a;")]).split("; ")[0]
    "default-src 'none'"
    """
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
