"""did_you_mean: the same ending for every message about an unknown name."""

from minicnn.files.suggestions import did_you_mean


def test_a_close_name_is_suggested_whatever_its_capitals():
    assert did_you_mean("ResNet5O", ["resnet50", "vgg16"]) == "did you mean 'resnet50'?"
    assert did_you_mean("partworld_v1", ["PARTWORLD_V1"]) == "did you mean 'PARTWORLD_V1'?"


def test_several_close_names_come_the_closest_first_and_no_more_than_wanted():
    known = ["resnet18", "resnet50", "resnet152", "resnet101"]
    assert did_you_mean("resnet15", known, most=2).startswith("did you mean 'resnet152' or ")
    assert did_you_mean("resnet15", known, most=2).count("resnet") == 2


def test_a_shorter_or_longer_form_is_suggested():
    assert did_you_mean("convolution", ["conv", "pool"]) == "did you mean 'conv'?"
    assert did_you_mean("inf", ["conv", "inference"]) == "did you mean 'inference'?"


def test_all_names_are_listed_where_none_is_close():
    assert did_you_mean("zzz", ["train", "tour"]) == "there are 'train', 'tour'"
    assert did_you_mean("zzz", []) == ""
