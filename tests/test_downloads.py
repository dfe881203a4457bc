"""Downloads: from a web server on this machine that torchvision takes for the real one; whole or not at all."""

import contextlib
import functools
import gc
import gzip
import hashlib
import http.server
import shutil
import signal
import socket
import tarfile
import threading
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from torchvision import datasets

from memstudy.data import sources, torchvision_sets
from memstudy.errors import MemstudyError
from tests.kit.sources import CIFAR10, idx, write_cifar10

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
FILES = [f"{name}.gz" for name in torchvision_sets.IDX]


@dataclass
class Site:
    """A folder on the web: what was asked for, and what to do instead of answering."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    instead: dict[str, object] = field(default_factory=dict)


class Server(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args, site):
        self.site = site
        super().__init__(*args, directory=str(site.folder))

    def log_message(self, *args):
        pass

    def copyfile(self, source, outputfile):
        name = Path(self.path).name
        self.site.asked.append(name)
        with contextlib.suppress(ConnectionError):  # torchvision asks where a file is and hangs up
            if name in self.site.instead:
                self.site.instead[name](source.read(), outputfile)
            else:
                super().copyfile(source, outputfile)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty web site on the loopback interface."""
    found = Site(tmp_path / "site")
    found.folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, site=found))
    found.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "*")
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # torchvision leaves the connections of failed downloads to be collected


def serve(site, monkeypatch, kind, contents):
    """Let torchvision take the site for the place of one of MNIST's relatives, with these files."""
    for name, content in contents.items():
        (site.folder / name).write_bytes(content)
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in contents.items()]
    monkeypatch.setattr(getattr(datasets, kind), "mirrors", [site.url])
    monkeypatch.setattr(getattr(datasets, kind), "resources", sums)


@pytest.fixture
def little(site, monkeypatch):
    """Four small files in MNIST's format: they can be downloaded, and are then found not to be MNIST."""
    shapes = [(50, 28, 28), (50,), (20, 28, 28), (20,)]
    contents = {name: gzip.compress(idx(shape)) for name, shape in zip(FILES, shapes, strict=True)}
    serve(site, monkeypatch, "MNIST", contents)
    return site


def rest(folder):
    """All files in a data directory."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def half(content, output):
    output.write(content[: len(content) // 2])


def others(content, output):
    output.write(bytes(len(content)))


def interrupt(content, output):
    """Half the content, then Ctrl-C, for a while and not for ever."""
    half(content, output)
    output.flush()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    time.sleep(0.3)


@pytest.mark.parametrize("name", [FILES[0], FILES[3]])
@pytest.mark.parametrize("what", [half, others])
def test_a_download_that_breaks_or_brings_other_bytes_leaves_nothing(little, tmp_path, name, what):
    little.instead[name] = what
    folder = tmp_path / "data"
    with pytest.raises(MemstudyError) as caught:
        sources.load("mnist", folder, download=True)
    sentence = str(caught.value)
    assert f"MNIST could not be downloaded into {folder}: " in sentence  # the reason is torchvision's words
    assert "Ways to get it: try again (about 11 MB); point --data-dir" in sentence
    assert "--download" not in sentence  # that was tried
    assert "\n" not in sentence
    assert rest(folder) == []


def test_a_file_that_is_missing_leaves_nothing(little, tmp_path):
    (little.folder / FILES[3]).unlink()
    with pytest.raises(MemstudyError, match=r"Error downloading t10k-labels-idx1-ubyte.gz.*404"):
        sources.load("mnist", tmp_path / "data", download=True)
    assert rest(tmp_path / "data") == []


def test_a_server_that_is_not_there_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(datasets.CIFAR100, "url", "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "*")
    for name in ("mnist", "cifar100"):
        with pytest.raises(MemstudyError) as caught:
            sources.load(name, tmp_path, download=True)
        sentence = str(caught.value)
        assert "there is no connection to http://127.0.0.1:9/ (Connection refused). Ways to get it: " in sentence
    assert rest(tmp_path) == []


@pytest.mark.parametrize("name", ["fashion", "cifar10"])
def test_without_a_network_that_is_said_with_what_was_tried_and_what_to_do(tmp_path, monkeypatch, name):
    def unresolved(*args, **named):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(MemstudyError) as caught:
        sources.load(name, tmp_path, download=True)
    sentence, known = str(caught.value), torchvision_sets.KNOWN[name]
    place = {"fashion": "http://fashion-mnist.", "cifar10": "https://www.cs.toronto.edu/"}[name]
    assert f"{known.kind} could not be downloaded into {tmp_path}: there is no connection to {place}" in sentence
    assert "(Name or service not known). Ways to get it: try again where there is a network (about " in sentence
    assert "--data-dir" in sentence
    assert "--download" not in sentence
    assert "\n" not in sentence
    assert rest(tmp_path) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_leaves_nothing(little, tmp_path):
    """Whatever it interrupts; a socket may be left to be collected."""
    little.instead[FILES[2]] = interrupt
    with pytest.raises(KeyboardInterrupt):
        sources.load("mnist", tmp_path / "data", download=True)
    assert rest(tmp_path / "data") == []


def test_what_a_killed_process_left_is_removed(little, tmp_path):
    """Nor is it taken for what was downloaded: MNIST's reader would accept it."""
    left = tmp_path / ".tmp-download" / "MNIST" / "raw"
    left.mkdir(parents=True)
    (left / "train-images-idx3-ubyte").write_bytes(b"half")
    with pytest.raises(MemstudyError, match=r"MNIST: expected 60,000 .* found images \(50, 1, 28, 28\)"):
        sources.load("mnist", tmp_path, download=True)
    assert rest(tmp_path)[:2] == ["MNIST", "MNIST/raw"]
    assert (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes() == idx((50, 28, 28))


def test_files_that_are_missing_are_added_to_those_that_are_there(little, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"a half file of earlier")
    (raw / "remarks.txt").write_text("mine")
    with pytest.raises(MemstudyError, match=r"found images \(50, 1, 28, 28\)"):
        sources.load("mnist", tmp_path, download=True)
    assert {*torchvision_sets.IDX, "remarks.txt"} <= {file.name for file in raw.iterdir()}
    assert (raw / "remarks.txt").read_text() == "mine"


def test_what_is_there_is_not_downloaded(little, tmp_path):
    with pytest.raises(MemstudyError, match="expected"):
        sources.load("mnist", tmp_path, download=True)
    asked = len(little.asked)
    with pytest.raises(MemstudyError, match="expected"):
        sources.load("mnist", tmp_path, download=True)
    assert len(little.asked) == asked > 0


def test_of_two_at_once_one_downloads(little, tmp_path):
    def load():
        with pytest.raises(MemstudyError, match="expected"):
            sources.load("mnist", tmp_path, download=True)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(little.asked) == sorted(FILES * 2)  # each asked for its place, then for itself


def test_nothing_is_downloaded_unless_asked_for(little, tmp_path):
    with pytest.raises(MemstudyError, match="add --download"):
        sources.load("mnist", tmp_path / "data")
    sources.survey(tmp_path / "data")
    assert little.asked == []
    assert not (tmp_path / "data").exists()


def test_cifar_s_archive_is_unpacked_whole(site, tmp_path, monkeypatch):
    """A small one in the original layout, found not to be CIFAR-10 only after it was read."""
    pack_cifar(site, tmp_path / "pack", monkeypatch)
    folder = tmp_path / "data"
    with pytest.raises(MemstudyError, match=r"expected 50,000 .* found images \(10, 3, 32, 32\)"):
        sources.load("cifar10", folder, download=True)
    assert rest(folder) == ["cifar-10-batches-py", *(f"cifar-10-batches-py/{name}" for name in sorted(CIFAR10))]
    shutil.rmtree(folder)
    site.instead["cifar.tar.gz"] = half
    with pytest.raises(MemstudyError, match=r"CIFAR10 could not be downloaded into .*corrupted"):
        sources.load("cifar10", folder, download=True)
    assert rest(folder) == []


def pack_cifar(site, folder, monkeypatch):
    """An archive of seven small files on a site, their MD5 told to torchvision."""
    batches = folder / "cifar-10-batches-py"
    write_cifar10(batches, [{"data": [[0] * 3072] * 2, "labels": [0, 1]}] * 6 + [{"label_names": []}], monkeypatch)
    archive = site.folder / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(batches, "cifar-10-batches-py")
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{site.url}cifar.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())


def test_the_real_fashion_mnist_is_downloaded(site, tmp_path, monkeypatch):
    """Debian packed the four original files anew, so that their archives have another MD5."""
    if not DEBIAN.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    serve(site, monkeypatch, "FashionMNIST", {name: (DEBIAN / name).read_bytes() for name in FILES})
    images = sources.load("fashion", tmp_path / "data", download=True)
    assert images.content_hash() == torchvision_sets.DIGESTS["fashion"]
    for file in site.folder.iterdir():
        file.unlink()
    assert sources.load("fashion", tmp_path / "data").content_hash() == images.content_hash()
    assert [one.name for one in sources.survey(tmp_path / "data") if one.cached and one.name == "fashion"]
    assert not (tmp_path / "data" / ".tmp-download").exists()
