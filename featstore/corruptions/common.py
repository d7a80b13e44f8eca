"""CommonCorruption: the 15 artifacts in 5 severities of Hendrycks & Dietterich (2019)."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from featstore.corruptions.corruption import Corruption
from featstore.corruptions.image_seed import image_seed
from featstore.errors import InvalidInputError, MissingDependencyError, UnreadableImageError
from featstore.optional import import_optional
from featstore.suggest import did_you_mean

if TYPE_CHECKING:
    from PIL import Image

#: In the order of the paper: noise, blur, weather, digital.
KINDS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
SEVERITIES = (1, 2, 3, 4, 5)
#: The maintained fork; a module of the same name comes with other packages too.
PACKAGE = "imagecorruptions-imaug"
#: Kinds that draw from a generator of their own, not from NumPy's global one.
_TAKES_SEED = ("glass_blur", "impulse_noise")
_LEAST_PIXELS = 32
#: NumPy's global generator belongs to all threads.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class CommonCorruption:
    """An artifact of ImageNet-C, computed by the package imagecorruptions-imaug.

    Strengths are in pixels of the image as it is; the originals were made of crops of 224 pixels.

    Attributes
    ----------
    kind
        One of `KINDS`.
    severity
        1 to 5.
    seed
        Another seed, other noise.

    Raises
    ------
    InvalidInputError
        If there is no such kind or severity, or the seed is negative.

    References
    ----------
    Hendrycks & Dietterich (2019), Benchmarking neural network robustness to common corruptions and
    perturbations, ICLR.

    Examples
    --------
    >>> CommonCorruption("gaussian_noise", 3).label
    'gaussian_noise-3'
    """

    name: ClassVar[str] = "common"

    kind: str
    severity: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInputError(
                f"there is no corruption {self.kind!r}. {did_you_mean(self.kind, KINDS)}"
            )
        if self.severity not in SEVERITIES or self.seed < 0:
            raise InvalidInputError(
                f"{self.kind} has severities 1 to 5 and seeds of at least 0, got {self.severity} "
                f"and {self.seed}"
            )

    @property
    def label(self) -> str:
        """See `Corruption`."""
        return f"{self.kind}-{self.severity}" + (f"-seed{self.seed}" if self.seed else "")

    def apply(self, image: Image.Image, identity: str) -> Image.Image:
        """Return the corrupted image; see `Corruption`.

        Raises
        ------
        MissingDependencyError
            If the package is not installed.
        UnreadableImageError
            If an edge of the image is too short for it.
        """
        from PIL import Image

        check_packages([self])
        library = import_optional("imagecorruptions", extra="corruptions")
        if min(image.size) < _LEAST_PIXELS:
            raise UnreadableImageError(
                f"image {identity!r} of {image.width} x {image.height} pixels is too small for "
                f"{self.kind}, which needs edges of {_LEAST_PIXELS}"
            )
        seed = image_seed(self.kind, self.seed, identity)
        own = {"seed": seed & 0x7FFFFFFF} if self.kind in _TAKES_SEED else {}
        with _seeded(seed):
            pixels = library.corrupt(
                np.asarray(image), severity=self.severity, corruption_name=self.kind, **own
            )
        return Image.fromarray(pixels)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, and leave it as it was; one thread at a time."""
    words = [seed >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)]
    # The package prints about sizes that it handles well; stdout is for results.
    with _LOCK, redirect_stdout(io.StringIO()):
        before = np.random.get_state()  # noqa: NPY002 - the package draws from nothing else
        try:
            np.random.seed(words)  # noqa: NPY002
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


def check_packages(corruptions: Iterable[Corruption | None]) -> None:
    """Check that corruptions can be computed here, before anything is done for them.

    Raises
    ------
    MissingDependencyError
        If a package is not installed that one of them needs.

    Examples
    --------
    >>> from featstore.corruptions import Jpeg
    >>> check_packages([None, Jpeg(10)])
    """
    if any(isinstance(corruption, CommonCorruption) for corruption in corruptions):
        try:
            metadata.version(PACKAGE)
        except metadata.PackageNotFoundError:
            raise MissingDependencyError(
                f'{PACKAGE} is not installed; run: pip install "featstore[corruptions]"'
            ) from None
