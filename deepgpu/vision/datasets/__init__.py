"""Data sets of images under torchvision's names."""

from deepgpu.vision.datasets.cifar import CIFAR10, CIFAR100
from deepgpu.vision.datasets.digits import Digits
from deepgpu.vision.datasets.emnist import EMNIST
from deepgpu.vision.datasets.fake import FakeData
from deepgpu.vision.datasets.folder import DatasetFolder, ImageFolder
from deepgpu.vision.datasets.idx import read_idx
from deepgpu.vision.datasets.locate import DatasetNotFoundError
from deepgpu.vision.datasets.mnist import KMNIST, MNIST, FashionMNIST
from deepgpu.vision.datasets.usps import USPS
from deepgpu.vision.datasets.vision import ImagesInMemory, VisionDataset
