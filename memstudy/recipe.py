"""The recipe: everything that determines one training run. Frozen, hashable, TOML in and out.

A recipe's content hash is the identity of its run: equal recipes are the same run, and any change makes
another. How a run is carried out (device, threads, progress) is no part of it. Nothing heavy is imported
here, and names (of data sets, networks, regularizers) are checked where their registries live.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import tomli_w

from memstudy import files, options, trust
from memstudy.errors import MemstudyError, quoted, reason, unknown
from memstudy.options import finite, option

OptionValue = float | int | str | bool
"""The value of a regularizer's option."""
MOST_EPOCHS = 1_000_000
"""The most epochs of a run (ours): each has a row in the files that are written."""
LARGEST_SEED = 2**128 - 1
MOST_PARTS = 50
"""Of a key in TOML."""


def number(name: str, value: object, kind: str = "finite") -> float:
    """A value as a float; a MemstudyError, asking for a `kind` of number, if no finite float can hold it."""
    if (as_float := finite(value)) is None:  # -0.0 becomes 0.0, so both are the same recipe
        raise MemstudyError(f"{name} must be a {kind} number, not {quoted(value)}.")
    return as_float


def _word(where: str, value: object, also: str = "") -> str:
    """A name of letters, digits, `-`, `_` and the marks in `also`, checked."""
    if not isinstance(value, str) or not re.fullmatch(f"[A-Za-z0-9_{also}-]+", value):
        others = "".join(f"{mark!r}, " for mark in also)
        raise MemstudyError(
            f"{where} must be a name of letters, digits, {others}'-' and '_', not {quoted(value)}."
        )
    return value


def _set(target: object, **values: object) -> None:
    """Assign checked and normalized values inside a frozen dataclass's `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(target, name, value)


def _rate(where: str, value: object) -> float | None:
    """A fraction between 0 and 1, checked; None stays."""
    if value is None:
        return None
    rate = number(where, value)
    if not 0 <= rate <= 1:
        hint = f" (for {rate:g} % write {rate / 100:g})" if 1 < rate <= 100 else ""
        raise MemstudyError(f"{where} must be a fraction between 0 and 1, not {rate:g}{hint}.")
    return rate


def _rows(where: str, value: object) -> tuple[tuple[float, ...], ...]:
    """A matrix as tuples of floats; whether it is a stochastic one is checked where it is used."""
    if not isinstance(value, list | tuple) or not all(isinstance(row, list | tuple) for row in value):
        raise MemstudyError(f"{where} must be a list of rows, not {quoted(value)}.")
    return tuple(tuple(number(f"an entry of {where}", entry) for entry in row) for row in value)


def _digest(where: str, value: object) -> str:
    """A SHA-256 in hexadecimal, checked; empty stays."""
    if not isinstance(value, str) or not re.fullmatch("([0-9a-f]{64})?", value):
        raise MemstudyError(f"{where} are named by their SHA-256, 64 digits, not {quoted(value)}.")
    return value


@dataclass(frozen=True)
class Corruption:
    """A rule, a rate (a fraction) and a seed that turn clean labels into noisy ones.

    The rate is None for a rule that has none. `matrix` holds the rows of a transition matrix, for the rule
    `matrix`; `labels` the SHA-256 of noisy labels, for the rule `file`, whose labels come from elsewhere, or of
    the soft labels that the rule `soft` draws from.
    """

    rule: str = option(
        "Corruption rule; 'memstudy data rules' lists them.", "symmetric", key="noise", checker=_word
    )
    rate: float | None = option("Corruption rate, a fraction between 0 and 1.", 0.75, key="corrupt", checker=_rate)
    seed: int = option(
        "Seed of the corruption, apart from the model's.", 0, key="corrupt_seed", least=0, most=LARGEST_SEED
    )
    matrix: tuple[tuple[float, ...], ...] = option("A transition matrix: .npy, or text.", (), checker=_rows)
    labels: str = option("Take the labels in this file instead.", "", checker=_digest)

    def __post_init__(self) -> None:
        options.check(self)

    def as_dict(self) -> dict[str, Any]:
        """As `Recipe.as_dict`; what a rule has none of is left out."""
        values = vars(self) | {"matrix": [list(row) for row in self.matrix]}
        return {name: value for name, value in values.items() if value not in (None, [], "")}

    @property
    def short(self) -> str:
        """A word for names of directories: `symmetric0.75`, `human-worst`, `file-1a2b3c4d`."""
        return f"{self.rule}{'' if self.rate is None else f'{self.rate:g}'}{self.labels and '-' + self.labels[:8]}"

    @property
    def title(self) -> str:
        """A few words for titles: `75 % symmetric`, `human-worst`, `file 1a2b3c4d`; `clean` at a rate of 0."""
        if self.rate == 0:
            return "clean"
        percent = "" if self.rate is None else f"{100 * self.rate:g} % "
        return f"{percent}{self.rule}{self.labels and ' ' + self.labels[:8]}"


@dataclass(frozen=True)
class RegularizerSpec:
    """What a recipe says of a regularizer: its name and all its options, defaults included."""

    name: str
    options: tuple[tuple[str, OptionValue], ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.options:
            if not isinstance(value, OptionValue):
                raise MemstudyError(
                    f"{self.name}.{name} must be a number, a word or a truth, not {quoted(value)}."
                )
            if not isinstance(value, bool | str):
                number(f"{self.name}.{name}", value)
        _set(self, name=_word("a regularizer", self.name), options=tuple(sorted(self.options)))


@dataclass(frozen=True)
class Training:
    """How a network is trained, on shuffled batches; `checkpoints` are 0-based indices of epochs to keep.

    Epoch e's checkpoint is the state *after* epoch e has been trained, as in AL2's code: its "epoch 700" is
    the 701st. The first and the last epoch are always kept.

    `momentum` is Adam's β₁, too (β₂ is .999). The learning rate is changed from epoch to epoch: `step` multiplies
    it by `factor` every `milestones[0]` epochs, `multistep` at each of `milestones`, `cosine` takes it to 0; the
    first `warmup` epochs rise to it in equal steps. `label_smoothing` and `mixup` (α) are of the loss, `augment`
    of the images, `clip` is the largest norm of the gradient. 0 and "none" are without.
    """

    epochs: int = option("How many epochs to train.", least=1, most=MOST_EPOCHS)
    batch_size: int = option("Samples a step.", least=1)
    learning_rate: float = option("Learning rate.", key="lr", above=0)
    momentum: float = option("SGD's momentum; Adam's β₁.", least=0, below=1)
    checkpoints: tuple[int, ...] = option(
        "How many to keep (10), or which epochs, counted from 0 (0,50,99).", (), least=0
    )
    optimizer: str = option("What takes the steps.", "sgd", choices=("sgd", "adam", "adamw"))
    nesterov: bool = option("Nesterov momentum, for sgd.", False)
    schedule: str = option(
        "Of the learning rate.", "constant", choices=("constant", "step", "multistep", "cosine")
    )
    milestones: tuple[int, ...] = option(
        "Of step: every so many epochs (30); of multistep: at which (80,120).", (), least=1
    )
    factor: float = option("What a milestone multiplies the learning rate by.", 0.1, least=0, below=1)
    warmup: int = option("Epochs in which the learning rate rises to its value.", 0, least=0)
    label_smoothing: float = option("Share of the target spread over all classes.", 0.0, least=0, below=1)
    mixup: float = option("α of mixup; 0 is without.", 0.0, least=0)
    augment: str = option(
        "None by default: a network that has memorized a sample has not memorized its mirrored and shifted "
        "copies, so augmentation hides what is studied.",
        "none",
        choices=("none", "flip-crop"),
    )
    precision: str = option("tf32 is for GPUs; bf16 is mixed precision.", "fp32", choices=("fp32", "tf32", "bf16"))
    clip: float = option("Largest norm of the gradient; 0 is without.", 0.0, least=0)

    def __post_init__(self) -> None:
        options.check(self)
        if self.checkpoints and (wanted := max(self.checkpoints)) >= self.epochs:
            raise MemstudyError(
                f"checkpoints: there is no epoch {wanted} to keep one of: epochs are counted from 0, and the last "
                f"of {self.epochs} is {self.epochs - 1}."
            )
        kept = tuple(sorted({0, *self.checkpoints, self.epochs - 1}))
        _set(self, checkpoints=kept, milestones=tuple(sorted(self.milestones)))
        _check_milestones(self)
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise MemstudyError("nesterov is only for the optimizer sgd with a momentum above 0.")


def _check_milestones(training: Training) -> None:
    """Refuse milestones that do not fit the schedule."""
    wanted = {"step": "one number: after how many epochs, each time", "multistep": "the epochs of its steps"}
    count = len(training.milestones)
    fits = {"step": count == 1, "multistep": count > 0}.get(training.schedule, not count)
    if not fits:
        needs = wanted.get(training.schedule, "no milestones")
        raise MemstudyError(
            f"the schedule {quoted(training.schedule)} needs {needs}; milestones are {list(training.milestones)}."
        )


def spread(epochs: int, count: int = 10) -> tuple[int, ...]:
    """`count` epochs spread evenly over a run, first and last included (fewer if the run is shorter)."""
    count = min(count, epochs)
    if count < 2:
        return tuple({0, epochs - 1})
    return tuple(sorted({round(i * (epochs - 1) / (count - 1)) for i in range(count)}))


NORMALIZATIONS = {
    "al2": "AL2's code: (.1307, .3081) for MNIST, (.5, .5) for all others",
    "own": "mean and standard deviation of the set's training images, by channel",
}


RECORDED = "recorded"


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything that determines one training run. Recipes of one identity are equal."""

    training: Training
    dataset: str = option(
        "Image set, such as mnist5k (embedded) or cifar10; 'memstudy data list' lists them. Or your own: name or "
        "path.",
        checker=_word,
    )
    network: str = option(
        "{names}, torchvision:NAME, or your own package.module:function.",
        "smallnet",
        checker=partial(_word, also=".:"),
    )
    regularizers: tuple[RegularizerSpec, ...] = ()
    corruption: Corruption = field(default_factory=Corruption)
    seed: int = option("Seed of weights, order and dropout.", 0, least=0, most=LARGEST_SEED)
    normalization: str = option(
        "al2 (the paper's constants) or own (the set's mean and deviation).", "al2", choices=NORMALIZATIONS
    )
    train_size: int | None = option("Train on so many samples, a stratified part. [default: all]", None, least=1)
    trainer: str = ""  # who trained it, if memstudy did not and has only recorded it: a word

    def __post_init__(self) -> None:
        options.check(self)
        names = [regularizer.name for regularizer in self.regularizers]
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise MemstudyError(f"regularizer {quoted(double)} is given twice; name each one once.")
        _set(self, regularizers=tuple(sorted(self.regularizers, key=lambda r: r.name)))
        if self.trainer != "":
            _set(self, trainer=_word("trainer", self.trainer, also="."))

    @cached_property
    def id(self) -> str:
        """The content hash: 12 hexadecimal digits of SHA-256 over the canonical form."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Recipe) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    @cached_property
    def seedless(self) -> Recipe:
        """The recipe with seeds of 0: what runs share that are each other's seeds."""
        return self if self.seed == self.corruption.seed == 0 else self._with_seeds(0, 0)

    def seeded(self, seed: int, corrupt_seed: int) -> Recipe:
        """The recipe with other seeds. Thousands that are made of one share their `seedless`."""
        other = self._with_seeds(seed, corrupt_seed)
        vars(other)["seedless"] = self.seedless
        return other

    def _with_seeds(self, seed: int, corrupt_seed: int) -> Recipe:
        return replace(self, seed=seed, corruption=replace(self.corruption, seed=corrupt_seed))

    def options(self, regularizer: str) -> dict[str, OptionValue] | None:
        """The options of one of its regularizers; None if the recipe does not use it."""
        return next((dict(r.options) for r in self.regularizers if r.name == regularizer), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, ready for TOML.

        Options that are rarely used are left out at their defaults, and so are those that later versions add, so
        that every earlier recipe keeps its identity.
        """
        training = vars(self.training) | {
            "checkpoints": list(self.training.checkpoints),
            "milestones": list(self.training.milestones),
        }
        usual = {f.name: f.default for f in fields(Training) if f.name != "checkpoints"} | {"milestones": []}
        rare = {
            "normalization": self.normalization,
            "train_size": self.train_size,
            "trainer": self.trainer or None,
        }
        return {
            "dataset": self.dataset,
            **{name: value for name, value in rare.items() if value not in ("al2", None)},
            "network": self.network,
            "seed": self.seed,
            "corruption": self.corruption.as_dict(),
            "training": {k: v for k, v in training.items() if k not in usual or v != usual[k]},
            "regularizers": {r.name: dict(r.options) for r in self.regularizers},
        }

    def to_toml(self, recorded: Mapping[str, Any] | None = None) -> str:
        """The recipe as TOML, its identity first, so that a change by hand is noticed.

        `recorded` is what was found when it was carried out: facts that follow from the recipe and the images,
        for a reader or another program; no part of the identity.
        """
        facts = {} if recorded is None else {RECORDED: dict(recorded)}
        return tomli_w.dumps({"id": self.id, **self.as_dict(), **facts})


OPTIONS = {
    declared.key: (kind, declared)
    for kind in (Recipe, Corruption, Training)
    for declared in options.options(kind).values()
}
"""The options of a recipe by what users call them: the part of a recipe that each is in, and its declaration."""


def chosen(recipe: Recipe) -> dict[str, Any]:
    """The value of each of OPTIONS in a recipe."""
    return {key: value(recipe, key) for key in OPTIONS}


def value(recipe: Recipe, key: str) -> Any:
    """The value of one of OPTIONS in a recipe."""
    kind, declared = OPTIONS[key]
    part = {Recipe: recipe, Corruption: recipe.corruption, Training: recipe.training}[kind]
    return getattr(part, declared.name)


def from_dict(data: dict[str, Any], where: str = "the recipe") -> Recipe:
    """The recipe that `as_dict` described. Raises a MemstudyError that names a missing, unknown or wrong key."""
    data = _table(where, data, Recipe)
    training = _table(f"[training] of {where}", data.pop("training"), Training)
    corruption = _table(f"[corruption] of {where}", data.pop("corruption", {}), Corruption)
    if {"rule", "rate"} & set(corruption) == {"rule"}:
        corruption["rate"] = None  # as a rule without one is written; `check` asks for it where one is needed
    regularizers = _table(f"[regularizers] of {where}", data.pop("regularizers", {}))
    return Recipe(
        training=Training(**training),
        corruption=Corruption(**corruption),
        regularizers=tuple(
            RegularizerSpec(name, tuple(_table(f"[regularizers.{name}] of {where}", values).items()))
            for name, values in regularizers.items()
        ),
        **data,
    )


def _table(where: str, table: object, kind: type | None = None) -> dict[str, Any]:
    """A copy of a table. With a dataclass `kind` it has fields of that, all that are needed, with right values."""
    if not isinstance(table, dict):
        raise MemstudyError(f"{where} must be a table, not {quoted(table)}.")
    if kind is None:
        return dict(table)
    known = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}
    for key in table:
        if key not in known:
            raise unknown(f"key in {where}", key, known)
    if missing := [name for name, needed in known.items() if needed and name not in table]:
        raise MemstudyError(f"{where} is not complete: add {', '.join(missing)}.")
    declared = options.options(kind)
    return {
        key: declared[key].checked(value, f"{key} in {where}") if key in declared else value
        for key, value in table.items()
    }


def read_toml(path: Path, kind: str) -> dict[str, Any]:
    """The content of a TOML file; a MemstudyError, naming its `kind` ("the recipe"), if it cannot be read."""
    return _parsed(path, _content(path, kind))


def _content(path: Path, kind: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise files.unusable(f"read {kind}", path, error) from error


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    """What the content of a file says as TOML; a MemstudyError, naming the file, if it is none."""
    try:
        text = content.decode()
        if _is_endless(text):
            raise ValueError(f"a key of more than {MOST_PARTS} parts")
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # bad TOML or UTF-8, too many digits, nested too deeply
        raise MemstudyError(f"{path} is not valid TOML: {reason(error)}; correct it, or restore it.") from error


def _is_endless(text: str) -> bool:
    """Whether a key may have so many parts (a.b.c) that reading it takes the square of their number."""
    linked = 0
    for piece in text.split("."):
        linked = linked + 1 if re.fullmatch(r"\s*[\w\"'-]+\s*", piece) else 0
        if linked > MOST_PARTS:
            return True
    return False


def recorded(path: Path) -> dict[str, Any]:
    """What was found when the recipe in a file was carried out; empty if that was never written."""
    return _table(f"[{RECORDED}] of {path}", read_toml(path, "the recipe").get(RECORDED, {}))


def identity(path: Path) -> str:
    """The identity that a recipe's TOML says it has, in its first line; empty if it does not. Not checked."""
    try:
        with path.open("rb") as file:
            found = re.match(rb'id = "([0-9a-f]+)"\n', file.read(100))
    except OSError:
        return ""
    return found[1].decode() if found else ""


def read(path: Path, digest: str | None = None) -> Recipe:
    """Read a recipe's TOML. If it carries an `id`, the content must still match it.

    What others' code it names is not run by this; `trust` is told of it.

    digest: the SHA-256 that the file must have, if it is known.
    """
    content = _content(path, "the recipe")
    data = _parsed(path, content)
    data.pop(RECORDED, None)
    identity = data.pop("id", None)
    recipe = from_dict(data, str(path))
    if identity not in (None, recipe.id):
        raise MemstudyError(
            f"{path} was changed after it was written: its content is recipe {recipe.id}, not {identity}. "
            "Restore it, or remove the line 'id = …' from a copy and run that as a recipe of its own."
        )
    if digest not in (None, files.digest(content)):
        raise files.damaged(path, "its checksum does not match")
    trust.named(path, names(recipe))
    return recipe


def names(recipe: Recipe) -> list[trust.Name]:
    """What a recipe names that may be others' code, as `trust` calls it."""
    methods = [("regularizer", method.name) for method in recipe.regularizers]
    rule = ("corruption rule", recipe.corruption.rule)
    return [("network", recipe.network), ("dataset", recipe.dataset), rule, *methods]
