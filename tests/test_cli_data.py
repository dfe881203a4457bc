"""`memstudy data`, and the options of `run` that choose data: as a user types them, on real images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from memstudy.data import RULES, artifact, dataset
from memstudy.data.label_files import LabelSource
from memstudy.recipe import Corruption
from memstudy.report import noise
from memstudy.report.look import WIDTHS
from memstudy.store import Store
from memstudy.study import grid
from tests.kit.drawing import fit_for_print

IMAGES = ("transition.png", "transition.svg", "transition.pdf", "samples.png", "samples.svg", "samples.pdf")


@pytest.fixture
def memstudy(command):
    """On the 5,000 embedded images."""
    return command


def succeed(done):
    assert done.exit_code == 0, done.output
    return done


def build(memstudy, *words, output="noisy.npz"):
    return succeed(memstudy("data", "build", *words, "-o", output))


def run(memstudy, *words):
    succeed(memstudy("run", "--epochs", "1", *words))
    return Store(Path("runs")).runs()[-1]


# build


def test_build_writes_what_it_says(memstudy):
    done = build(memstudy, "--noise", "asymmetric", "--corrupt", "0.4", "--seed", "3", "--json")
    said = json.loads(done.stdout)
    with np.load("noisy.npz") as found:
        assert (found["noisy"] != found["clean"]).sum() == found["mask"].sum() == said["corrupted"]
        assert (str(found["rule"]), str(found["seed"]), float(found["rate_asked"])) == ("asymmetric", "3", 0.4)
        assert float(found["rate_realized"]) == said["rate_realized"] == said["corrupted"] / 4000
        assert str(found["source_sha256"]) == said["source_sha256"]


def test_the_same_command_gives_the_same_bytes(memstudy):
    for name in ("a.npz", "b.npz", "b.npz"):  # over an equal file, too
        build(memstudy, "--corrupt", "0.5", output=name)
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()
    build(memstudy, "--corrupt", "0.5", "--seed", "1", output="c.npz")
    assert Path("a.npz").read_bytes() != Path("c.npz").read_bytes()


def test_build_does_not_overwrite_another_file(memstudy):
    Path("noisy.npz").write_text("mine")
    done = memstudy("data", "build", "-o", "noisy.npz")
    assert done.exit_code == 2
    assert "there already" in done.stderr
    assert Path("noisy.npz").read_text() == "mine"


BAD_BUILDS = [
    (["-o", "noisy.csv"], ".npz"),
    (["--dataset", "mnst5k", "-o", "n.npz"], "did you mean mnist5k"),
    (["--noise", "asymetric", "-o", "n.npz"], "did you mean asymmetric"),
    (["--noise", "human-worst", "--corrupt", "0.4", "-o", "n.npz"], "no rate"),
    (["--noise", "human-worst", "-o", "n.npz"], "cifar10"),
    (["--noise", "matrix", "-o", "n.npz"], "--matrix FILE"),
    (["--matrix", "none.csv", "-o", "n.npz"], "cannot read"),
    (["--noise", "gaussian", "-o", "n.npz"], "memstudy run --noise gaussian"),
    (["--noise", "file", "-o", "n.npz"], "--labels"),
    (["--train-size", "9", "-o", "n.npz"], "between 10"),
    (["--train-size", "5000", "-o", "n.npz"], "4000"),
    (["--corrupt", "40", "-o", "n.npz"], "0.4"),
    (["-o", "/proc/n.npz"], "cannot write"),
]


@pytest.mark.parametrize(("words", "says"), BAD_BUILDS, ids=lambda value: str(value)[:50])
def test_a_mistake_is_one_sentence_exit_2_and_nothing_left(memstudy, tmp_path, words, says):
    done = memstudy("data", "build", *words)
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert not list(tmp_path.rglob("*.npz"))


def test_a_matrix_of_one_s_own(memstudy):
    matrix = np.eye(10)
    matrix[0, :2] = 0.25, 0.75
    np.savetxt("matrix.csv", matrix, delimiter=",")
    build(memstudy, "--matrix", "matrix.csv")
    with np.load("noisy.npz") as found:
        assert found["transition_asked"] == pytest.approx(matrix)
        assert set(found["clean"][found["mask"]]) == {0}
        assert set(found["noisy"][found["mask"]]) == {1}


# show


def test_show_prints_everything_and_draws(memstudy, every_format, tmp_path):
    build(memstudy, "--noise", "pair", "--corrupt", "0.3", output="pairs.npz")
    done = succeed(memstudy("data", "show", "pairs.npz"))
    with np.load("pairs.npz") as found:
        for name in ("source_sha256", "labels_sha256"):
            assert str(found[name]) in done.output
        assert f"{found['mask'].sum():,} of 4,000 labels" in done.output
    assert "pair" in done.output
    for ending in IMAGES:
        assert (tmp_path / f"pairs-{ending}").stat().st_size > 5000


def test_the_matrix_is_drawn_from_its_numbers(memstudy):
    build(memstudy, "--noise", "pair", "--corrupt", "0.3", output="pairs.npz")
    memstudy("data", "show", "pairs.npz", "--figures", "drawn")
    table = pd.read_csv("drawn/pairs-transition.csv", dtype={"true": str, "noisy": str})
    with np.load("pairs.npz") as found:
        expected = 100 * found["transition"]
    for _, row in table.iterrows():
        assert row["percent"] == pytest.approx(expected[int(row["true"]), int(row["noisy"])])
    samples = pd.read_csv("drawn/pairs-samples.csv", dtype=str)
    assert len(samples) == 32
    assert ((samples["true"].astype(int) + 1) % 10 == samples["noisy"].astype(int)).all()
    assert set(samples["true"]) == set("0123456789")


@pytest.mark.parametrize("width", WIDTHS)
def test_figures_of_a_label_file_fit_every_width(small, tmp_path, width):
    """Nothing of them lies outside, with names of any length; numbers have the digits that there is room for."""
    named = replace(small, class_names=("a class with a name that is much longer than others", *"bcdefghij"))
    path = tmp_path / "noisy.npz"
    path.write_bytes(artifact.content(dataset.corrupt(named, Corruption("pair", 0.3))))
    made = artifact.read(path)
    matrix, _ = fit_for_print(lambda: [noise.matrix(made, "x"), noise.samples(made, named, "x")], [width])
    numbers = [text.get_text() for text in matrix.figure.axes[0].texts]
    assert any("." in number for number in numbers) == (width > 4)
    assert set(matrix.data["true"]) == set(named.class_names)


def test_show_draws_at_the_width_that_is_asked_for(memstudy, every_format):
    build(memstudy, "--noise", "pair", "--corrupt", "0.3", output="pairs.npz")
    succeed(memstudy("data", "show", "pairs.npz", "--width", "3.25", "--caption", "file"))
    for name in ("transition", "samples"):
        with Image.open(f"pairs-{name}.png") as image:
            assert image.width == 3.25 * 200
        assert "n = 4,000 labels are wrong" in Path(f"pairs-{name}.caption.txt").read_text()
    done = memstudy("data", "show", "pairs.npz", "--width", "0.5")
    assert done.exit_code == 2
    assert "--width" in done.stderr


def test_show_a_run_s_own_labels(memstudy):
    made = run(memstudy, "--corrupt", "0.5")
    done = succeed(memstudy("data", "show", str(made.path), "--figures", "drawn"))
    assert "symmetric" in done.output
    assert Path(f"drawn/{made.name}-samples.png").is_file()


def test_show_without_the_images(memstudy):
    build(memstudy)
    with np.load("noisy.npz") as found:
        arrays = dict(found)
    np.savez("moved.npz", **arrays | {"dataset": np.array("nowhere")})
    done = succeed(memstudy("data", "show", "moved.npz"))
    assert "no grid of samples" in done.output
    assert Path("moved-transition.png").is_file()
    assert not Path("moved-samples.png").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None], ids=["empty", "foreign", "missing"])
def test_show_what_is_no_artifact(memstudy, content):
    if content is not None:
        Path("noisy.npz").write_bytes(content)
    done = memstudy("data", "show", "noisy.npz")
    assert done.exit_code == 2
    assert "noisy.npz" in done.stderr
    assert "Traceback" not in done.output


def test_show_a_truncated_file(memstudy):
    build(memstudy)
    Path("noisy.npz").write_bytes(Path("noisy.npz").read_bytes()[:5000])
    assert memstudy("data", "show", "noisy.npz").exit_code == 2


# list, rules


def test_list_says_what_is_installed_and_how_to_get_the_rest(memstudy):
    done = succeed(memstudy("data", "list", "--json"))
    sets = {one["name"]: one for one in json.loads(done.stdout)["sets"]}
    assert set(sets) == {"mnist5k", "digits", "mnist", "fashion", "cifar10", "cifar100", "cifar100-coarse"}
    assert sets["mnist5k"]["installed"]
    for name in sets:
        assert name in done.stderr


def test_rules_says_what_each_rate_means(memstudy):
    done = succeed(memstudy("data", "rules", "--json"))
    assert list(json.loads(done.stdout)) == RULES.names()
    assert "rate·(K-1)/K" in done.stderr


# run --labels


def test_a_run_trains_on_a_built_file(memstudy):
    build(memstudy, "--noise", "pair", "--corrupt", "0.3", "--seed", "5")
    made = run(memstudy, "--labels", "noisy.npz")
    with np.load("noisy.npz") as built, np.load(made.path / "labels.npz") as used:
        assert np.array_equal(built["noisy"], used["noisy"])
    assert made.state()["corrupted_share"] == pytest.approx(0.3, abs=0.03)
    assert made.recipe.corruption.rate is None


def test_labels_train_as_the_rule_that_made_them(memstudy):
    """The same labels, so the same network bit for bit, however they came."""
    build(memstudy, "--corrupt", "0.5", "--seed", "2")
    by_file, by_rule = run(memstudy, "--labels", "noisy.npz"), None
    succeed(memstudy("run", "--epochs", "1", "--corrupt", "0.5", "--corrupt-seed", "2"))
    by_rule = next(found for found in Store(Path("runs")).runs() if found.name != by_file.name)
    assert by_rule.metrics().equals(by_file.metrics())


@pytest.mark.parametrize("ending", ["npy", "json", "csv", "txt"])
def test_labels_from_elsewhere(memstudy, ending):
    build(memstudy, "--corrupt", "0.5")
    with np.load("noisy.npz") as found:
        noisy = found["noisy"]
    path = Path(f"given.{ending}")
    if ending == "npy":
        np.save(path, noisy)
    elif ending == "json":
        path.write_text(json.dumps(noisy.tolist()))
    elif ending == "csv":
        pd.DataFrame({"is_label_issue": noisy > 3, "given_label": noisy}).to_csv(path)
    else:
        np.savetxt(path, noisy, fmt="%d")
    first = run(memstudy, "--labels", "noisy.npz")
    again = succeed(memstudy("run", "--epochs", "1", "--labels", str(path)))
    assert "to train for" not in again.output  # the same labels are the same run
    assert [found.name for found in Store(Path("runs")).runs()] == [first.name]


def test_a_run_with_given_labels_can_be_repeated_from_its_directory(memstudy):
    build(memstudy, "--corrupt", "0.5")
    made = run(memstudy, "--labels", "noisy.npz")
    Path("noisy.npz").unlink()
    succeed(memstudy("run", "--recipe", str(made.path / "recipe.toml"), "--runs-dir", "again"))
    assert Store(Path("again")).runs()[0].metrics().equals(made.metrics())


def test_a_recipe_without_its_labels_says_what_is_missing(memstudy):
    build(memstudy)
    made = run(memstudy, "--labels", "noisy.npz")
    Path("recipe.toml").write_bytes((made.path / "recipe.toml").read_bytes())
    done = memstudy("run", "--recipe", "recipe.toml", "--runs-dir", "again")
    assert done.exit_code == 2
    assert "--labels" in done.stderr
    assert not Path("again").exists()


def test_labels_for_a_chosen_part(memstudy):
    build(memstudy, "--train-size", "500", "--corrupt", "0.5", "--seed", "3")
    made = run(memstudy, "--labels", "noisy.npz")
    assert made.recipe.train_size == 500
    with np.load("noisy.npz") as built, np.load(made.path / "labels.npz") as used:
        assert np.array_equal(built["positions"], used["positions"])
        assert np.array_equal(built["noisy"], used["noisy"])
        assert np.bincount(used["clean"]).tolist() == [50] * 10
    refused = memstudy("run", "--labels", "noisy.npz", "--train-size", "400")
    assert refused.exit_code == 2
    assert "leave --train-size out" in refused.stderr


def test_labels_of_all_samples_serve_any_part(memstudy):
    build(memstudy, "--corrupt", "0.5")
    made = run(memstudy, "--labels", "noisy.npz", "--train-size", "500")
    with np.load("noisy.npz") as built, np.load(made.path / "labels.npz") as used:
        assert len(used["noisy"]) == 500
        assert np.array_equal(built["noisy"][used["positions"]], used["noisy"])
    Path("noisy.npz").unlink()  # the run's own labels are all that it takes from then on
    succeed(memstudy("run", "--recipe", str(made.path / "recipe.toml"), "--runs-dir", "again"))
    assert Store(Path("again")).runs()[0].metrics().equals(made.metrics())
    succeed(memstudy("export", made.name, "--cleanlab", "probabilities.npz"))


BAD_LABELS = [
    (lambda noisy: noisy[:-1], "3,999 noisy labels"),
    (lambda noisy: noisy + 1, "counted from 1"),
    (lambda noisy: noisy - 1, "counted from 0"),
    (lambda noisy: noisy + 0.5, "whole numbers"),
    (lambda noisy: noisy.reshape(2, -1, 1), "shape"),
]


@pytest.mark.parametrize(("change", "says"), BAD_LABELS, ids=[says for _, says in BAD_LABELS])
def test_labels_that_do_not_fit(memstudy, change, says):
    build(memstudy)
    with np.load("noisy.npz") as found:
        np.save("given.npy", change(found["noisy"]))
    done = memstudy("run", "--labels", "given.npy")
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", [["--noise", "pair"], ["--corrupt", "0.5"], ["--matrix", "m.csv"]])
def test_labels_and_a_rule_exclude_each_other(memstudy, words):
    build(memstudy)
    np.savetxt("m.csv", np.eye(10))
    done = memstudy("run", "--labels", "noisy.npz", *words)
    assert done.exit_code == 2
    assert words[0] in done.stderr


def test_labels_of_another_set_are_refused(memstudy):
    build(memstudy, "--dataset", "digits")
    done = memstudy("run", "--labels", "noisy.npz", "--dataset", "mnist5k")
    assert done.exit_code == 2
    assert "digits" in done.stderr


def test_a_study_over_label_files(memstudy):
    for seed in ("0", "1"):
        build(memstudy, "--corrupt", "0.5", "--seed", seed, "--train-size", "200", output=f"n{seed}.npz")
    Path("study.toml").write_text('[grid]\nlabels = ["n0.npz"]\nepochs = 1\ntrain_size = 200\n', encoding="utf-8")
    succeed(memstudy("study", "study.toml", "--train-only", "--jobs", "1"))
    (made,) = Store(Path("runs")).runs()
    assert made.recipe.corruption.rule == "file"
    assert made.recipe.train_size == 200


# Labels from elsewhere, as they are


@pytest.fixture
def foreign(memstudy):
    """Others' files of labels for the embedded images, and the noisy labels in them."""
    build(memstudy, "--corrupt", "0.4", output="ours.npz")
    with np.load("ours.npz") as found:
        clean, noisy = found["clean"], found["noisy"]
    shuffled = np.argsort(np.random.default_rng(0).random(len(noisy)))
    table = pd.DataFrame({"label": clean, "y": noisy})
    table.to_csv("undecided.csv", index=False)
    table.rename(columns={"y": "noisy_label"}).iloc[shuffled].to_csv("index.csv")
    np.save("another.npy", noisy[shuffled])
    Path("ours.npz").unlink()
    return noisy


def recorded(made, name="noisy"):
    with np.load(made.path / "labels.npz") as found:
        return found[name]


def positions(made):
    return recorded(made, "positions")


def test_rows_are_put_in_order_and_that_is_said(memstudy, foreign):
    done = succeed(memstudy("run", "--epochs", "1", "--train-size", "200", "--labels", "index.csv"))
    assert "rows are put in the set's order" in done.output
    assert "labels are from 'noisy_label' of index.csv, beside true ones in 'label'." in done.output
    (made,) = Store(Path("runs")).runs()
    assert np.array_equal(recorded(made), foreign[positions(made)])


def refused(done, *words):
    """It is one sentence with these words, and nothing is trained."""
    assert done.exit_code == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize("verb", ["run", "build", "study", "show"])
def test_a_column_is_chosen_wherever_a_file_is_given(memstudy, foreign, verb):
    refused(carried_out(memstudy, verb, "undecided.csv"), "label, y", "--label-column")
    succeed(carried_out(memstudy, verb, "undecided.csv", column="y"))
    if verb in ("run", "study"):
        (made,) = Store(Path("runs")).runs()
        assert np.array_equal(recorded(made), foreign[positions(made)])


@pytest.mark.parametrize("verb", ["run", "build", "study", "show"])
def test_another_order_is_asked_about_wherever_a_file_is_given(memstudy, foreign, verb):
    refused(carried_out(memstudy, verb, "another.npy"), "another order, or of another set?", "--anyway")
    if verb == "study":
        Path("study.toml").write_text("[grid]\nlabels = 'another.npy'\nanyway = true\n", encoding="utf-8")
        assert grid.read(Path("study.toml")).label_files == (LabelSource(Path("another.npy"), anyway=True),)
        return
    succeed(carried_out(memstudy, verb, "another.npy", anyway=True))
    if verb == "run":  # and what was begun or finished with it needs no file, and so no such word, any more
        (made,) = Store(Path("runs")).runs()
        succeed(memstudy("run", "--recipe", str(made.path / "recipe.toml"), "--runs-dir", "again"))


def carried_out(memstudy, verb, file, column=None, anyway=False):
    """A command on a file of labels."""
    words = [*(["--label-column", column] if column else []), *(["--anyway"] if anyway else [])]
    if verb == "run":
        return memstudy("run", "--epochs", "1", "--train-size", "200", "--labels", file, *words)
    if verb == "build":
        return memstudy("data", "build", "--labels", file, "-o", "made.npz", *words)
    if verb == "show":
        return memstudy("data", "show", file, "--dataset", "mnist5k", *words)
    lines = ["[grid]", f'labels = "{file}"', "epochs = 1", "train_size = 200"]
    lines += [*([f'label_column = "{column}"'] if column else []), *(["anyway = true"] if anyway else [])]
    Path("study.toml").write_text("\n".join(lines), encoding="utf-8")
    return memstudy("study", "study.toml", "--train-only", "--jobs", "1")


def test_another_s_labels_become_a_file_of_ours(memstudy, foreign):
    build(memstudy, "--labels", "index.csv")
    with np.load("noisy.npz") as found:
        assert np.array_equal(found["noisy"], foreign)
        assert (found["noisy"] != found["clean"]).sum() == found["mask"].sum()
    for file in ("noisy.npz", "index.csv"):
        run(memstudy, "--train-size", "200", "--labels", file)
    assert len(Store(Path("runs")).runs()) == 1


def test_how_a_file_is_read_needs_a_file(memstudy):
    for words in (["--anyway"], ["--label-column", "noisy"]):
        done = memstudy("run", *words)
        assert done.exit_code == 2
        assert "--labels" in done.stderr


@pytest.mark.parametrize(
    ("line", "says"),
    [("anyway = true", "add labels"), ("labels = 'n.npy'\nanyway = 1", "true or false"),
     ("labels = 'n.npy'\nlabel_column = 3", "name of a column")],
)  # fmt: skip
def test_a_study_says_what_is_wrong_with_how_a_file_is_read(memstudy, line, says):
    np.save("n.npy", np.arange(4000) % 10)
    Path("study.toml").write_text(f"[grid]\n{line}\n", encoding="utf-8")
    done = memstudy("study", "study.toml")
    assert done.exit_code == 2
    assert says in done.stderr


# Other choices of data


@pytest.mark.parametrize("rule", ["uniform", "symmetric-exact", "instance", "random-labels", "gaussian"])
def test_every_kind_of_rule_trains(memstudy, rule):
    made = run(memstudy, "--noise", rule, "--train-size", "200")
    assert made.recipe.corruption.rule == rule
    assert made.state()["status"] == "finished"
    ablated = memstudy("ablate", made.name, "--orders", "1")  # analyses see the images it was tested on
    assert ablated.exit_code == 0, ablated.output


def test_own_normalization_is_recorded(memstudy):
    made = run(memstudy, "--normalization", "own", "--train-size", "200")
    text = (made.path / "recipe.toml").read_text()
    assert 'normalization = "own"' in text
    assert "[recorded]" in text
    assert "0.1308" in text  # the mean of the 4,000 training images


def test_digits_train(memstudy):
    made = run(memstudy, "--dataset", "digits", "--corrupt", "0.25")
    assert made.state()["status"] == "finished"


def test_a_recorded_recipe_refuses_other_images(memstudy):
    made = run(memstudy, "--train-size", "200")
    text = (made.path / "recipe.toml").read_text()
    digest = made.state()["data_sha256"]
    Path("recipe.toml").write_text(text.replace(digest, 64 * "0"))
    done = memstudy("run", "--recipe", "recipe.toml", "--runs-dir", "again")
    assert done.exit_code == 2
    assert "other images" in done.stderr
    assert not Path("again").exists()


def test_classes_may_be_called_as_columns_are(small, tmp_path):
    """`true` and `noisy` are columns of the matrix's CSV, and classes here."""
    named = replace(small, class_names=("true", "noisy", "percent", "犬", *"efghij"))
    data = dataset.corrupt(named, Corruption())
    path = tmp_path / "noisy.npz"
    path.write_bytes(artifact.content(data))
    made = artifact.read(path)
    table = noise._long(made.transition, made)
    assert list(table.columns) == ["true", "noisy", "percent"]
    wide = table.pivot(index="true", columns="noisy", values="percent")
    names = [*named.class_names]
    assert np.array_equal(wide.loc[names, names].to_numpy(), 100 * data.transition)
    assert len({len(line) + line.count("犬") for line in noise.matrix_text(made).splitlines()}) == 1  # 犬: 2 cells
