"""Land cover: how much of a patch each class covers, and whether there is any."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featstore.bands import Bands
from featstore.cores import available_cores
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.progress import progress_bar
from featstore.samples import Target
from featstore.suggest import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

_CODES = 256
#: How names of codes begin that say that nothing is known.
_UNKNOWN = ("missing", "no data", "nodata", "unclassified")
_IDS = ("observation_id", "id")


def land_cover(files: Sequence[Path], *, workers: int | None = None) -> pd.DataFrame:
    """Return the share of each land-cover code in each patch.

    Parameters
    ----------
    files
        Rasters of codes below 256; of arrays with several bands, the last one.
    workers
        Threads that read; the number of cores by default.

    Returns
    -------
    shares
        A row for each file, a column for each code that occurs in any; named by the code.

    Raises
    ------
    InvalidInputError
        If a raster cannot be read or has other values.
    """
    import pandas as pd

    counts = np.zeros((len(files), _CODES), np.uint32)
    with (
        progress_bar("land cover", len(files), unit="patches") as advance,
        ThreadPoolExecutor(
            workers or available_cores(), thread_name_prefix="land-cover"
        ) as threads,
    ):
        for row, found in enumerate(threads.map(_counts, files)):
            counts[row] = found
            advance(1)
    codes = np.flatnonzero(counts.any(axis=0))
    shares = counts[:, codes] / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(shares, columns=[str(code) for code in codes])


def read_vectors(file: str | Path, observations: Sequence[str]) -> pd.DataFrame:
    """Read a table of shares and bring it into the order of some observations.

    Parameters
    ----------
    file
        CSV or Parquet, with the column ``observation_id`` or ``id`` and one for each class.
    observations
        Their numbers.

    Raises
    ------
    InvalidInputError
        If observations are missing or repeated, or shares are no numbers from 0 to 1.
    """
    import pandas as pd

    file = Path(file)
    try:
        parquet = file.suffix in (".parquet", ".pq")
        table = pd.read_parquet(file) if parquet else pd.read_csv(file, sep=None, engine="python")
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{file} cannot be read as a table: {error}") from error
    column = next((name for name in _IDS if name in table), None)
    if column is None:
        raise InvalidInputError(
            f"{file} has no column {_IDS[0]!r}. {did_you_mean(_IDS[0], map(str, table.columns))}"
        )
    table = table.set_index(table.pop(column).astype(str))
    if not table.index.is_unique:
        raise InvalidInputError(
            f"{file} has observation {table.index[table.index.duplicated()][0]} twice"
        )
    if missing := sorted(set(observations) - set(table.index)):
        raise InvalidInputError(
            f"{file} lacks {len(missing)} of {len(observations)} observations, e.g. {missing[0]}"
        )
    shares: pd.DataFrame = table.loc[list(observations)].apply(pd.to_numeric, errors="coerce")
    values = shares.to_numpy(np.float64)
    if len(bad := np.argwhere(~((values >= 0) & (values <= 1)))):
        row, place = bad[0]
        raise InvalidInputError(
            f"{file}: the share of {shares.columns[place]!r} in observation {observations[row]} is "
            "no number from 0 to 1"
        )
    return shares


def land_cover_target(shares: pd.DataFrame, names: Path) -> Target:
    """Say which classes are present: those whose share is above 0 (Cole et al. 2022, C.1).

    Parameters
    ----------
    shares
        A column for each class; see `land_cover`.
    names
        The published names of the codes (``landcover_code;landcover_label``), if it exists.  What
        it calls missing data or unclassified is no class; without names, 0 is none.

    Raises
    ------
    InvalidInputError
        If the file has other columns, or no class is left.

    Examples
    --------
    >>> import pandas as pd
    >>> shares = pd.DataFrame({"0": [0.5, 0.0], "11": [0.5, 0.2], "41": [0.0, 0.8]})
    >>> target = land_cover_target(shares, Path("none.csv"))
    >>> target.classes, target.codes.tolist()
    (('11', '41'), [[True, False], [True, True]])
    """
    known = _names(names) if names.is_file() else {"0": "no data"}
    named = {str(code): known.get(str(code), str(code)) for code in shares.columns}
    kept = [code for code in shares if not named[str(code)].lower().startswith(_UNKNOWN)]
    if not kept:
        raise InvalidInputError("no patch has any land cover")
    present = shares[kept].to_numpy() > 0
    return Target("multi", tuple(named[str(code)] for code in kept), present)


def _names(file: Path) -> dict[str, str]:
    import pandas as pd

    table = pd.read_csv(file, sep=";")
    if not {"landcover_code", "landcover_label"} <= set(table.columns):
        raise InvalidInputError(
            f"{file} has the columns {', '.join(map(str, table.columns))}; expected landcover_code "
            "and landcover_label, separated by semicolons"
        )
    codes = table["landcover_code"].astype(str)
    return dict(zip(codes, table["landcover_label"].astype(str), strict=True))


def _counts(file: Path) -> NDArray[np.uint32]:
    try:
        raster = Bands.read(file)[..., -1]
    except UnreadableImageError as error:
        raise InvalidInputError(f"no land cover: {error}") from error
    if not np.issubdtype(raster.dtype, np.integer) or raster.min() < 0 or raster.max() >= _CODES:
        raise InvalidInputError(
            f"{file} holds values of {raster.dtype} that are no codes below {_CODES}"
        )
    return np.bincount(raster.ravel(), minlength=_CODES).astype(np.uint32)
