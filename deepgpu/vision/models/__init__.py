"""Image classifiers: torchvision's names, arguments and ``state_dict`` keys, and the small ResNets for CIFAR."""

from deepgpu.vision.models.cifar_resnet import (
    CifarBlock,
    CifarResNet,
    resnet8,
    resnet14,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
)
from deepgpu.vision.models.registry import get_model, is_small, list_models
from deepgpu.vision.models.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
from deepgpu.vision.models.vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn
