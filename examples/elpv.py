"""The demo's data: 2,624 electroluminescence images of solar cells, from `elpv-dataset`.

Deitsch et al. 2019, Automatic classification of defective photovoltaic module cells in
electroluminescence images (https://github.com/zae-bayern/elpv-dataset; images CC BY-NC-SA 4.0).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

#: Experts' probability that a cell is defective, and its name.
LEVELS = {0.0: "intact", 0.3333: "possibly", 0.6667: "likely", 1.0: "defective"}


def image_root() -> Path:
    """Return the folder with ``images/`` and ``labels.csv`` inside the installed package."""
    found = find_spec("elpv_dataset")
    if found is None or found.origin is None:
        raise SystemExit('the demo needs its data: pip install "featstore[demo]"')
    return Path(found.origin).parent / "data"


def cells() -> pd.DataFrame:
    """One row per image: path, fine class, and its two factors as further targets."""
    columns = ["path", "probability", "type"]
    frame = pd.read_csv(image_root() / "labels.csv", sep=r"\s+", names=columns)
    level = frame["probability"].round(4).map(LEVELS)
    return pd.DataFrame(
        {
            "path": frame["path"],
            "cell": frame["type"] + " " + level,
            "defect": level,
            "type": frame["type"],
        }
    )


def taxonomy() -> pd.DataFrame:
    """From the 8 fine classes over 4 defect levels to 2 verdicts."""
    fine = cells()[["cell", "defect"]].drop_duplicates().sort_values("cell")
    verdict = fine["defect"].map(
        {"intact": "sound", "possibly": "sound", "likely": "faulty", "defective": "faulty"}
    )
    return fine.assign(verdict=verdict)
