"""Backbones: networks that turn images into maps of features, and the one way to make and cut them."""

from minicnn.backbones.backbone import Backbone as Backbone
from minicnn.backbones.backbone import FeatureInfo as FeatureInfo
from minicnn.backbones.backbone import FeatureLevel as FeatureLevel
from minicnn.backbones.cifar_resnet import resnet8 as resnet8
from minicnn.backbones.cifar_resnet import resnet14 as resnet14
from minicnn.backbones.cifar_resnet import resnet20 as resnet20
from minicnn.backbones.cifar_resnet import resnet32 as resnet32
from minicnn.backbones.factory import create as create
from minicnn.backbones.factory import list as list
from minicnn.backbones.lenet import lenet5 as lenet5
from minicnn.backbones.resnet import resnet18 as resnet18
from minicnn.backbones.vgg import vgg6 as vgg6
from minicnn.backbones.vgg import vgg6_bn as vgg6_bn
from minicnn.backbones.vgg import vgg11_bn as vgg11_bn
