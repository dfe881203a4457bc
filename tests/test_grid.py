"""Study files: every combination once, and mistakes answered in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from memstudy import presets
from memstudy.data import artifact, dataset, label_files
from memstudy.errors import MemstudyError
from memstudy.files import digest
from memstudy.recipe import Corruption
from memstudy.regularizers import label
from memstudy.study import grid, shipped
from tests.kit.sentences import refused


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_quick_study_is_the_table_of_al2():
    study = grid.read(shipped.path("quick"))
    labels = {label(recipe.regularizers) for recipe in study.recipes}
    assert labels == {"bare", "al2", "bn", "bn+al2", "do", "do+al2", "wd", "wd+al2"}
    assert len(study.recipes) == 8 * len({recipe.seed for recipe in study.recipes})


def test_al2_study_is_the_papers_protocol():
    for recipe in grid.read(shipped.path("al2")).recipes:
        assert recipe == presets.build("al2", reg=label(recipe.regularizers))


SCALES = [(path, scale) for path in map(shipped.path, shipped.names()) for scale in (None, *shipped.scales(path))]


@pytest.mark.parametrize(("path", "scale"), SCALES, ids=lambda value: getattr(value, "stem", value))
def test_shipped_studies_read_and_report_epochs_they_train(path, scale):
    study = grid.read(path, scale=scale)
    assert study.name == (f"{path.stem}_{scale}" if scale else path.stem)
    last = min(recipe.training.epochs for recipe in study.recipes)
    assert all(0 <= epoch < last for epoch in study.report.get("epochs", []))


RECIPES = {
    "al2": (8, "6f97c13d11d6"),
    "al2_lite": (16, "fe5b5893bced"),
    "al2_gpu": (8, "6f97c13d11d6"),
    "calibration": (10, "47477f86064b"),
    "loco_reg": (540, "e18037102a4d"),
    "loco_reg_lite": (60, "a64ee5663efe"),
    "loco_reg_gpu": (12, "6eecffb0de8a"),
    "noise_grid": (1160, "ec4e5d1e9f1b"),
    "noise_grid_lite": (174, "0814f707aa06"),
    "noise_grid_gpu": (261, "96aeba03060f"),
    "norm_loss": (180, "efaacd926071"),
    "norm_loss_lite": (72, "e678e4e6463f"),
    "norm_loss_gpu": (6, "4104a4c19ed8"),
    "pilcro": (80, "201505cce451"),
    "pilcro_lite": (24, "821f9bf331ec"),
    "pilcro_gpu": (8, "14342a17c4e1"),
    "quick": (16, "fe5b5893bced"),
}
"""How many runs, and the digest of their sorted names, when each file's lists were still written out."""


def first_name(recipe):
    """What a recipe's directory was called in the first version, with its identity."""
    return (
        f"{recipe.dataset}-{recipe.corruption.short}-{label(recipe.regularizers)}-s{recipe.seed}-{recipe.id[:8]}"
    )


def test_shipped_studies_are_the_same_runs_as_ever():
    found = {}
    for path, scale in SCALES:
        study = grid.read(path, scale=scale)
        names = sorted(map(first_name, study.recipes))
        found[study.name] = (len(names), digest("\n".join(names).encode())[:12])
    assert found == RECIPES


def test_norm_loss_study_is_the_published_grid_and_both_sweeps():
    recipes = grid.read(shipped.path("norm_loss"), seeds=(0,)).recipes
    found = {(r.dataset, r.network, label(r.regularizers)) for r in recipes}
    sets = ("cifar10", "cifar100")
    assert found == {
        *((d, "resnet110", reg) for d in sets for reg in ("wd", "normloss", "wd+wn", "wd+pbwn", "wd+oni")),
        *((d, "wrn28-10", reg) for d in sets for reg in ("do+wd", "do+normloss", "do+wd+olm")),
    }
    assert {r.training.batch_size for r in recipes} == {32, 64, 128, 256, 512, 1024}
    protocols = {(r.network, r.training.epochs, r.training.milestones, r.training.factor) for r in recipes}
    assert protocols == {
        ("resnet110", 160, (80, 120), 0.1),
        ("wrn28-10", 200, (60, 120, 160), 0.2),
    }
    assert all(r.training.checkpoints == (0, r.training.epochs - 1) for r in recipes)
    assert all((r.options("do") or {"p": 0.3})["p"] == 0.3 for r in recipes)


def test_calibration_shares_the_quick_runs():
    """Equal recipes are the same run, so the five-seed check retrains nothing that `make figures` made."""
    quick, calibration = (set(grid.read(shipped.path(n)).recipes) for n in ("quick", "calibration"))
    assert len(quick & calibration) == 4
    assert len({recipe.seed for recipe in calibration}) >= 5


def test_grid_is_the_product_of_its_lists(tmp_path):
    path = written(
        tmp_path, 'seeds = [0, 5]\n[grid]\nreg = ["bare", "al2"]\ncorrupt = [0.25, 0.5, 0.75]\nepochs = 2'
    )
    recipes = grid.read(path).recipes
    assert len(recipes) == len(set(recipes)) == 12
    assert {(r.seed, label(r.regularizers), r.corruption.rate) for r in recipes} == {
        (seed, reg, rate) for seed in (0, 5) for reg in ("bare", "al2") for rate in (0.25, 0.5, 0.75)
    }


def test_seeds_given_go_before_the_files_own(tmp_path):
    path = written(tmp_path, "seeds = [0, 5]")
    assert [recipe.seed for recipe in grid.read(path, seeds=(7, 8)).recipes] == [7, 8]


def test_options_reach_only_recipes_that_use_them(tmp_path):
    path = written(tmp_path, '[grid]\nreg = ["bare", "al2"]\n[options.al2]\nadvance = 2')
    bare, al2 = grid.read(path).recipes
    assert bare.options("al2") is None
    assert (al2.options("al2") or {})["advance"] == 2


def test_options_reach_a_regularizer_however_it_is_written(tmp_path):
    path = written(tmp_path, '[grid]\nreg = "bn + AL2"\n[options.al2]\nadvance = 2')
    (recipe,) = grid.read(path).recipes
    assert (recipe.options("al2") or {})["advance"] == 2


def test_options_reach_a_regularizer_under_another_usual_name(tmp_path):
    text = '[grid]\nreg = ["bare", "do"]\n"drop-out.p" = [0.2, 0.4]\n[options.dropout]\np = 0.9'
    bare, *two = grid.read(written(tmp_path, text)).recipes
    assert bare.options("do") is None
    assert [recipe.options("do") for recipe in two] == [{"p": 0.2}, {"p": 0.4}]


def test_an_option_can_be_swept_where_it_is_used(tmp_path):
    path = written(tmp_path, '[grid]\nreg = ["bare", "loco", "loco+do"]\n"loco.eta" = [1.0, 1.4, 1.8]\n')
    recipes = grid.read(path).recipes
    assert len(recipes) == 1 + 3 + 3
    found = [recipe.options("loco") for recipe in recipes]
    etas = [options["eta"] for options in found if options is not None]
    assert sorted(etas) == [1.0, 1.0, 1.4, 1.4, 1.8, 1.8]


def test_a_sweep_goes_before_the_options_table(tmp_path):
    text = '[grid]\nreg = "al2"\n"al2.advance" = [2.0, 3.0]\n[options.al2]\nadvance = 9\ninitial = 0.5\n'
    recipes = grid.read(written(tmp_path, text)).recipes
    found = [dict(recipe.options("al2") or {}) for recipe in recipes]
    assert [(options["advance"], options["initial"]) for options in found] == [(2.0, 0.5), (3.0, 0.5)]


def test_a_rate_is_for_the_rules_of_a_list_that_have_one(tmp_path):
    text = '[grid]\nnoise = ["pair", "gaussian"]\ncorrupt = [0.2, 0.4]\n'
    recipes = grid.read(written(tmp_path, text)).recipes
    assert [(r.corruption.rule, r.corruption.rate) for r in recipes] == [
        ("pair", 0.2), ("pair", 0.4), ("gaussian", None),
    ]  # fmt: skip
    with pytest.raises(MemstudyError, match="no rate"):
        grid.read(written(tmp_path, '[grid]\nnoise = "gaussian"\ncorrupt = 0.2\n'))


def test_several_grids_are_one_after_the_other_and_what_is_equal_is_there_once(tmp_path):
    text = """
        seeds = [0, 1]
        [[grid]]
        reg = ["bare", "al2"]
        [[grid]]
        reg = ["al2", "wd"]
        epochs = [25, 2]
    """
    recipes = grid.read(written(tmp_path, text)).recipes
    found = [(r.seed, label(r.regularizers), r.training.epochs) for r in recipes]
    one = [
        ("bare", 25),
        ("al2", 25),
        ("al2", 2),
        ("wd", 25),
        ("wd", 2),
    ]  # al2 with the preset's 25 epochs is in both
    assert found == [(seed, *rest) for seed in (0, 1) for rest in one]


def regs_and_epochs(path: Path, scale: str | None = None) -> list[tuple[str, int]]:
    return [(label(r.regularizers), r.training.epochs) for r in grid.read(path, scale=scale).recipes]


def test_what_a_grid_does_not_say_is_common(tmp_path):
    text = """
        [common]
        epochs = [2, 3]
        reg = ["bare", "al2"]
        "al2.advance" = 4
        [[grid]]
        [[grid]]
        reg = "wd"
        epochs = 4
        [scale.lite]
        grid = { reg = "al2" }
        [scale.own]
        common = { epochs = 9 }
        seeds = 2
    """
    path = written(tmp_path, text)
    product = [("bare", 2), ("al2", 2), ("bare", 3), ("al2", 3)]
    assert regs_and_epochs(path) == [*product, ("wd", 4)]
    assert [(r.options("al2") or {}).get("advance") for r in grid.read(path).recipes] == [None, 4, None, 4, None]
    assert regs_and_epochs(path, "lite") == [("al2", 2), ("al2", 3)]
    assert regs_and_epochs(path, "own") == [("bare", 9), ("wd", 4)] * 2


def test_a_grids_own_lists_vary_slower_than_common_ones(tmp_path):
    path = written(tmp_path, '[common]\nepochs = [2, 3]\n[grid]\nreg = ["bare", "al2"]')
    assert regs_and_epochs(path) == [("bare", 2), ("bare", 3), ("al2", 2), ("al2", 3)]


def test_a_study_may_have_nothing_but_what_is_common(tmp_path):
    assert regs_and_epochs(written(tmp_path, "[common]\nepochs = [2, 3]")) == [("bare", 2), ("bare", 3)]


def test_pairs_are_each_two_methods_of_a_list(tmp_path):
    text = (
        '[common]\npairs = true\n[[grid]]\nreg = ["bare", "do", "BN", "wd"]\n[[grid]]\npairs = false\nreg = "al2"'
    )
    found = [name for name, _ in regs_and_epochs(written(tmp_path, text))]
    assert found == ["bare", "do", "bn", "wd", "bn+do", "do+wd", "bn+wd", "al2"]


def test_options_may_be_for_one_of_several_grids(tmp_path):
    text = "[[grid]]\nreg = 'bare'\n[[grid]]\nreg = 'wd'\n'wd.decay' = [0.1, 0.2]\n[options.wd]\ndecay = 0.3"
    recipes = grid.read(written(tmp_path, text)).recipes
    assert [(r.options("wd") or {}).get("decay") for r in recipes] == [None, 0.1, 0.2]


def test_labels_may_be_in_several_grids(tmp_path, small):
    files = []
    for seed in (0, 1):
        files.append(tmp_path / f"{seed}.npz")
        files[-1].write_bytes(artifact.content(dataset.corrupt(small, Corruption(seed=seed))))
    text = """
        [[grid]]
        labels = "0.npz"
        [[grid]]
        labels = ["1.npz", "0.npz"]
        epochs = 2
        [[grid]]
        corrupt = 0.5
    """
    study = grid.read(written(tmp_path, text))
    assert [source.path for source in study.label_files] == files
    digests = [label_files.read(file).digest for file in files]
    assert len(set(digests)) == 2
    assert [r.corruption.labels for r in study.recipes] == [digests[0], digests[1], digests[0], ""]
    assert [r.training.epochs for r in study.recipes] == [25, 2, 2, 25]


def test_checkpoints_are_a_number_or_a_choice_of_epochs(tmp_path):
    for given, kept in (("2", (0, 8)), ("3", (0, 4, 8)), ("[[3, 5]]", (0, 3, 5, 8))):
        (recipe,) = grid.read(written(tmp_path, f"[grid]\nepochs = 9\ncheckpoints = {given}")).recipes
        assert recipe.training.checkpoints == kept


SCALED = """
    name = "quick"
    about = "large"
    seeds = 5
    [grid]
    reg = ["bare", "al2"]
    epochs = 9
    [options.al2]
    advance = 2
    [report]
    epochs = [8]
    analyses = []
    [scale.lite]
    seeds = [7]
    [scale.lite.grid]
    reg = "al2"
    [scale.other]
    about = "other"
    [scale.other.report]
    tables = ["table1"]
"""


def test_a_scale_replaces_whole_keys_and_keeps_the_others(tmp_path):
    path = written(tmp_path, SCALED)
    (lite,) = (study := grid.read(path, scale="lite")).recipes
    assert (study.name, study.about, study.report) == ("quick_lite", "large", {"epochs": [8], "analyses": []})
    assert (lite.seed, label(lite.regularizers), lite.training.epochs) == (7, "al2", 25)  # none of [grid] is left
    assert (lite.options("al2") or {})["advance"] == 2
    other = grid.read(path, scale="other")
    assert (other.name, other.about, other.report) == ("quick_other", "other", {"tables": ["table1"]})
    assert other.recipes == grid.read(path).recipes
    assert grid.read(path).name == "quick"


def test_seeds_given_go_before_a_scale_s(tmp_path):
    assert [r.seed for r in grid.read(written(tmp_path, SCALED), seeds=(3,), scale="lite").recipes] == [3]


@pytest.mark.parametrize(
    ("text", "scale", "says"),
    [
        (SCALED, "lit", "did you mean lite"),
        (SCALED, "quick_lite", "scale of the study"),
        ("seeds = 1", "lite", "has no scales; leave --scale out"),
        ("[scale.lite]\nsedes = 1", None, r"\[scale.lite\].*did you mean seeds"),
        ("[scale.lite]\nname = 'other'", None, "name"),
        ("[scale.lite]\nseeds = 1\n[scale.gpu]\ngird = {}", "lite", r"\[scale.gpu\].*did you mean grid"),
        ("[scale.'a/b']\nseeds = 1", None, "letters, digits"),
        ("scale = 3", None, "must be a table"),
        ("[scale]\nlite = 3", None, "must be a table"),
        ("[grid]\nepochs = 9\n[report]\nepochs = [8]\n[scale.lite]\ngrid = { epochs = 2 }", "lite", "0 to 1"),
    ],
)
def test_a_mistake_in_a_scale_is_one_sentence(tmp_path, text, scale, says):
    with pytest.raises(MemstudyError, match=says):
        grid.read(written(tmp_path, text), scale=scale)


def test_seeds_may_be_counted_as_on_the_command_line(tmp_path):
    assert [recipe.seed for recipe in grid.read(written(tmp_path, "seeds = 5")).recipes] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds = [", "not valid TOML"),
        ("sedes = [0]", "did you mean seeds"),
        ("[grid]\nregs = ['bare']", "did you mean reg"),
        ("[grid]\nreg = ['al3']", "did you mean al2"),
        ("[grid]\ncorrupt = 75", "study.toml: corrupt must be a fraction .*0.75"),
        ("[grid]\nlr = [0.1, 0]", "study.toml: lr must be a finite number above 0, not 0"),
        ("[grid]\nmilestones = 30", "study.toml: milestones must be a list of whole numbers"),
        ("[grid]\ncheckpoints = 2.5", "study.toml: checkpoints must be how many to keep"),
        ("[report]\nepoch = [1]", "did you mean epochs"),
        ("grid = 3", "must be a table"),
        *(
            (f"seeds = {seeds}", "or how many")
            for seeds in ("[]", "0", "-1", "true", "2.0", "[-1]", "[0.0]", "'3'")
        ),
        ("name = 'a/b'", "letters, digits"),
        ("name = 'all'", "cannot be named 'all'"),
        ("name = 'selection'", "cannot be named 'selection'"),
        ("name = 'selection-0123abcd'", "names that start with 'selection'"),
        *(
            (f"[grid]\nepochs = [5, 2]\n[report]\nepochs = {epochs}", "whole numbers from 0 to 1")
            for epochs in ("3", "'1'", "[]", "[2]", "[-1]", "[0.0]", "[true]", "['0']", "[[0]]")
        ),
        ("[grid]\nreg = []", "describes no run"),
        ("[grid]\nreg = 3", "reg must be names of regularizers"),
        ("[grid]\nreg = 'bn'\n[options.al2]\nadvance = 2", r"uses 'al2'.*or remove that table"),
        ("[grid]\nreg = 'al2'\n[options]\nal2 = 2", "does not describe a study"),
        ("options = 3", "must be a table"),
        ("[report]\ntables = ['table2']", "did you mean table1"),
        ("[report]\norders = 0", "orders in .* must be a whole number of at least 1, not 0"),
        ("[report]\nimages = 2.5", "images in .* must be a whole number"),
        ("[report]\norders = true", "not True"),
        ("[report]\ntables = 'table1'", "must be a list"),
        ("[report]\nanalyses = ['cca']", "analyses in .* did you mean svcca"),
        ("[report]\nanalyses = 'svcca'", "must be a list"),
        ("[report]\nanalyses = [['svcca']]", "must be a list"),
        ("[grid]\nepochs = 2\ncheckpoints = [[2]]", "no epoch 2"),
        ("[[grid]]\nreg = 'bare'\n[[grid]]\nregs = 'bare'", "did you mean reg"),
        ("[[grid]]\nreg = 'bare'\n[[grid]]\nlabels = 'none.npz'", "cannot read the labels"),
        ("grid = [3]", "must be a table"),
        ("common = 3", r"\[common\] in .* must be a table"),
        ("[common]\nregs = ['bare']", r"\[common\].*did you mean reg"),
        ("[common]\n'al2.advance' = 2", "uses 'al2'.*or line"),
        ("[grid]\npairs = 2", "pairs in .* must be true or false, not 2"),
        ("[grid]\npairs = true", "fewer than two; list more, or remove pairs"),
        ("[grid]\npairs = true\nreg = ['bare', 'bn']", "fewer than two"),
        ("[grid]\npairs = true\nreg = ['bn', 3]", "reg must be names"),
        ("[grid]\npairs = true\nreg = ['bn', 'bn+do']", "given twice"),
        ("[grid]\nreg = 'bn'\n'al2.advance' = 2", "uses 'al2'.*or line"),
        ("[grid]\nreg = 'al2'\n'al2.advence' = 2", "did you mean advance"),
        ("[grid]\nreg = 'al2'\n'al2.advance' = 'x'", "finite number above 0"),
        ("[grid]\nlabels = 'none.npz'", "cannot read the labels"),
        ("preset = 'quik'", "did you mean quick"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, text, says):
    with pytest.raises(MemstudyError, match=says):
        grid.read(written(tmp_path, text))


def test_missing_file(tmp_path):
    with pytest.raises(MemstudyError, match="cannot read the study"):
        grid.read(tmp_path / "none.toml")


@pytest.mark.parametrize("value", ["3", "true", "[3]", "['bare', 1.5]"])
def test_regularizers_that_are_no_text_are_told(tmp_path, value):
    with pytest.raises(
        MemstudyError, match=r"study\.toml: reg must be names of regularizers joined by \+, such as 'bn\+al2'"
    ):
        grid.read(written(tmp_path, f"[grid]\nreg = {value}\n"))


def test_a_reference_must_be_a_method_of_the_study(tmp_path):
    grid_of = '[grid]\nreg = ["bare", "do"]\n"do.p" = [0.25, 0.5]\n[report]\nreference = '
    file = tmp_path / "s.toml"
    file.write_text(grid_of + '"do (p 0.25)"\n')
    assert grid.read(file).report["reference"] == "do (p 0.25)"
    file.write_text(grid_of + '"do (p 0.2)"\n')
    refused(lambda: grid.read(file), "reference in [report]", "do (p 0.2)", "do (p 0.25)")


def test_the_look_of_figures_is_checked_before_training(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('[grid]\nreg = ["bare"]\n[report.figures]\nstyle = "papr"\n')
    refused(lambda: grid.read(file), "style in [report.figures]", "paper")
