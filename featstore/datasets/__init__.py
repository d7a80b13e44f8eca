"""Sources of images: each becomes a `featstore.dataset.Dataset`."""

from featstore.datasets.arrays import ImageArrays
from featstore.datasets.banded import BandedImages
from featstore.datasets.folder import ImageFolder
from featstore.datasets.geolifeclef import geolifeclef, land_cover_vectors
from featstore.datasets.hugging_face import HuggingFaceImages, hugging_face
from featstore.datasets.idx import idx_images
from featstore.datasets.image_files import ImageFiles
from featstore.datasets.imagenet import imagenet
from featstore.datasets.inat21 import inat21
from featstore.datasets.opening import open_dataset
from featstore.datasets.places365 import places365
from featstore.datasets.table import ImageTable
from featstore.datasets.tar_images import TarImages
from featstore.datasets.torch_images import TorchImages
from featstore.datasets.torchvision_images import torchvision_images

__all__ = [
    "BandedImages",
    "HuggingFaceImages",
    "ImageArrays",
    "ImageFiles",
    "ImageFolder",
    "ImageTable",
    "TarImages",
    "TorchImages",
    "geolifeclef",
    "hugging_face",
    "idx_images",
    "imagenet",
    "inat21",
    "land_cover_vectors",
    "open_dataset",
    "places365",
    "torchvision_images",
]
