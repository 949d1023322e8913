import json

import pytest

from minicnn.features.ladder import LEVELS
from minicnn.report.tour import METHODS, TARGETS, Size, run_tour

TINY = Size("resnet8", 8, 200, 2, 200, 100, 1, 1)


@pytest.fixture(scope="module")
def toured(tmp_path_factory):
    out = tmp_path_factory.mktemp("tour")
    said = []
    return out, run_tour(out, TINY, seed=3, say=said.append, progress=False), said


@pytest.mark.slow
def test_the_page_and_the_results_are_there_and_agree(toured):
    out, results, _ = toured
    assert json.loads((out / "results.json").read_text()) == json.loads(json.dumps(results))
    page = (out / "index.html").read_text(encoding="utf-8")
    assert f"{results['test_accuracy']:.3f}" in page
    assert f"{results['transfer']['near']['fine-tuned']:.3f}" in page
    assert page.count("data:image/png") == 6


@pytest.mark.slow
def test_every_level_is_probed_at_every_stage_of_both_networks(toured):
    ladder = toured[1]["ladder"]
    assert ladder["stages"] == ["relu", "layer1", "layer2", "layer3"]
    for network in ("trained", "untrained"):
        assert list(ladder[network]) == list(LEVELS)
        for accuracies in ladder[network].values():
            assert len(accuracies) == 4
            assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    assert ladder["chance"] == {
        "orientation": 1 / 4,
        "colour": 1 / 6,
        "texture": 1 / 4,
        "part": 1 / 6,
        "object": 1 / 10,
    }


@pytest.mark.slow
def test_colour_is_readable_from_the_pixels_under_the_object(toured):
    assert toured[1]["ladder"]["pixels"]["colour"] > 0.8


@pytest.mark.slow
def test_every_method_is_tried_on_every_target(toured):
    transfer = toured[1]["transfer"]
    assert list(transfer) == list(TARGETS)
    assert all(list(row) == list(METHODS) for row in transfer.values())


@pytest.mark.slow
def test_the_steps_are_told_and_timed(toured):
    _, results, said = toured
    assert [line.removesuffix(" ...") for line in said] == [step for step in results["seconds"] if step != "total"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(toured, tmp_path):
    again = run_tour(tmp_path, TINY, seed=3, say=lambda line: None, progress=False)
    for part in ("ladder", "transfer", "test_accuracy"):
        assert again[part] == toured[1][part]


def test_a_folder_that_cannot_be_written_is_named_before_the_work(tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = []
    with pytest.raises(OSError, match=r"cannot make this folder \(a part of the path is a file.*tour"):
        run_tour(tmp_path / "file" / "tour", TINY, say=said.append)
    assert said == []


def test_a_tour_that_is_broken_off_leaves_the_results_of_the_one_before(tmp_path):
    (tmp_path / "results.json").write_text("of an earlier tour")

    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tour(tmp_path, TINY, say=stop)
    assert (tmp_path / "results.json").read_text() == "of an earlier tour"
