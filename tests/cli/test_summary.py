"""`minicnn summary` shows the layers of any backbone."""

import pytest

from minicnn.cli.main import main


def test_it_counts_the_parameters(capsys):
    assert main(["summary", "lenet5", "--input", "1", "28", "28"]) == 0
    assert "61,706" in capsys.readouterr().out


def test_the_size_and_the_classes_are_those_that_the_network_is_made_for(capsys):
    assert main(["summary", "resnet50", "--set", "width=8"]) == 0
    printed = capsys.readouterr().out
    assert "64x56x56" not in printed  # narrower than the paper's
    assert "32x56x56" in printed
    assert printed.splitlines()[-1].startswith("ResNet for an input of 3x224x224")
    assert main(["summary", "resnet20"]) == 0
    assert "CifarResNet for an input of 3x32x32: 269,722 parameters" in capsys.readouterr().out


def test_it_takes_options_of_the_backbone(capsys):
    assert main(["summary", "resnet20", "--num-classes", "7"]) == 0
    usual = capsys.readouterr().out
    assert main(["summary", "resnet20", "--num-classes", "7", "--set", "width=8"]) == 0
    assert capsys.readouterr().out != usual
    assert "7" in usual


@pytest.mark.parametrize(
    ("options", "complaint"),
    [(["resnet21"], "resnet"), (["lenet5", "--input", "3", "4", "4"], "at least 16, but is 4")],
)
def test_what_cannot_be_shown_is_named(capsys, options, complaint):
    assert main(["summary", *options]) == 2
    assert complaint in capsys.readouterr().err
