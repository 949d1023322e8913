"""Backbones: networks that turn images into maps of features, and the one way to make and cut them.

    from minicnn import backbones

    backbones.list()                                                        # the names of all backbones
    model = backbones.create("resnet50", weights="resnet50-0676ba61.pth")    # a classifier with weights of a file
    model = backbones.create("resnet20", num_classes=10)                    # a classifier with fresh weights
    body = backbones.create("vgg16", features_only=True, out_indices=(2, 3, 4))
    body.feature_info.channels()                                            # the channels of body(images)

backbone.py holds the interface that all backbones share; read that file first. Each network has a file that reads like
its paper's table: vgg.py, residual.py with resnet.py and cifar_resnet.py, googlenet.py, lenet.py. builders.py is the
table of all networks, and factory.py has `create`. pretrained.py loads weights into a backbone, identify.py tells which
backbone a file of weights belongs to, and advice.py holds a model's warnings.
"""

from minicnn.backbones.backbone import Backbone as Backbone
from minicnn.backbones.backbone import FeatureInfo as FeatureInfo
from minicnn.backbones.backbone import FeatureLevel as FeatureLevel
from minicnn.backbones.cifar_resnet import resnet8 as resnet8
from minicnn.backbones.cifar_resnet import resnet14 as resnet14
from minicnn.backbones.cifar_resnet import resnet20 as resnet20
from minicnn.backbones.cifar_resnet import resnet32 as resnet32
from minicnn.backbones.cifar_resnet import resnet44 as resnet44
from minicnn.backbones.cifar_resnet import resnet56 as resnet56
from minicnn.backbones.cifar_resnet import resnet110 as resnet110
from minicnn.backbones.factory import create as create
from minicnn.backbones.factory import list as list
from minicnn.backbones.googlenet import auxiliary_loss as auxiliary_loss
from minicnn.backbones.lenet import lenet5 as lenet5
from minicnn.backbones.resnet import resnet18 as resnet18
from minicnn.backbones.resnet import resnet34 as resnet34
from minicnn.backbones.resnet import resnet50 as resnet50
from minicnn.backbones.resnet import resnet101 as resnet101
from minicnn.backbones.resnet import resnet152 as resnet152
from minicnn.backbones.vgg import vgg6 as vgg6
from minicnn.backbones.vgg import vgg6_bn as vgg6_bn
from minicnn.backbones.vgg import vgg11 as vgg11
from minicnn.backbones.vgg import vgg11_bn as vgg11_bn
from minicnn.backbones.vgg import vgg13 as vgg13
from minicnn.backbones.vgg import vgg13_bn as vgg13_bn
from minicnn.backbones.vgg import vgg16 as vgg16
from minicnn.backbones.vgg import vgg16_bn as vgg16_bn
from minicnn.backbones.vgg import vgg19 as vgg19
from minicnn.backbones.vgg import vgg19_bn as vgg19_bn
