"""The recipe: its content is its identity, it survives TOML, and no invalid value gets in."""

import dataclasses
import itertools
import json
import math
from typing import Any

import pytest

from memstudy import presets, recipe
from memstudy.errors import MemstudyError
from memstudy.recipe import Corruption, Recipe, RegularizerSpec, Training, from_dict, read, spread

TRAINING = Training(epochs=25, batch_size=64, learning_rate=0.03, momentum=0.5)
AL2 = RegularizerSpec("al2", (("advance", 5.0), ("initial", 0.01)))
BN = RegularizerSpec("bn")
BASE = Recipe(training=TRAINING, dataset="mnist5k", regularizers=(AL2, BN))


def changed(**changes):
    """BASE with some fields changed, wherever they are."""
    training = {n: changes.pop(n) for n in list(changes) if n in {f.name for f in dataclasses.fields(Training)}}
    noise = {n.removeprefix("c_"): changes.pop(n) for n in list(changes) if n.startswith("c_")}
    return dataclasses.replace(
        BASE,
        training=dataclasses.replace(TRAINING, **training),
        corruption=dataclasses.replace(BASE.corruption, **noise),
        **changes,
    )


# Identity


def test_the_identity_is_stable():
    assert BASE.id == "d42e7ea13a94"


ANOTHER: list[dict[str, Any]] = [
    {"dataset": "mnist"},
    {"network": "other"},
    {"seed": 1},
    {"regularizers": ()},
    {"regularizers": (AL2,)},
    {"regularizers": (BN, RegularizerSpec("al2", (("advance", 5.0), ("initial", 0.02))))},
    {"regularizers": (BN, RegularizerSpec("al2", (("advance", 5.0),)))},
    {"c_rule": "uniform"},
    {"c_rate": 0.5},
    {"c_seed": 1},
    {"c_rate": None},
    {"c_matrix": ((0.5, 0.5), (0, 1))},
    {"c_labels": 64 * "a"},
    {"normalization": "own"},
    {"train_size": 1000},
    {"trainer": "own-loop"},
    {"epochs": 26},
    {"batch_size": 65},
    {"learning_rate": 0.031},
    {"momentum": 0.6},
    {"checkpoints": (3,)},
    {"optimizer": "adam"},
    {"nesterov": True},
    {"schedule": "cosine"},
    {"schedule": "step", "milestones": (5,)},
    {"factor": 0.2},
    {"warmup": 2},
    {"label_smoothing": 0.1},
    {"mixup": 0.2},
    {"augment": "flip-crop"},
    {"precision": "bf16"},
    {"clip": 1.0},
]


@pytest.mark.parametrize("change", ANOTHER, ids=str)
def test_every_change_makes_another_recipe(change):
    assert changed(**change).id != BASE.id


def test_every_field_is_among_the_changes_above():
    fields = {field.name for kind in (Recipe, Training) for field in dataclasses.fields(kind)}
    fields |= {f"c_{field.name}" for field in dataclasses.fields(Corruption)}
    assert fields - {"training", "corruption"} == {name for change in ANOTHER for name in change}


def test_the_identities_of_all_these_differ():
    assert len({changed(**change).id for change in ANOTHER}) == len(ANOTHER)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"regularizers": (BN, AL2)},
        {"regularizers": (BN, RegularizerSpec("al2", (("initial", 0.01), ("advance", 5.0))))},
        {"checkpoints": (24, 0, 0)},
    ],
    ids=str,
)
def test_what_means_the_same_is_the_same_recipe(change):
    assert changed(**change) == BASE
    assert changed(**change).id == BASE.id
    assert hash(changed(**change)) == hash(BASE)


def test_recipes_are_equal_if_they_have_one_identity():
    assert {BASE, changed(), changed(seed=1)} == {BASE, changed(seed=1)}
    assert changed(seed=1) != BASE
    assert BASE.id != BASE


@pytest.mark.parametrize("change", [{}, {"seed": 1}, {"c_seed": 3}, {"seed": 2**128 - 1, "c_seed": 2}], ids=str)
def test_with_other_seeds_it_is_the_recipe_that_is_written_with_them(change):
    one = changed(**change)
    assert dataclasses.asdict(one.seedless) == dataclasses.asdict(BASE)
    again = one.seedless.seeded(one.seed, one.corruption.seed)
    assert dataclasses.asdict(again) == dataclasses.asdict(one)
    assert again.id == one.id
    assert again.seedless is one.seedless
    with pytest.raises(MemstudyError, match="seed"):
        one.seeded(-1, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"momentum": 0}, {"momentum": 0.0}),
        ({"momentum": 0}, {"momentum": -0.0}),
        ({"c_rate": 1}, {"c_rate": 1.0}),
        ({"c_rate": 0}, {"c_rate": -0.0}),
    ],
)
def test_whole_numbers_may_be_written_either_way(one, other):
    assert changed(**one).id == changed(**other).id


def test_options_of_regularizers_may_be_written_either_way():
    one, other = (presets.build(reg="al2", options={"al2": {"advance": value}}) for value in (5, 5.0))
    assert one.id == other.id


def test_a_recipe_written_by_hand_is_the_one_with_all_options_filled_in():
    by_hand = dataclasses.replace(BASE, regularizers=(RegularizerSpec("al2", (("advance", 5),)),))
    filled_in = presets.check(by_hand)
    assert filled_in.regularizers == presets.build(reg="al2", options={"al2": {"advance": 5.0}}).regularizers
    assert presets.check(filled_in) == filled_in


def test_a_recipe_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.seed = 1  # type: ignore[misc]


def test_options_of_a_regularizer():
    assert BASE.options("al2") == {"advance": 5.0, "initial": 0.01}
    assert BASE.options("bn") == {}
    assert BASE.options("do") is None


# TOML


@pytest.mark.parametrize("change", [{}, *ANOTHER], ids=str)
def test_toml_brings_back_the_same_recipe(tmp_path, change):
    path = tmp_path / "recipe.toml"
    path.write_text(changed(**change).to_toml())
    assert dataclasses.asdict(read(path)) == dataclasses.asdict(changed(**change))  # recipes of one id are equal


def test_the_dictionary_is_plain_and_brings_back_the_same_recipe():
    assert dataclasses.asdict(from_dict(json.loads(json.dumps(BASE.as_dict())))) == dataclasses.asdict(BASE)


@pytest.mark.parametrize(
    ("old", "new"), [("epochs = 25", "epochs = 30"), ("seed = 0", "seed = 1"), ("0.75", "0.5"), ("bn", "do")]
)
def test_a_recipe_edited_by_hand_is_refused(tmp_path, old, new):
    path = tmp_path / "recipe.toml"
    path.write_text(BASE.to_toml().replace(old, new, 1))
    with pytest.raises(MemstudyError, match=rf"was changed after it was written.*not {BASE.id}"):
        read(path)


def test_without_its_identity_it_is_a_recipe_of_its_own(tmp_path):
    path = tmp_path / "recipe.toml"
    lines = BASE.to_toml().replace("epochs = 25", "epochs = 30").splitlines()
    path.write_text("\n".join(lines[1:]))
    assert read(path).training.epochs == 30


def without(*keys):
    data = BASE.as_dict()
    target = data
    for key in keys[:-1]:
        target = target[key]
    del target[keys[-1]]
    return data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (without("training"), "^the recipe is not complete: add training"),
        (without("dataset"), "^the recipe is not complete: add dataset"),
        (without("training", "epochs"), r"^\[training\] of the recipe is not complete: add epochs\.$"),
        (BASE.as_dict() | {"sead": 1}, "unknown key in the recipe 'sead': did you mean seed"),
        (BASE.as_dict() | {"training": {"epoch": 5}}, r"in \[training\] of .* 'epoch': did you mean epochs"),
        (BASE.as_dict() | {"corruption": {"raet": 0.5}}, r"in \[corruption\] of .* 'raet': did you mean rate"),
        (BASE.as_dict() | {"corruption": 5}, r"\[corruption\] of the recipe must be a table, not 5"),
        (BASE.as_dict() | {"training": 5}, r"\[training\] of the recipe must be a table, not 5"),
        (BASE.as_dict() | {"regularizers": {"al2": 5}}, r"\[regularizers\.al2\] of .* must be a table, not 5"),
        (
            BASE.as_dict() | {"training": BASE.as_dict()["training"] | {"checkpoints": 5}},
            r"checkpoints in \[training\] of the recipe must be a list of whole numbers of at least 0, not 5",
        ),
        (
            BASE.as_dict() | {"corruption": {"rule": "pair", "rate": 75}},
            r"^rate in \[corruption\] of the recipe must be a fraction .* \(for 75 % write 0\.75\)",
        ),
        (BASE.as_dict() | {"seed": -1}, "^seed in the recipe must be a whole number of at least 0, not -1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_missing_or_unknown_key_is_named(data, says):
    with pytest.raises(MemstudyError, match=says):
        from_dict(data)


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_beyond_every_float_is_one_sentence(tmp_path, digits):
    path = tmp_path / "recipe.toml"
    path.write_text(BASE.to_toml().replace("learning_rate = 0.03", f"learning_rate = 1{'0' * digits}"))
    with pytest.raises(
        MemstudyError, match=r"^learning_rate in .* must be a finite number above 0|is not valid TOML"
    ) as caught:
        read(path)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe", b"", b"[regularizers.al2]\nadvance = 1979-05-27"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, content):
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(MemstudyError, match=r"recipe\.toml"):
        read(path)


def test_an_option_that_is_a_date_is_refused(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(BASE.to_toml().replace("advance = 5.0", "advance = 1979-05-27"))
    with pytest.raises(MemstudyError, match=r"al2\.advance"):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MemstudyError, match="cannot read the recipe"):
        read(tmp_path / "none.toml")


# Values

NO_NUMBERS = [math.nan, math.inf, -math.inf, 10**400, True, "1", None]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("learning_rate", value) for value in (*NO_NUMBERS, 0, -0.1)),
        *(("momentum", value) for value in (*NO_NUMBERS, 1, 1.5, -0.1)),
        *(("c_rate", value) for value in (*NO_NUMBERS, -0.01, 1.01, 75) if value is not None),
        *(("c_matrix", value) for value in ("1 0", (1, 0), (("1", "0"), ("0", "1")), None)),
        *(("c_labels", value) for value in ("abc", 64 * "g", None, 3)),
        *(("normalization", value) for value in ("", "imagenet", None)),
        *(("train_size", value) for value in (0, -1, 10.0, True, "10")),
        *((field, value) for field in ("epochs", "batch_size") for value in (0, -1, 1.0, True, "3", None)),
        ("epochs", 1_000_001),
        *((field, value) for field in ("seed", "c_seed") for value in (-1, 0.0, True, "3", None)),
        *((field, v) for field in ("dataset", "network", "c_rule") for v in ("", "a b", "../x", "a/b", 3, None)),
        *(("checkpoints", (value,)) for value in (25, 1000, -1, 2.0, True, "3", None)),
        ("regularizers", (AL2, BN, AL2)),
        *((name, v) for name in ("optimizer", "schedule", "augment", "precision") for v in ("", "SGD", None, 3)),
        *(("nesterov", value) for value in (1, "yes", None)),
        *(("milestones", value) for value in ((5,), (0,), (5, 5.0))),
        *(("schedule", value) for value in ("step", "multistep")),
        *(("factor", value) for value in (*NO_NUMBERS, -0.1, 1)),
        *(("label_smoothing", value) for value in (*NO_NUMBERS, -0.1, 1)),
        *((name, value) for name in ("mixup", "clip") for value in (*NO_NUMBERS, -0.1)),
        *(("warmup", value) for value in (-1, 1.0, True, None)),
    ],
)
def test_invalid_values_are_refused(field, value):
    with pytest.raises(MemstudyError):
        changed(**{field: value})


def test_so_many_epochs_that_nobody_can_list_them_are_refused_at_once():
    with pytest.raises(MemstudyError, match="epochs must be a whole number of at least 1 and at most 1,000,000"):
        presets.build("al2", epochs=10**9, checkpoints=10**9)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 1e-30),
        ("momentum", 0),
        ("momentum", 0.999),
        ("c_rate", 0),
        ("c_rate", 1),
        ("epochs", 1),
        ("batch_size", 1),
        ("seed", 2**80),
        ("checkpoints", (24,)),
    ],
)
def test_the_limits_themselves_are_allowed(field, value):
    kept = {"checkpoints": ()} if field == "epochs" else {}
    assert changed(**{field: value}, **kept)


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, [1], {}, None])
def test_options_of_regularizers_are_plain_values(value):
    with pytest.raises(MemstudyError, match=r"al2\.initial"):
        RegularizerSpec("al2", (("initial", value),))


def test_options_of_regularizers_may_be_words_and_truths():
    options = (("kind", "block"), ("shared", True))
    assert RegularizerSpec("do", options).options == options


def test_a_rate_in_percent_is_recognized():
    with pytest.raises(MemstudyError, match=r"for 75 % write 0\.75"):
        Corruption(rate=75)


def test_errors_of_a_user_end_with_exit_code_2():
    assert MemstudyError.exit_code == 2


# Checkpoints


@pytest.mark.parametrize(("given", "kept"), [((), (0, 24)), ((5, 3, 5), (0, 3, 5, 24)), ([7], (0, 7, 24))])
def test_the_first_and_the_last_epoch_are_always_kept(given, kept):
    assert changed(checkpoints=given).training.checkpoints == kept


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 25, 700])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 1000])
def test_checkpoints_are_spread_evenly(epochs, count):
    kept = spread(epochs, count)
    assert {0, epochs - 1} <= set(kept) <= set(range(epochs))
    assert list(kept) == sorted(set(kept))
    assert len(kept) == min(max(count, 2), epochs)
    gaps = [b - a for a, b in itertools.pairwise(kept)]
    assert not gaps or max(gaps) - min(gaps) <= 1


# Presets


@pytest.mark.parametrize("name", presets.PRESETS)
@pytest.mark.parametrize("reg", ["bare", "bn", "do", "wd", "al2", "bn+do+wd+al2"])
def test_every_preset_makes_valid_recipes(name, reg):
    made = presets.build(name, reg=reg)
    assert presets.check(made) == made
    assert made.corruption == Corruption("symmetric", 0.75, 0)


def test_the_paper_s_preset_is_the_paper_s_protocol():
    training = presets.build("al2", reg="al2").training
    assert (training.epochs, training.batch_size) == (701, 64)
    assert (training.learning_rate, training.momentum) == (1e-3, 0.5)
    assert training.checkpoints == (0, 100, 200, 300, 400, 500, 600, 700)
    assert (presets.build("al2", reg="al2").options("al2") or {})["advance"] == 1


def test_what_is_given_goes_before_the_preset():
    made = presets.build(
        reg="al2", options={"al2": {"advance": 3}}, seed=4, corrupt=0.0, epochs=5, lr=0.1, checkpoints=[2]
    )
    assert (made.options("al2") or {})["advance"] == 3
    assert (made.seed, made.corruption.rate, made.training.epochs, made.training.learning_rate) == (
        4,
        0,
        5,
        0.1,
    )
    assert made.training.checkpoints == (0, 2, 4)


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ({"preset": "quik"}, "quick"),
        ({"network": "smallnett"}, "smallnet"),
        ({"noise": "symetric"}, "symmetric"),
        ({"reg": "bn+al"}, "al2"),
        ({"reg": "al2", "options": {"al2": {"advence": 3.0}}}, "advance"),
    ],
    ids=str,
)
def test_misspelt_names_are_answered_with_the_nearest(given, nearest):
    with pytest.raises(MemstudyError, match=rf"did you mean {nearest}\b"):
        presets.build(**given)


@pytest.mark.parametrize(
    ("reg", "options"),
    [
        ("do+do", {}),
        ("bn+al2+bn", {}),
        ("bn+bare", {}),
        ("", {}),
        ("bn++al2", {}),
        ("bn", {"al2": {"advance": 3.0}}),
        ("bn", {"bn": {"momentum": 0.1}}),
    ],
)
def test_impossible_combinations_are_refused(reg, options):
    with pytest.raises(MemstudyError):
        presets.build(reg=reg, options=options)


def test_regularizers_are_named_in_any_order_and_case():
    assert presets.build(reg="AL2 + bn").id == presets.build(reg="bn+al2").id


def test_recipes_read_from_a_file_are_checked_by_name(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(dataclasses.replace(BASE, network="lenet").to_toml())
    with pytest.raises(MemstudyError, match="unknown network 'lenet'"):
        presets.check(recipe.read(path))


@pytest.mark.parametrize("field", ["epochs", "batch_size", "seed", "c_seed"])
def test_a_number_beyond_all_machines_is_refused(field):
    with pytest.raises(MemstudyError, match="whole number"):
        changed(**{field: 10**400})
