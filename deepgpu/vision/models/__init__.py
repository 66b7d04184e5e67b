"""Image models: torchvision's names, arguments and ``state_dict`` keys, and small nets for CIFAR."""

from deepgpu.vision.models.alexnet import AlexNet, alexnet
from deepgpu.vision.models.cifar_densenet import CifarDenseNet, densenet40, densenet40_bc, densenet100_bc
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
from deepgpu.vision.models.cifar_variants import (
    CifarNet,
    PlainBlock,
    PreActBlock,
    SEBlock,
    plain8,
    plain20,
    plain32,
    plain56,
    preact_resnet20,
    preact_resnet56,
    preact_resnet110,
    se_resnet20,
    se_resnet56,
)
from deepgpu.vision.models.convnext import ConvNeXt, convnext_base, convnext_large, convnext_small, convnext_tiny
from deepgpu.vision.models.densenet import DenseNet, densenet121, densenet161, densenet169, densenet201
from deepgpu.vision.models.efficientnet import (
    EfficientNet,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
)
from deepgpu.vision.models.googlenet import GoogLeNet, GoogLeNetOutputs, googlenet
from deepgpu.vision.models.inception import Inception3, InceptionOutputs, inception_v3
from deepgpu.vision.models.mnasnet import MNASNet, mnasnet0_5, mnasnet0_75, mnasnet1_0, mnasnet1_3
from deepgpu.vision.models.mobilenetv2 import MobileNetV2, mobilenet_v2
from deepgpu.vision.models.mobilenetv3 import MobileNetV3, mobilenet_v3_large, mobilenet_v3_small
from deepgpu.vision.models.registry import design_size, get_model, is_classifier, is_small, least_size, list_models
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
from deepgpu.vision.models.shufflenetv2 import (
    ShuffleNetV2,
    shufflenet_v2_x0_5,
    shufflenet_v2_x1_0,
    shufflenet_v2_x1_5,
    shufflenet_v2_x2_0,
)
from deepgpu.vision.models.squeezenet import SqueezeNet, squeezenet1_0, squeezenet1_1
from deepgpu.vision.models.unet import UNet, unet
from deepgpu.vision.models.vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn
from deepgpu.vision.models.vision_transformer import VisionTransformer, vit_b_16, vit_b_32, vit_l_16, vit_l_32
