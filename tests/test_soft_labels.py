"""Labels drawn from soft labels: by their rows, with the floor that follows, and their SHA-256 in the recipe."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from memstudy import presets
from memstudy.data import artifact, dataset, human, sources, transitions
from memstudy.data.given import Given, distribution_digest
from memstudy.errors import MemstudyError
from memstudy.recipe import Corruption
from memstudy.report import noise
from memstudy.store import Store
from memstudy.study import grid


def drawn(images, rows, seed=0):
    """Labels drawn from soft ones (N, K)."""
    corruption = Corruption("soft", None, seed, labels=distribution_digest(rows))
    return dataset.corrupt(images, corruption, Given(None, rows))


def confused(images, spread=0.3):
    """Soft labels (N, 10): 1 - spread on the truth, and other shares of the rest for each sample."""
    generator = np.random.default_rng(0)
    rows = spread * generator.dirichlet(np.full(10, 0.5), len(images.train_labels))
    rows[np.arange(len(rows)), images.train_labels.numpy()] += 1 - spread
    return rows


def kept(labels):
    """The soft labels that an artifact carries."""
    assert labels.distribution is not None
    return labels.distribution


@pytest.fixture
def soft_file(small, tmp_path, mnist5k):
    """Soft labels of all 4,000 training samples, as CIFAR-10H's are kept."""
    rows = confused(mnist5k)
    path = tmp_path / "probs.npy"
    np.save(path, rows)
    return path


# What is drawn


def test_every_sample_is_drawn_by_its_own_row(small):
    rows = confused(small)
    labels = np.stack([drawn(small, rows, seed).noisy_labels.numpy() for seed in range(300)])
    counts = np.stack([(labels == k).sum(axis=0) for k in range(10)], axis=1)
    expected = 300 * rows
    pooled = ((counts - expected) ** 2 / np.where(expected > 0, expected, 1)).sum()
    assert scipy.stats.chi2.sf(pooled, rows.size - len(rows)) > 1e-6
    other = np.roll(rows, 1, axis=1)  # the check can fail
    assert scipy.stats.chi2.sf(((counts - 300 * other) ** 2 / (300 * other)).sum(), rows.size - len(rows)) < 1e-6


def test_a_row_with_all_on_one_class_gives_that_class(small):
    places = torch.arange(400) % 10
    data = drawn(small, np.eye(10)[places])
    assert torch.equal(data.noisy_labels, places)
    assert data.floor == data.expected_floor == 0


def test_a_class_of_share_0_is_never_drawn_however_numbers_are_rounded(small, monkeypatch):
    """Even where the generator gives the largest number below 1, and rows add up to a little less."""
    rows = np.zeros((400, 10))
    rows[:, 1:4] = [0.1, 0.2, 0.7 - 1e-12]
    for largest in (0.0, 1 - 2.0**-53):
        monkeypatch.setattr(dataset, "numpy_generator", lambda *_, largest=largest: Constant(largest))
        found = set(drawn(small, rows).noisy_labels.tolist())
        assert found == ({1} if largest == 0 else {3})


class Constant:
    """A generator that draws one number only."""

    def __init__(self, number):
        self.number = number

    def random(self, shape):
        return np.full(shape, self.number)


def test_the_same_seed_gives_the_same_labels_and_another_others(small):
    rows = confused(small)
    assert torch.equal(drawn(small, rows).noisy_labels, drawn(small, rows).noisy_labels)
    assert not torch.equal(drawn(small, rows).noisy_labels, drawn(small, rows, seed=1).noisy_labels)


# What follows from it


def test_the_floor_is_the_entropy_of_the_rows(small):
    rows = np.tile([0.5, 0.25, 0.25, *[0] * 7], (400, 1))
    data = drawn(small, rows)
    assert data.expected_floor == pytest.approx(1.5 * np.log(2))  # ½ ln 2 + ½ ln 4
    halves = float((data.noisy_labels == 0).double().mean())
    assert data.floor == pytest.approx(halves * np.log(2) + (1 - halves) * np.log(4))


def test_of_different_rows_the_floor_is_the_mean_entropy_of_the_rows(small):
    rows = confused(small)
    data = drawn(small, rows)
    assert data.expected_floor == pytest.approx(scipy.stats.entropy(rows, axis=1).mean())
    assert data.floor == pytest.approx(data.expected_floor, abs=0.15)
    assert data.floor != data.expected_floor


def test_the_transition_is_that_of_the_labels_drawn_and_the_artifact_has_the_rows(small, tmp_path):
    rows = confused(small)
    data = drawn(small, rows)
    assert data.expected is None
    assert data.transition[3, 3] == pytest.approx(
        (data.noisy_labels[small.train_labels == 3] == 3).double().mean()
    )
    (tmp_path / "a.npz").write_bytes(artifact.content(data))
    made = artifact.read(tmp_path / "a.npz")
    assert np.array_equal(kept(made), rows)
    assert f"{data.floor:.4f} nats, the mean of -ln P" in noise.describe(made)["floor"]


def test_labels_of_human_annotators_are_drawn_as_often_as_they_chose_them():
    """CIFAR-10N: each of three annotators' labels a third: of the labels drawn, their mean of 17.66 % is wrong."""
    folder = Path(os.environ.get("MEMSTUDY_DATA", "nowhere"))
    if human.path(folder, "cifar10") is None or not (folder / "cifar10.npz").is_file():
        pytest.skip("MEMSTUDY_DATA has no CIFAR-10_human.pt or no cifar10.npz")
    images = sources.load("cifar10", folder)
    clean = images.train_labels.numpy()
    three = [human.read(folder, "cifar10", f"random{number}", clean) for number in (1, 2, 3)]
    rows = np.mean([np.eye(10)[labels] for labels in three], axis=0)
    data = drawn(images, rows)
    wrong = np.mean([labels != clean for labels in three], axis=0)
    assert wrong.mean() == pytest.approx((0.17234 + 0.18122 + 0.17640) / 3, abs=1e-9)
    assert abs(data.corrupted_share - wrong.mean()) < 4 * np.sqrt((wrong * (1 - wrong)).sum()) / len(clean)
    agree = sum(
        (a == b).astype(int) for a, b in ((three[0], three[1]), (three[0], three[2]), (three[1], three[2]))
    )
    entropy = {0: np.log(3), 1: np.log(3) - 2 / 3 * np.log(2), 3: 0.0}  # all differ, two agree, all agree
    assert data.expected_floor == pytest.approx(np.mean([entropy[int(pairs)] for pairs in agree]))


# The recipe


def test_rows_are_divided_to_the_same_bits_however_they_lie_and_however_often(small):
    rows = 1.0005 * confused(small)
    found = transitions.stochastic(rows)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-12)
    for other in (found, np.asfortranarray(rows), rows[:, ::-1].copy()[:, ::-1]):
        assert np.array_equal(transitions.stochastic(other), found)


def test_the_recipe_is_known_by_the_rows_and_the_seed(small):
    rows = confused(small)
    one = presets.build(noise="soft", labels=distribution_digest(rows))
    assert one.corruption.labels == distribution_digest(rows)
    assert one.corruption.rate is None
    others = [
        presets.build(noise="soft", labels=distribution_digest(rows[::-1])),
        presets.build(noise="soft", labels=distribution_digest(rows), corrupt_seed=1),
        presets.build(labels=distribution_digest(rows)),
    ]
    assert len({recipe.id for recipe in (one, *others)}) == 4
    assert one.corruption.short == f"soft-{distribution_digest(rows)[:8]}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": "soft"}, "soft corruption needs a file: --labels FILE."),
        ({"noise": "soft", "labels": "0" * 64, "corrupt": 0.3}, "soft corruption has no rate"),
        ({"noise": "soft", "labels": "0" * 64, "matrix": [[1, 0], [0, 1]]}, "does not look at --matrix"),
        ({"noise": "symmetric", "labels": "0" * 64}, "does not look at --labels"),
    ],
)
def test_what_does_not_go_together_is_refused(options, words):
    with pytest.raises(MemstudyError, match=words):
        presets.build(**options)


# As a user types it


def test_build_show_and_run_from_soft_labels(command, soft_file, mnist5k):
    done = command(
        "data", "build", "--noise", "soft", "--labels", str(soft_file), "--seed", "2", "-o", "a.npz", "--json"
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["rule"], said["rate_asked"], said["seed"]) == ("soft", None, 2)
    made = artifact.read(Path("a.npz"))
    assert np.array_equal(made.noisy, drawn(mnist5k, np.load(soft_file), seed=2).noisy_labels.numpy())
    shown = command("data", "show", "a.npz")
    assert shown.exit_code == 0, shown.output
    assert "the mean of -ln P of these labels in the soft ones" in shown.output
    trained = command(
        "run", "--noise", "soft", "--labels", str(soft_file), "--corrupt-seed", "2", "--train-size", "200",
        "--epochs", "1",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    (run,) = Store(Path("runs")).runs()
    labels = artifact.read(run.path / "labels.npz")
    assert labels.rule == "soft"
    assert np.array_equal(kept(labels), np.load(soft_file)[labels.positions])
    assert "if they do not depend on the images" not in trained.output
    again = command("run", "--recipe", str(run.path / "recipe.toml"))
    assert again.exit_code == 0, again.output


def test_a_file_of_ours_may_be_drawn_from_again(command, soft_file):
    assert command("data", "build", "--noise", "soft", "--labels", str(soft_file), "-o", "a.npz").exit_code == 0
    done = command("data", "build", "--noise", "soft", "--labels", "a.npz", "--seed", "1", "-o", "b.npz")
    assert done.exit_code == 0, done.output
    one, other = (artifact.read(Path(name)) for name in ("a.npz", "b.npz"))
    assert np.array_equal(kept(one), kept(other))
    assert not np.array_equal(one.noisy, other.noisy)


def test_labels_that_are_not_soft_are_not_drawn_from(command, mnist5k, soft_file):
    np.save("hard.npy", mnist5k.train_labels.numpy())
    done = command("data", "build", "--noise", "soft", "--labels", "hard.npy", "-o", "a.npz")
    assert done.exit_code == 2
    assert "one label a sample, no soft ones" in done.output
    done = command("run", "--labels", str(soft_file))
    assert done.exit_code == 2
    assert "--noise soft" in done.output


def test_annotators_votes_are_drawn_from_without_a_word_of_a_majority(command, mnist5k):
    """The same identity as of their shares: 3 of 3 for most, 2 of 3 and 1 of 3 for every tenth."""
    votes = np.stack([mnist5k.train_labels.numpy()] * 3, axis=1)
    votes[::10, 0] = (votes[::10, 0] + 1) % 10
    rows = ["annotator_1,annotator_2,annotator_3", *(",".join(map(str, row)) for row in votes.tolist())]
    Path("votes.csv").write_text("\n".join(rows) + "\n")
    np.save("shares.npy", np.eye(10)[votes].sum(axis=1) / 3)
    hashes = []
    for name in ("votes.csv", "shares.npy"):
        done = command("data", "build", "--noise", "soft", "--labels", name, "-o", f"{name}.npz", "--json")
        assert done.exit_code == 0, done.output
        assert "majority" not in done.output
        hashes.append(json.loads(done.stdout)["labels_sha256"])
    assert hashes[0] == hashes[1]
    made = artifact.read(Path("votes.csv.npz"))
    assert made.mask[::10].mean() == pytest.approx(1 / 3, abs=4 * np.sqrt(2 / 9 / 400))
    assert made.mask.sum() == made.mask[::10].sum()
    assert command("data", "build", "--labels", "votes.csv", "-o", "majority.npz").exit_code == 0
    assert not artifact.read(Path("majority.npz")).mask.any()


def test_soft_labels_in_another_order_are_asked_about(command, soft_file):
    np.save("other.npy", np.random.default_rng(0).permutation(np.load(soft_file)))
    done = command("data", "build", "--noise", "soft", "--labels", "other.npy", "-o", "a.npz")
    assert done.exit_code == 2
    assert "in another order, or of another set?" in done.output
    done = command("data", "build", "--noise", "soft", "--labels", "other.npy", "--anyway", "-o", "a.npz")
    assert done.exit_code == 0, done.output


def test_a_study_draws_from_soft_labels(tmp_path, soft_file, mnist5k):
    path = tmp_path / "soft.toml"
    lines = ['name = "soft"', 'preset = "quick"', "[grid]", 'noise = "soft"', f'labels = "{soft_file.name}"']
    path.write_text("\n".join([*lines, "corrupt_seed = [0, 1]"]))
    recipes = grid.read(path).recipes
    identity = distribution_digest(transitions.stochastic(np.load(soft_file)))
    assert [(r.corruption.rule, r.corruption.labels, r.corruption.seed) for r in recipes] == [
        ("soft", identity, 0), ("soft", identity, 1),
    ]  # fmt: skip


def test_soft_labels_of_another_set_are_refused(command, soft_file):
    """10,000 as CIFAR-10H has, for the 10,000 test images, are none of the 4,000 training images."""
    np.save("other.npy", np.tile(np.load(soft_file)[:2_500], (4, 1)))
    done = command("run", "--noise", "soft", "--labels", "other.npy", "--epochs", "1")
    assert done.exit_code == 2
    assert "10,000" in done.output
    np.save("few.npy", np.tile([0.2] * 5, (4_000, 1)))
    done = command("run", "--noise", "soft", "--labels", "few.npy", "--epochs", "1")
    assert done.exit_code == 2
    assert "5 classes" in done.output


def test_a_file_whose_label_its_rows_exclude_is_damaged(small, tmp_path):
    data = drawn(small, confused(small))
    path = tmp_path / "a.npz"
    path.write_bytes(artifact.content(data))
    with np.load(path) as found:
        arrays = dict(found)
    arrays["distribution"] = np.eye(10)[(arrays["noisy"] + 1) % 10]
    np.savez(path, **arrays)
    with pytest.raises(MemstudyError, match="damaged"):
        artifact.read(path)
