"""Sets given by their paths, and what `memstudy data show` prints of a set."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from memstudy.data import sources
from memstudy.store import Store

QUICK = ("--epochs", "1", "--checkpoints", "0,", "--batch-size", "32")


@pytest.fixture
def shapes(tmp_path, small):
    """data/shapes, 20 and 10 real digits of two classes in folders, their names in no order of the files."""
    for part, images, labels in (
        ("train", small.train_images, small.train_labels),
        ("test", small.test_images, small.test_labels),
    ):
        for label, word in ((1, "one, upright"), (0, "nil")):
            folder = tmp_path / "data" / "shapes" / part / word
            folder.mkdir(parents=True)
            for number, pixels in enumerate(images[labels == label][: 10 if part == "train" else 5]):
                Image.fromarray(pixels[0].numpy()).save(folder / f"{9 - number}.png")
    return tmp_path / "data" / "shapes"


def write_npz(path, small):
    np.savez(
        path,
        train_images=small.train_images[:, 0].numpy(),
        train_labels=small.train_labels.numpy(),
        test_images=small.test_images[:, 0].numpy(),
        test_labels=small.test_labels.numpy(),
    )


def test_a_path_means_the_set_of_its_name_in_its_folder(command, tmp_path, shapes):
    """The same recipe, and the same file of labels."""
    written = []
    ways = [
        ("shapes", "--data-dir", "data"),
        ("./data/shapes",),
        ("data/shapes/",),
        (str(shapes),),
        ("data/../data/shapes", "--data-dir", str(tmp_path / "data")),
    ]
    for number, way in enumerate(ways):
        result = command("data", "build", "--dataset", *way, "--corrupt", "0.3", "-o", f"{number}.npz")
        assert result.exit_code == 0, result.output
        written.append((tmp_path / f"{number}.npz").read_bytes())
    assert len(set(written)) == 1
    with np.load(tmp_path / "1.npz") as labels:
        assert labels["dataset"] == "shapes"


@pytest.mark.parametrize("path", ["./data/shapes", "data/mine.npz", "data/mine"])
def test_a_run_on_a_path_is_the_run_on_the_name(command, tmp_path, shapes, small, path):
    write_npz(tmp_path / "data" / "mine.npz", small)
    name = "shapes" if "shapes" in path else "mine"
    result = command("run", "--dataset", path, *QUICK, "--runs-dir", "a")
    assert result.exit_code == 0, result.output
    assert f"bare on {name}, " in result.output
    again = command("run", "--dataset", name, "--data-dir", "data", *QUICK, "--runs-dir", "a")
    assert again.exit_code == 0, again.output
    assert len(Store(tmp_path / "a").runs()) == 1
    assert Store(tmp_path / "a").runs()[0].recipe.dataset == name


def test_a_path_goes_before_the_environment_and_not_before_another_option(command, tmp_path, shapes, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("MEMSTUDY_DATA", str(tmp_path / "elsewhere"))
    assert command("data", "build", "--dataset", "data/shapes", "-o", "a.npz").exit_code == 0
    refused = command("data", "build", "--dataset", "data/shapes", "--data-dir", "elsewhere", "-o", "b.npz")
    assert refused.exit_code == 2
    assert "--data-dir is another folder; leave --data-dir out." in refused.output


def test_a_path_is_answered_if_there_is_no_set_or_its_name_means_another(command, tmp_path, shapes, small):
    (tmp_path / "data" / "empty").mkdir()
    for path in ("./data/circles", "data/empty", "nowhere/shapes", "./", "data/circles.npz"):
        refused = command("data", "build", "--dataset", path, "-o", "a.npz")
        assert refused.exit_code == 2
        assert "there is no image set at" in refused.output, refused.output
    shapes.rename(tmp_path / "data" / "mnist")
    write_npz(tmp_path / "data" / "digits.npz", small)
    for path in ("data/mnist", "data/digits.npz"):
        refused = command("data", "build", "--dataset", path, "-o", "a.npz")
        assert refused.exit_code == 2
        assert "has the name of a built-in set" in refused.output
    assert not (tmp_path / "a.npz").exists()


def test_the_copy_of_a_known_set_may_be_given_by_its_path(tmp_path):
    np.savez(tmp_path / "cifar10.npz", train_images=np.zeros(1))
    assert sources.at(tmp_path / "cifar10.npz") == ("cifar10", tmp_path)


@pytest.mark.parametrize("way", [("data/shapes",), ("shapes", "--data-dir", "data")])
def test_files_are_in_the_order_of_the_samples(command, tmp_path, shapes, way):
    (shapes / "train" / ".ipynb_checkpoints").mkdir()
    result = command("data", "show", *way, "--files")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.output)))
    images = sources.load("shapes", tmp_path / "data")
    for part, pixels, labels in (
        ("train", images.train_images, images.train_labels),
        ("test", images.test_images, images.test_labels),
    ):
        own = [row for row in rows if row["part"] == part]
        assert [int(row["index"]) for row in own] == list(range(len(labels)))
        assert [int(row["label"]) for row in own] == labels.tolist()
        assert [row["class"] for row in own] == [images.class_names[label] for label in labels]
        for row, image in zip(own, pixels, strict=True):
            assert np.array_equal(np.asarray(Image.open(shapes / row["file"])), image[0].numpy())
    assert rows[-1]["class"] == "one, upright"
    found = json.loads(command("data", "show", *way, "--files", "--json").output)
    assert found["classes"] == ["nil", "one, upright"]
    assert [{name: str(value) for name, value in row.items()} for row in found["samples"]] == rows


def test_the_files_of_a_set_without_any_and_of_an_unknown_one(command, tmp_path, shapes, small):
    write_npz(tmp_path / "data" / "mine.npz", small)
    for name in ("data/mine.npz", "mnist5k"):
        refused = command("data", "show", name, "--files")
        assert refused.exit_code == 2
        assert "has no image files: its samples are in the order of its arrays" in refused.output
    refused = command("data", "show", "shape", "--files", "--data-dir", "data")
    assert refused.exit_code == 2
    assert "did you mean shapes?" in refused.output
    (shapes / "test" / "zebra").mkdir()
    assert "only one has a folder zebra" in command("data", "show", "data/shapes", "--files").output


def test_a_set_is_shown_by_its_classes(command, tmp_path, shapes, small):
    shown = command("data", "show", "data/shapes")
    assert shown.exit_code == 0, shown.output
    assert "shapes: 20 train / 10 test, 28×28, 1 channel, 2 classes" in shown.output
    assert shown.output.splitlines()[-1].split(maxsplit=3) == ["1", "10", "5", "one, upright"]
    write_npz(tmp_path / "data" / "mine.npz", small)
    for way in (("data/mine.npz",), ("mine", "--data-dir", "data"), ("mnist5k",)):
        found = json.loads(command("data", "show", *way, "--json").stdout)
        assert found["classes"] == [*"0123456789"]
        assert len(set(found["train"])) == 1  # as many of each class


def test_what_is_neither_a_file_nor_a_set_is_told(command, shapes):
    for given in ("nothing", "data/shape", "data/shapes.npz"):
        refused = command("data", "show", given, "--data-dir", "data")
        assert refused.exit_code == 2
        assert f"there is no file '{given}', and no image set of that name or path" in refused.output
    refused = command("data", "show", "data/shapes", "--files", "--dataset", "mnist5k")
    assert refused.exit_code == 2
    assert "--files lists an image set" in refused.output
