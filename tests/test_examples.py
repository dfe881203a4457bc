"""The example package, installed: its names in commands and study files, and each of the five by its own law."""

import csv
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from safetensors.numpy import load_file

from memstudy import models, presets, regularizers
from memstudy.cli.progress import Voice
from memstudy.data import dataset, sources
from memstudy.derived import analysis
from memstudy.derived.deriving import derive
from memstudy.derived.workbench import Workbench
from memstudy.models import NETWORKS
from memstudy.randomness import torch_generator
from memstudy.recipe import Corruption
from memstudy.store import RunDirectory, Store
from memstudy.study import grid
from memstudy.training import numerics
from tests import test_corruption as rules
from tests import test_regularizers_contract as contract
from tests.kit.others_code import new_process
from tests.kit.sentences import refused
from tests.kit.sources import stand_in
from tests.kit.stores import train

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
PACKAGE = "memstudy_extras"
TINY = ["--train-size", "200", "--epochs", "2", "--checkpoints", "2", "--device", "cpu"]
COUNTS = [400, 286, 205, 147, 105, 75, 54, 38, 27, 20]  # int(400 · 20^(-k/9))
LOOKALIKES = [5, 8, 8, 5, 9, 3, 2, 9, 5, 4]  # of the 4,000 images of mnist5k


# Installed, in processes of their own


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package as pip installs it. Of a copy: a build leaves files beside the sources."""
    place = tmp_path_factory.mktemp("extras")
    shutil.copytree(EXAMPLES, place / "source", ignore=shutil.ignore_patterns("__pycache__"))
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    pip = [sys.executable, "-m", "pip", "install", *offline, "--target", place / "library", place / "source"]
    subprocess.run(pip, check=True)
    return place / "library"


def paths(installed):
    """The environment of a process that has the package."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [ROOT, installed]))}


@dataclass(frozen=True)
class CommandLine:
    """Runs memstudy in processes that have the package, in a folder."""

    place: Path
    installed: Path

    def __call__(self, *words):
        """What is printed."""
        done = subprocess.run(
            [sys.executable, "-W", "error::UserWarning", "-m", "memstudy", *words],
            cwd=self.place, env=paths(self.installed), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def memstudy(installed, tmp_path_factory):
    return CommandLine(tmp_path_factory.mktemp("work"), installed)


def readme_command(verb):
    """The words of the one command of the page that begins with a verb."""
    (line,) = re.findall(rf"^    memstudy ({verb} .*)$", README, flags=re.MULTILINE)
    return shlex.split(line)


@pytest.fixture(scope="module")
def run(memstudy):
    """The page's run, small."""
    summary = json.loads(memstudy(*readme_command("run"), *TINY, "--json"))
    (state,) = memstudy.place.glob("runs/*/state.json")
    return RunDirectory(state.parent), summary


def test_help_lists_the_names(memstudy):
    listed = memstudy("--help")
    assert re.search(r"^  norms +Measure the norm of each layer's weights", listed, flags=re.MULTILINE)
    text = " ".join(memstudy("norms", "--help").split())
    assert "--order [frobenius|spectral]" in text
    assert "[default: frobenius]" in text
    assert "Kept epochs to measure" in text


def test_a_run_of_the_readme(run):
    """The rule, the set, the network and the regularizer in one run: what it wrote is what each says."""
    directory, _ = run
    recorded = directory.state()["code"]
    assert sorted(recorded) == [
        "corruption rule 'lookalike'", "dataset 'mnist5k-longtail'",
        "network 'lenet5'", "regularizer 'confidence'",
    ]  # fmt: skip
    for code in recorded.values():
        assert code["distribution"] == "memstudy-extras 0.1.0"
        assert len(code["modules"]) == 2  # its own file, and the package's: no other of the five
    recipe = directory.recipe
    assert dict(recipe.options("confidence")) == {"weight": 0.5}
    with np.load(directory.path / "labels.npz") as labels:
        clean, noisy = labels["clean"], labels["noisy"]
    assert len(clean) == 200
    targets = {int(true): set(noisy[clean == true]) - {true} for true in np.unique(clean)}
    assert all(len(wrong) <= 1 for wrong in targets.values())
    assert scipy.stats.binomtest(int((clean != noisy).sum()), 200, 0.4).pvalue > 1e-6
    penalties = directory.metrics()["penalty_confidence"]
    assert ((penalties > 0) & (penalties < math.log(10))).all()
    tensors = checkpoint(directory, 1)
    assert sum(t.size for name, t in tensors.items() if name.endswith(("weight", "bias"))) == 61_706 + 2 * (6 + 16)


def checkpoint(directory, epoch):
    """A kept network's tensors, read without memstudy."""
    return load_file(directory.path / "checkpoints" / f"epoch-{epoch:04d}.safetensors")


def norms_of(tensors, order):
    """Of weights of two and four dimensions, in the order of the layers' numbers."""
    names = sorted(n for n, value in tensors.items() if n.endswith(".weight") and value.ndim > 1)
    names.sort(key=lambda name: ("head" in name, int(name.split(".")[-2])))
    weights = [tensors[name].reshape(len(tensors[name]), -1).astype(np.float64) for name in names]
    if order == "spectral":
        return [np.linalg.svd(weight, compute_uv=False)[0] for weight in weights]
    return [np.sqrt((weight**2).sum()) for weight in weights]


def test_its_analysis_by_its_own_command(memstudy, run):
    directory, _ = run
    found = json.loads(memstudy(*readme_command("norms"), "--json", "--device", "cpu"))
    assert found["left_out"] == []
    assert [row["mean"] for row in found["norms-spectral"]] == pytest.approx(
        norms_of(checkpoint(directory, 1), "spectral"), rel=1e-12
    )
    assert {Path(path).name for path in found["written"]} == {
        f"norms-spectral.{ending}" for ending in ("md", "tex", "csv", "svg", "pdf", "png")
    }
    assert all((memstudy.place / path).stat().st_size for path in found["written"])


# Each by its own law, in this process


@pytest.fixture
def extras(installed, monkeypatch):
    """The names are known, and the modules are importable, in this process."""
    monkeypatch.syspath_prepend(installed)
    new_process(PACKAGE)
    yield lambda module: import_module(f"{PACKAGE}.{module}")
    monkeypatch.undo()
    new_process(PACKAGE)


def logits(scale):
    return scale * torch.randn(7, 10, dtype=torch.float64, generator=torch_generator(0, "logits"))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_the_penalty_is_by_how_much_entropy_is_less_than_it_can_be(extras, scale):
    given, confidence = logits(scale), extras("confidence").confidence
    entropy = scipy.stats.entropy(scipy.special.softmax(given.numpy(), axis=1), axis=1).mean()
    assert float(confidence(given)) == pytest.approx(math.log(10) - entropy, rel=1e-9, abs=1e-14)


def test_the_penalty_s_gradient_and_ends(extras):
    confidence = extras("confidence").confidence
    assert torch.autograd.gradcheck(confidence, logits(2.0).requires_grad_())
    assert float(confidence(torch.full((3, 10), 5.0))) == pytest.approx(0, abs=1e-6)
    certain = 1e6 * torch.eye(10, requires_grad=True)
    assert float(confidence(certain).detach()) == pytest.approx(math.log(10))
    assert torch.autograd.grad(confidence(certain), certain)[0].isfinite().all()
    refused(lambda: regularizers.parse("confidence", {"confidence": {"weight": -1}}), "confidence.weight")
    refused(lambda: regularizers.parse("confidence", {"confidence": {"wieght": 1}}), "did you mean weight?")


@pytest.fixture
def by_contract(extras, monkeypatch):
    """What the contract of regularizers asks of a new one, and of a new network: see CONTRIBUTING.md."""
    monkeypatch.setitem(contract.WEAKEST, "confidence", {"weight": contract.NAUGHT})
    monkeypatch.setattr(contract, "PENALIZING", [*contract.PENALIZING, "confidence"])
    few = contract.few
    monkeypatch.setattr(contract, "few", lambda side: few(16))  # LeNet-5 takes no less than 12 pixels


PAIRS = [("smallnet", "confidence"), ("lenet5", "confidence"), ("lenet5", "do+al2+confidence")]


@pytest.mark.usefixtures("by_contract")
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_regularizer_and_network_keep_the_contract(pair):
    contract.test_the_gradient_is_that_of_the_objective(pair)
    with numerics():
        trained = contract.Trained(*pair)
    for law in (
        contract.test_it_trains_every_weight,
        contract.test_it_changes_training,
        contract.test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit,
        contract.test_evaluation_repeats_and_changes_nothing,
        contract.test_evaluation_knows_weights_alone,
    ):
        law(trained)
    for kind in contract.KINDS if "do" not in pair[1] else ():
        contract.test_penalties_and_their_gradients_are_what_the_parameters_are(*pair, kind)
    contract.test_at_strength_0_it_trains_the_bits_of_bare(pair)


def test_lenet5_has_its_sizes(extras):
    for shape, trunk, features in [((1, 28, 10), (16, 5, 5), 400), ((3, 32, 100), (16, 6, 6), 576)]:
        channels, size, classes = shape
        network = models.build(
            "lenet5", channels=channels, size=size, classes=classes, generator=torch_generator(0, "weights")
        )
        found, answers = network(torch.zeros(2, channels, size, size))
        assert (found.shape, answers.shape) == ((2, *trunk), (2, classes))
        by_hand = (channels * 25 + 1) * 6 + 151 * 16 + (features + 1) * 120 + 121 * 84 + 85 * classes
        assert sum(weight.numel() for weight in network.parameters()) == by_hand
    refused(lambda: NETWORKS.get("lenet5")(1, 11, 10), "'lenet5' needs images of at least 12 pixels, not 11")


def test_the_set_is_mnist5k_with_a_long_tail(extras, mnist5k):
    images = sources.load("mnist5k-longtail")
    assert torch.bincount(images.train_labels).tolist() == COUNTS
    for label, count in enumerate(COUNTS):
        ours, theirs = (each.train_images[each.train_labels == label] for each in (images, mnist5k))
        assert torch.equal(ours, theirs[:count])
    assert torch.equal(images.test_images, mnist5k.test_images)
    assert torch.bincount(images.test_labels).tolist() == [100] * 10
    assert images.content_hash() == "eee11ba22f1cb2c3fbd97dc283f2c21731303d11a930324ee4ba13b82b08a010"
    (listed,) = [each for each in sources.survey() if each.name == images.name]
    assert listed.installed
    longtail = extras("longtail")
    assert torch.equal(longtail.long_tailed(mnist5k, 1).train_images, mnist5k.train_images)


def test_lookalikes_are_of_the_nearest_mean_images(extras, mnist5k):
    """Against distances in floating point, on real sets; and by renaming classes."""
    lookalikes = extras("lookalike").lookalikes
    for images in (mnist5k, sources.load("digits"), sources.load("mnist5k-longtail")):
        pixels = images.train_images.flatten(1).double()
        means = torch.stack([pixels[images.train_labels == label].mean(dim=0) for label in range(10)])
        nearest = torch.cdist(means, means).fill_diagonal_(math.inf).argmin(dim=1)
        assert lookalikes(images) == nearest.tolist()
    assert lookalikes(mnist5k) == LOOKALIKES
    swapped = replace(mnist5k, train_labels=9 - mnist5k.train_labels)
    assert lookalikes(swapped) == [9 - LOOKALIKES[9 - label] for label in range(10)]
    without = mnist5k.part((mnist5k.train_labels != LOOKALIKES[0]).nonzero().flatten())
    assert LOOKALIKES[0] not in lookalikes(without)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_labels_become_their_lookalikes_at_the_rate(extras, mnist5k, rate):
    data = dataset.corrupt(mnist5k, Corruption("lookalike", rate))
    clean, noisy = mnist5k.train_labels.numpy(), data.noisy_labels.numpy()
    assert set(noisy[data.mask.numpy()] - np.array(LOOKALIKES)[clean[data.mask.numpy()]]) <= {0}
    for label in range(10):
        assert rules.likely((noisy != clean)[clean == label].sum(), 400, rate)
    expected = -sum(p * math.log(p) for p in (rate, 1 - rate) if p)
    assert data.expected_floor == pytest.approx(expected)


def test_the_rule_keeps_the_laws_of_rules(extras, small, mnist5k, monkeypatch):
    monkeypatch.setattr(rules, "RATED", (*rules.RATED, "lookalike"))
    for law in (
        rules.test_nothing_that_is_passed_in_is_changed,
        rules.test_no_global_generator_is_touched,
        rules.test_the_same_corruption_again_is_the_same,
        rules.test_another_seed_is_another_corruption,
        rules.test_every_rule_gives_whole_labels_of_the_set_s_classes,
        rules.test_rate_0_changes_nothing_and_the_images_stay,
    ):
        law(small, "lookalike")
    rules.test_every_rule_says_what_it_does_and_what_its_rate_is("lookalike")
    rules.test_a_rule_with_a_rate_asks_for_it(mnist5k, "lookalike")
    rules.test_a_higher_rate_corrupts_more_of_the_same_to_the_same_classes(mnist5k=mnist5k, rule="lookalike")


# A study, and its analysis


def small_study():
    """The page's study, of few images and epochs."""
    (text,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    return text.replace("[grid]", "[grid]\ntrain_size = 100\nepochs = 2\ncheckpoints = 2", 1)


def test_a_study_of_the_readme(command, tmp_path, extras):
    (tmp_path / "extras.toml").write_text(small_study())
    done = command("study", "extras.toml", "--trust", "--seeds", "1", "--jobs", "1", "--device", "cpu", "--json")
    assert done.exit_code == 0, done.output
    summary, place = json.loads(done.stdout), tmp_path / "runs" / "studies" / "extras"
    labels = ["bare", "confidence (weight 0.1)", "confidence (weight 0.5)"]
    assert [row["label"] for row in summary["norms-spectral"]] == list(np.repeat(labels, 5))
    with (place / "norms-spectral.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 5  # runs, kept epochs, layers
    for name, epoch in {(row["run"], row["epoch"]) for row in rows}:
        ours = [float(row["norm"]) for row in rows if (row["run"], row["epoch"]) == (name, epoch)]
        theirs = norms_of(checkpoint(RunDirectory(tmp_path / "runs" / name), int(epoch)), "spectral")
        assert ours == pytest.approx(theirs, rel=1e-12)
    made = {f"{folder}/norms-spectral.{end}" for folder, end in (("tables", "md"), ("figures", "png"))}
    assert made <= {str(Path(path).relative_to(place)) for path in map(tmp_path.joinpath, summary["written"])}
    (chart,) = extras("norms").Norms(order="spectral").charts(Store(tmp_path / "runs").select((), "extras"))
    (shown,) = chart.spec()["datasets"].values()
    found = {(row["method"], int(row["layer"]), row["epoch"]): row["norm"] for row in shown}
    assert len(found) == 3 * 2 * 5
    for row in summary["norms-spectral"]:
        assert found[row["label"], int(row["layer"]), 1] == pytest.approx(row["mean"], rel=6e-5)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('order = "spectral"', 'order = "spectrl"', ["order in [report.norms]", "did you mean spectral?"]),
        ('order = "spectral"', "ordre = 2", ["key of [report.norms]", "did you mean order?"]),
        ('["norms"]', '["norm"]', ["name among analyses in [report]", "did you mean norms"]),
        ('"lookalike"', '"lookalikes"', ["corruption rule 'lookalikes'", "did you mean lookalike?"]),
    ],
)
@pytest.mark.usefixtures("extras")
def test_a_mistake_in_a_study_is_told_as_with_ours(tmp_path, right, wrong, words):
    file = tmp_path / "study.toml"
    file.write_text(small_study().replace(right, wrong))
    refused(lambda: grid.read(file), str(file), *words)


def measured(root, **options):
    """What the command would give in this process: the summary and the CSV's rows."""
    selection = Store(root).select([], None)
    one = analysis("norms")(**options)
    summary = derive(one, selection, Workbench(torch.device("cpu")), Voice(quiet=True))
    with (selection.path / one.path).open() as file:
        return summary, list(csv.DictReader(file))


@pytest.mark.slow
def test_the_analysis_keeps_the_contract(installed):
    """The laws of memstudy's own, which find it by its entry point: where the package is installed, it is one."""
    laws = ["-k", "norms and not no_longer_made", "-m", "not slow"]  # the law left out derives all analyses
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_analyses.py", *laws],
        cwd=ROOT, env=paths(installed), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 10


def test_weights_that_are_made_of_others_are_looked_at_as_they_are_used(extras, tmp_path, small):
    """With weight normalization ‖W‖_F² is the sum of squared lengths, which the checkpoint has."""
    recipe = presets.build(reg="wn", epochs=1)
    train(tmp_path, [recipe], small)
    tensors = checkpoint(Store(tmp_path).open(recipe), 0)
    lengths = [np.linalg.norm(value) for name, value in tensors.items() if name.endswith("original0")]
    lengths.append(np.linalg.norm(tensors["network.head.3.weight"]))  # the last layer is as it is
    with stand_in(small):
        rows = measured(tmp_path)[1]
    assert sorted(float(row["norm"]) for row in rows) == pytest.approx(sorted(lengths), rel=1e-6)
