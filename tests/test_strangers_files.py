"""Files made to do harm: what they claim takes no memory, what they name is not run, followed or obeyed."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memstudy import files
from memstudy import recipe as recipes
from memstudy.cli.progress import Terminal
from memstudy.data import folder_set, label_files, npz_set
from memstudy.errors import MemstudyError
from memstudy.store import index, pack
from memstudy.store.run import RunDirectory
from tests.kit.contents import header, npy, npz, write


@pytest.mark.parametrize("shape", ["(99999999999,)", "(0, 99999999999999)", "(4, 99999999999)"])
def test_a_header_that_claims_more_than_the_file_has_takes_no_memory(tmp_path, shape):
    content = header(f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}}}")
    with pytest.raises(MemstudyError, match="claims"):
        label_files.read(write(tmp_path, "a.npy", content))


@pytest.mark.parametrize("points", [[0x110000], [0xFFFFFFFF], [0xD800]])
def test_text_of_characters_that_do_not_exist_is_refused(tmp_path, points):
    text = np.array(points, "<u4").view("<U1")
    for name, content in (("a.npy", npy(text)), ("a.npz", npz(noisy=text))):
        with pytest.raises(MemstudyError, match="do not exist"):
            label_files.read(write(tmp_path, name, content))
    images, labels = np.zeros((2, 4, 4), np.uint8), np.arange(2)
    names = np.array([points[0], 0x61], "<u4").view("<U1")
    arrays: dict[str, np.ndarray] = {
        "train_images": images,
        "test_images": images,
        "train_labels": labels,
        "test_labels": labels,
    }
    with pytest.raises(MemstudyError, match="do not exist"):
        npz_set.read(write(tmp_path, "set.npz", npz(class_names=names, **arrays)), "set")


def test_text_of_such_characters_is_refused_where_each_element_is_an_array(tmp_path):
    content = header("{'descr': '1<U1', 'fortran_order': False, 'shape': (2,)}") + b"\xff" * 8
    with pytest.raises(MemstudyError, match="do not exist"):
        label_files.read(write(tmp_path, "a.npy", content))


def test_records_without_a_field_are_refused(tmp_path):
    for content in (b"[{}]", b"[{}, {}]", b'{"a": {}, "b": {}}'):
        with pytest.raises(MemstudyError, match="its records are empty"):
            label_files.read(write(tmp_path, "a.json", content))


def test_a_zip_that_unpacks_to_very_much_is_not_unpacked(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("noisy.npy", "w") as file:
        for _ in range(20):
            file.write(bytes(2**24))
    path = write(tmp_path, "a.npz", buffer.getvalue())
    with pytest.raises(MemstudyError, match="unpack to 335,544,320"):
        label_files.read(path)
    with pytest.raises(MemstudyError, match="unpack to 335,544,320"):
        npz_set.read(path, "a")


def test_a_packed_table_that_unpacks_to_very_much_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "MOST", 1000)
    write(tmp_path, "a.csv.gz", gzip.compress(bytes(1000)))
    assert pack.content(tmp_path / "a.csv") == bytes(1000)
    write(tmp_path, "a.csv.gz", gzip.compress(bytes(1001)))
    with pytest.raises(MemstudyError, match="unpacks to more"):
        pack.content(tmp_path / "a.csv")


def folders(root):
    for part in ("train", "test"):
        for word in "ab":
            (root / part / word).mkdir(parents=True)
            Image.new("L", (4, 4)).save(root / part / word / "1.png")
    return root


def test_an_image_that_claims_very_much_is_not_decoded(tmp_path, monkeypatch):
    root = folders(tmp_path / "mine")
    monkeypatch.setattr(folder_set, "MOST_PIXELS", 100)
    Image.new("L", (11, 11)).save(root / "train" / "a" / "2.png")
    with pytest.raises(MemstudyError, match="more than 100 pixels"):
        folder_set.read(root, "mine")


def test_an_image_that_another_program_would_read_is_none(tmp_path):
    root = folders(tmp_path / "mine")
    write(
        root / "train" / "a",
        "2.png",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n",
    )
    with pytest.raises(MemstudyError, match="cannot be read as an image"):
        folder_set.read(root, "mine")


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000 + "]" * 5000, ".".join("a" * 5000) + " = 1", "[" + ".".join("a" * 5000) + "]"]
)
def test_a_recipe_nested_without_end_is_refused(tmp_path, text):
    with pytest.raises(MemstudyError, match="not valid TOML"):
        recipes.read(write(tmp_path, "recipe.toml", text))


def test_a_table_of_very_many_columns_is_refused(tmp_path):
    with pytest.raises(MemstudyError, match="100,001 columns"):
        label_files.read(write(tmp_path, "a.csv", "," * 100_000 + "\n"))


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "\u202e", "\x9b2J", "\r", "\u2028", "\ud800"])
def test_names_do_nothing_to_a_terminal(name):
    assert str(MemstudyError(f"no {name}.")).isprintable()
    out = io.StringIO()
    Terminal(file=out, force_terminal=True, highlight=False, width=80).print(f"a{name}b", markup=False)
    shown = out.getvalue()
    assert not set("\x1b\x9b\r\u202e\u2028\ud800") & set(shown.replace("\r\n", "\n"))


def test_lines_to_be_copied_stay_lines():
    assert str(MemstudyError("do this:", below="a\nb\x1b")) == "do this:\na\nb\\x1b"


def test_an_index_whose_own_words_are_no_text_is_as_none(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path))
    there = index.Index(tmp_path / "store", 3)
    there.keep({"a": ("1", '{"name": "a"}', "{}")})
    content = there.path.read_bytes()
    there.path.write_bytes(content.replace(b"CREATE TABLE", b"CREATE \xff\xfe\xfd\xfc\xff"))
    assert not there.entries().names
    there.keep({"b": ("1", '{"name": "b"}', "{}")})
    there.keep({"b": ("1", '{"name": "b"}', "{}")})
    assert there.entries().names == {"b"}


def test_a_run_is_not_trained_through_a_link(tmp_path):
    outside = write(tmp_path, "outside.txt", "mine")
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    (run.path / "log.txt").symlink_to(outside)
    with pytest.raises(MemstudyError, match="is a link"), run.lock():
        pass
    assert outside.read_text() == "mine"
    assert not (run.path / ".lease").exists()


def test_what_is_no_file_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(MemstudyError, match="no file"):
        label_files.read(tmp_path / "a.csv")
    with pytest.raises(MemstudyError, match="no file"):
        files.read(tmp_path / "a.csv")


@pytest.mark.parametrize("mark", ["\x1c", "\x1f", "\x85", "\u2003"])
def test_what_python_does_not_convert_is_no_number(tmp_path, mark):
    with pytest.raises(MemstudyError, match="whole numbers"):
        label_files.read(write(tmp_path, "a.csv", f"label\n{mark}2\n1\n0\n"))


def test_a_table_of_no_rows_is_no_crash(tmp_path):
    with pytest.raises(MemstudyError):
        label_files.read(write(tmp_path, "a.csv", "index,true_label,noisy_label,annotator.1\n"))


def test_lists_among_values_are_no_truths(tmp_path):
    with pytest.raises(MemstudyError):
        label_files.read(write(tmp_path, "a.json", '{"labels": [["a.png", 1], ["b.png"], 2]}'))


def test_an_entry_that_claims_more_than_can_be_in_it_takes_no_memory(tmp_path):
    content = npz(noisy=np.arange(9))
    size = len(npy(np.arange(9)))
    lying = content.replace(
        size.to_bytes(4, "little") * 2, size.to_bytes(4, "little") + (2**27).to_bytes(4, "little")
    )
    assert lying != content
    with pytest.raises(MemstudyError, match="claims more bytes"):
        label_files.read(write(tmp_path, "a.npz", lying))


def test_a_chunk_of_an_image_that_claims_very_much_takes_no_memory(tmp_path, monkeypatch):
    root = folders(tmp_path / "mine")
    path = root / "train" / "a" / "1.png"
    content = path.read_bytes()
    place = content.index(b"IDAT") - 4
    path.write_bytes(content[:place] + b"\xff\xff\xff\xf0" + content[place + 4 :])
    opened: list[object] = []

    def look(file, *, formats):
        opened.append(file)
        return Image.new("L", (4, 4))

    monkeypatch.setattr(Image, "open", look)
    folder_set.read(root, "mine")
    assert {type(file) for file in opened} == {io.BytesIO}  # of which Pillow is given no more than there is


def test_an_index_that_claims_very_much_memory_is_as_none(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMSTUDY_CACHE", str(tmp_path))
    there = index.Index(tmp_path / "store", 3)
    there.path.parent.mkdir(parents=True)
    (hostile,) = (Path(__file__).parent / "reliability" / "fuzz" / "corpus").glob("index-8ebd9af5afc4")
    there.path.write_bytes(hostile.read_bytes())
    assert not there.entries().names
    there.keep({"b": ("1", '{"name": "b"}', "{}")})
    there.keep({"b": ("1", '{"name": "b"}', "{}")})
    assert there.entries().names == {"b"}
