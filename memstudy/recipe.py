"""The recipe: everything that determines one training run. Frozen, hashable, TOML in and out.

A recipe's content hash is the identity of its run: equal recipes are the same run, and any change makes
another. How a run is carried out (device, threads, progress) is no part of it. Nothing heavy is imported
here, and names (of data sets, networks, regularizers) are checked where their registries live.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import tomli_w

from memstudy.errors import MemstudyError, quoted, reason, unknown

Option = float | int | str | bool
MOST_EPOCHS = 1_000_000
"""Of a run (ours): each has a row of its own in what is written."""


def _whole(name: str, value: object, low: int, high: int = 2**53) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
        most = f" and at most {high - 1:,}" if high < 2**53 else ""
        raise MemstudyError(f"{name} must be a whole number of at least {low}{most}, not {quoted(value)}.")
    return value


def number(name: str, value: object, kind: str = "finite") -> float:
    """A value as a float; a MemstudyError, asking for a `kind` of number, if no finite float can hold it."""
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value) + 0.0  # -0.0 becomes 0.0, so both are the same recipe
    except OverflowError:  # a whole number beyond every float
        pass
    raise MemstudyError(f"{name} must be a {kind} number, not {quoted(value)}.")


def _word(name: str, value: object, also: str = "") -> str:
    if not isinstance(value, str) or not re.fullmatch(f"[A-Za-z0-9_{also}-]+", value):
        others = "".join(f"{mark!r}, " for mark in also)
        raise MemstudyError(f"{name} must be a name of letters, digits, {others}'-' and '_', not {quoted(value)}.")
    return value


def _set(target: object, **values: object) -> None:
    """Assign checked and normalized values inside a frozen dataclass's `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(target, name, value)


Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Corruption:
    """A rule, a rate (a fraction) and a seed that turn clean labels into noisy ones.

    The rate is None for a rule that has none. `matrix` holds the rows of a transition matrix, for the rule
    `matrix`; `labels` the SHA-256 of noisy labels, for the rule `file`, whose labels come from elsewhere, or of
    the soft labels that the rule `soft` draws from.
    """

    rule: str = "symmetric"
    rate: float | None = 0.75
    seed: int = 0
    matrix: Rows = ()
    labels: str = ""

    def __post_init__(self) -> None:
        seed = _whole("the corruption seed", self.seed, 0, 2**128)
        rule = _word("the corruption rule", self.rule)
        _set(self, rule=rule, rate=_rate(self.rate), seed=seed, matrix=_rows(self.matrix))
        if not re.fullmatch("([0-9a-f]{64})?", self.labels if isinstance(self.labels, str) else "?"):
            raise MemstudyError(
                f"the noisy labels are named by their SHA-256, 64 digits, not {quoted(self.labels)}."
            )

    @property
    def short(self) -> str:
        """A word for names of directories: `symmetric0.75`, `human-worst`, `file-1a2b3c4d`."""
        return f"{self.rule}{'' if self.rate is None else f'{self.rate:g}'}{self.labels and '-' + self.labels[:8]}"

    @property
    def title(self) -> str:
        """A few words for titles: `75 % symmetric`, `human-worst`, `file 1a2b3c4d`."""
        percent = "" if self.rate is None else f"{100 * self.rate:g} % "
        return f"{percent}{self.rule}{self.labels and ' ' + self.labels[:8]}"


def _rate(value: object) -> float | None:
    if value is None:
        return None
    rate = number("the corruption rate", value)
    if not 0 <= rate <= 1:
        hint = f" (for {rate:g} % write {rate / 100:g})" if 1 < rate <= 100 else ""
        raise MemstudyError(f"the corruption rate must be a fraction between 0 and 1, not {rate:g}{hint}.")
    return rate


def _rows(value: object) -> Rows:
    """A matrix as tuples of floats; whether it is a stochastic one is checked where it is used."""
    if not isinstance(value, list | tuple) or not all(isinstance(row, list | tuple) for row in value):
        raise MemstudyError(f"the transition matrix must be a list of rows, not {quoted(value)}.")
    return tuple(tuple(number("an entry of the transition matrix", entry) for entry in row) for row in value)


@dataclass(frozen=True)
class Regularizer:
    """The name of a regularizer and its options, all of them, defaults included."""

    name: str
    options: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        for option, value in self.options:
            if not isinstance(value, Option):
                raise MemstudyError(
                    f"{self.name}.{option} must be a number, a word or a truth, not {quoted(value)}."
                )
            if not isinstance(value, bool | str):
                number(f"{self.name}.{option}", value)
        _set(self, name=_word("a regularizer", self.name), options=tuple(sorted(self.options)))


CHOICES = {
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("constant", "step", "multistep", "cosine"),
    "augment": ("none", "flip-crop"),
    "precision": ("fp32", "tf32", "bf16"),
}


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

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    checkpoints: tuple[int, ...] = ()
    optimizer: str = "sgd"
    nesterov: bool = False
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    warmup: int = 0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    augment: str = "none"
    precision: str = "fp32"
    clip: float = 0.0

    def __post_init__(self) -> None:
        epochs = _whole("the number of epochs", self.epochs, 1, MOST_EPOCHS + 1)
        _whole("the batch size", self.batch_size, 1)
        _whole("the number of warm-up epochs", self.warmup, 0)
        rate = number("the learning rate", self.learning_rate)
        if rate <= 0:
            raise MemstudyError(f"the learning rate must be positive, not {rate:g}.")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        fractions = {
            name: _below(name.replace("_", " "), getattr(self, name), 1.0)
            for name in ("momentum", "factor", "label_smoothing")
        }
        sizes = {name: _below(name, getattr(self, name), math.inf) for name in ("mixup", "clip")}
        for epoch in self.checkpoints:
            if _whole("a checkpoint's epoch", epoch, 0) >= epochs:
                raise MemstudyError(
                    f"there is no epoch {epoch} to keep a checkpoint of: epochs are counted from 0, "
                    f"and the last of {epochs} is {epochs - 1}."
                )
        kept = tuple(sorted({0, *self.checkpoints, epochs - 1}))
        _set(self, learning_rate=rate, checkpoints=kept, milestones=_milestones(self), **fractions, **sizes)
        if not isinstance(self.nesterov, bool) or (
            self.nesterov and (self.optimizer != "sgd" or not self.momentum)
        ):
            raise MemstudyError("nesterov is true or false, and true only for sgd with a momentum above 0.")


def _below(name: str, value: object, bound: float) -> float:
    found = number(f"the {name}", value)
    if not 0 <= found < bound:
        below = f" and below {bound:g}" if bound < math.inf else ""
        raise MemstudyError(f"the {name} must be at least 0{below}, not {found:g}.")
    return found


def _milestones(training: Training) -> tuple[int, ...]:
    """The milestones in order, if they are what the schedule needs."""
    found = tuple(sorted(_whole("a milestone", epoch, 1) for epoch in training.milestones))
    wanted = {"step": "one number: after how many epochs, each time", "multistep": "the epochs of its steps"}
    fits = {"step": len(found) == 1, "multistep": len(found) > 0}.get(training.schedule, not found)
    if not fits:
        needs = wanted.get(training.schedule, "no milestones")
        raise MemstudyError(
            f"the schedule {quoted(training.schedule)} needs {needs}; milestones are {list(found)}."
        )
    return found


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


@dataclass(frozen=True)
class Recipe:
    """Everything that determines one training run."""

    training: Training
    dataset: str
    network: str = "smallnet"
    regularizers: tuple[Regularizer, ...] = ()
    corruption: Corruption = field(default_factory=Corruption)
    seed: int = 0
    normalization: str = "al2"  # or "own": the set's own mean and standard deviation
    train_size: int | None = None  # a stratified part of the training samples; None is all

    def __post_init__(self) -> None:
        names = [regularizer.name for regularizer in self.regularizers]
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise MemstudyError(f"regularizer {quoted(double)} is given twice; name each one once.")
        if self.normalization not in NORMALIZATIONS:
            raise unknown("normalization", self.normalization, NORMALIZATIONS)
        _set(
            self,
            dataset=_word("the data set", self.dataset),
            network=_word("the network", self.network, also=".:"),
            seed=_whole("the seed", self.seed, 0, 2**128),
            train_size=None if self.train_size is None else _whole("the train size", self.train_size, 1),
            regularizers=tuple(sorted(self.regularizers, key=lambda r: r.name)),
        )

    @property
    def id(self) -> str:
        """The content hash: 12 hexadecimal digits of SHA-256 over the canonical form."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def options(self, regularizer: str) -> dict[str, Option] | None:
        """The options of one of its regularizers; None if the recipe does not use it."""
        return next((dict(r.options) for r in self.regularizers if r.name == regularizer), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, ready for TOML.

        What is rarely used is left out unless it is, and so will be what later versions add: the identity of
        every earlier recipe stays what it was.
        """
        training = asdict(self.training) | {
            "checkpoints": list(self.training.checkpoints),
            "milestones": list(self.training.milestones),
        }
        usual = {f.name: f.default for f in fields(Training) if f.name != "checkpoints"} | {"milestones": []}
        corruption = asdict(self.corruption) | {"matrix": [list(row) for row in self.corruption.matrix]}
        rare = {"normalization": self.normalization, "train_size": self.train_size}
        return {
            "dataset": self.dataset,
            **{name: value for name, value in rare.items() if value not in ("al2", None)},
            "network": self.network,
            "seed": self.seed,
            "corruption": {name: value for name, value in corruption.items() if value not in (None, [], "")},
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


def from_dict(data: dict[str, Any], where: str = "the recipe") -> Recipe:
    """The recipe that `as_dict` described. Raises a MemstudyError that names a missing or unknown key."""
    data = _table(where, data, Recipe)
    training = _table(f"[training] of {where}", data.pop("training"), Training)
    corruption = _table(f"[corruption] of {where}", data.pop("corruption", {}), Corruption)
    if {"rule", "rate"} & set(corruption) == {"rule"}:
        corruption["rate"] = None  # as a rule without one is written; `check` asks for it where one is needed
    options = _table(f"[regularizers] of {where}", data.pop("regularizers", {}))
    for name in ("checkpoints", "milestones"):
        if not isinstance(kept := training.get(name, []), list):
            raise MemstudyError(f"{name} in [training] of {where} must be a list of epochs, not {quoted(kept)}.")
        training[name] = tuple(kept)
    return Recipe(
        training=Training(**training),
        corruption=Corruption(**corruption),
        regularizers=tuple(
            Regularizer(name, tuple(_table(f"[regularizers.{name}] of {where}", own).items()))
            for name, own in options.items()
        ),
        **data,
    )


def _table(where: str, table: object, kind: type | None = None) -> dict[str, Any]:
    """A copy of a table; with the dataclass `kind`, its keys are fields of that, and all that it needs."""
    if not isinstance(table, dict):
        raise MemstudyError(f"{where} must be a table, not {quoted(table)}.")
    if kind is not None:
        known = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}
        for key in table:
            if key not in known:
                raise unknown(f"key in {where}", key, known)
        if missing := [name for name, needed in known.items() if needed and name not in table]:
            raise MemstudyError(f"{where} is not complete: add {', '.join(missing)}.")
    return dict(table)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The content of a TOML file; a MemstudyError, naming `what` it should be, if it cannot be had."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MemstudyError(f"cannot read {what} {path}: {error.strerror}.") from error
    except ValueError as error:  # bad TOML, bad UTF-8, or a number of too many digits for Python to read
        raise MemstudyError(f"{path} is not valid TOML: {reason(error)}.") from error


def recorded(path: Path) -> dict[str, Any]:
    """What was found when the recipe in a file was carried out; empty if that was never written."""
    return _table(f"[{RECORDED}] of {path}", read_toml(path, "the recipe").get(RECORDED, {}))


def read(path: Path) -> Recipe:
    """Read a recipe's TOML. If it carries an `id`, the content must still match it."""
    data = read_toml(path, "the recipe")
    data.pop(RECORDED, None)
    identity = data.pop("id", None)
    recipe = from_dict(data, str(path))
    if identity not in (None, recipe.id):
        raise MemstudyError(
            f"{path} was changed after it was written: its content is recipe {recipe.id}, not {identity}. "
            "Restore it, or remove the line 'id = …' from a copy and run that as a recipe of its own."
        )
    return recipe
