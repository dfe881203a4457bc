"""The run directory of a run that memstudy did not train: its recipe, and writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from memstudy import files, regularizers
from memstudy.api.given import specified
from memstudy.api.images import Images
from memstudy.api.labels import NoisyLabels
from memstudy.data import artifact
from memstudy.errors import MemstudyError, quoted, unknown
from memstudy.recipe import OPTIONS, OptionValue, Recipe, RegularizerSpec, Training, spread
from memstudy.regularizers import BARE, REGULARIZERS, Regularizer
from memstudy.store import RunDirectory, Status, Store
from memstudy.store.records import Dynamics
from memstudy.study.environment import environment
from memstudy.training.placement import Placement
from memstudy.training.state import build_network, load_network

KINDS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw"}
"""PyTorch's optimizers by what recipes call them."""
BY_LABELS = ("dataset", "noise", "corrupt", "corrupt_seed", "matrix", "labels")
"""Options of a recipe that the labels say."""


def recipe_of(
    labels: NoisyLabels,
    epochs: int,
    kept: Sequence[int],
    *,
    trainer: str,
    reg: str | Regularizer | Sequence[Regularizer],
    options: Mapping[str, Mapping[str, OptionValue]] | None,
    optimizer: str | torch.optim.Optimizer,
    lr: float | None,
    momentum: float | None,
    **settings: Any,
) -> Recipe:
    """What the run directory says was trained; a MemstudyError for what is missing, unknown or wrong."""
    if not trainer:
        raise MemstudyError("name must be a word for your training loop: it tells its runs from memstudy's own.")
    told = _of_optimizer(optimizer, lr, momentum) | settings
    for name in ("batch_size", "lr", "momentum"):
        if told.get(name) is None:
            raise MemstudyError(
                f"write needs {name}=, as the loop had it: it tells runs apart. optimizer= the optimizer itself "
                "says lr and momentum."
            )
    parts: dict[type, dict[str, Any]] = {}
    for key, value in told.items():
        if key in BY_LABELS or key in ("epochs", "checkpoints", "train_size"):
            raise MemstudyError(f"{key} is known from what was recorded; leave it out.")
        if key not in OPTIONS:
            raise unknown("option of a recipe", key, [*OPTIONS, "reg", "name", "options"])
        kind, declared = OPTIONS[key]
        parts.setdefault(kind, {})[declared.name] = declared.checked(value)
    checkpoints = tuple(kept) or spread(epochs)
    return Recipe(
        training=Training(epochs=epochs, checkpoints=checkpoints, **parts.pop(Training)),
        dataset=labels.data.images.name,
        regularizers=_methods(reg, options or {}),
        corruption=labels.data.corruption,
        trainer=trainer,
        **parts.get(Recipe, {}),
    )


def _of_optimizer(
    optimizer: str | torch.optim.Optimizer, lr: float | None, momentum: float | None
) -> dict[str, object]:
    """The options of a recipe that an optimizer says, as it was before any schedule changed it."""
    if isinstance(optimizer, str):
        return {"optimizer": optimizer, "lr": lr, "momentum": momentum}
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise MemstudyError(f"optimizer must be one of PyTorch's, or its name, not {quoted(optimizer)}.")
    kind, group = type(optimizer).__name__, optimizer.param_groups[0]
    if kind not in KINDS:
        raise MemstudyError(
            f"recipes know the optimizers {', '.join(KINDS)}, not {quoted(kind)}; give optimizer= the nearest of "
            "sgd, adam and adamw, with lr and momentum, and let name= say which it was."
        )
    found = group.get("initial_lr", group["lr"])
    own = {"optimizer": KINDS[kind], "lr": float(found if lr is None else lr)}
    first = group["momentum"] if kind == "SGD" else group["betas"][0]
    nesterov = {"nesterov": True} if group.get("nesterov") else {}
    return own | {"momentum": float(first if momentum is None else momentum)} | nesterov


def _methods(
    reg: str | Regularizer | Sequence[Regularizer], options: Mapping[str, Mapping[str, OptionValue]]
) -> tuple[RegularizerSpec, ...]:
    """Regularizers of a recipe: ours with all their options, those of others as they are told."""
    if not isinstance(reg, str):
        return specified(reg, options)
    names = [name for name in regularizers.names(reg) if name != BARE]
    for name in options:
        if regularizers.canonical(name) not in names:
            raise MemstudyError(f"an option is set for {quoted(name)}, which reg {quoted(reg)} does not name.")
    given = {regularizers.canonical(name): tuple(values.items()) for name, values in options.items()}
    ours = [RegularizerSpec(name, given.get(name, ())) for name in names if name in REGULARIZERS.names()]
    others = [RegularizerSpec(name, given.get(name, ())) for name in names if name not in REGULARIZERS.names()]
    return (*regularizers.complete(ours), *others)


@dataclass(frozen=True)
class Contents:
    """What goes into the directory; `networks` are kept ones by their epochs, with tensors by name."""

    labels: NoisyLabels
    images: Images | None
    records: Dynamics
    metrics: Sequence[Mapping[str, float]]
    networks: Mapping[int, Mapping[str, Tensor]]
    device: torch.device


def write(root: Path, recipe: Recipe, contents: Contents) -> RunDirectory:
    """Write a finished run, or nothing. A MemstudyError if it is there, or its networks are not of the recipe."""
    _check_networks(recipe, contents)
    run = Store(root).open(recipe)
    with run.lock():
        if run.exists:
            raise MemstudyError(
                f"{run.path} is there already: a run of {quoted(recipe.trainer)} with these settings; remove it, "
                "or give another name= or seed=."
            )
        try:
            _write(run, contents)
        except BaseException:
            files.discard(run.path)
            raise
    return run


def _write(run: RunDirectory, contents: Contents) -> None:
    labels, images, records = contents.labels.data, contents.images, contents.records
    facts, known = {}, {}
    if images is not None:
        known = {"data_sha256": images.source.content_hash(), "data_note": images.source.note}
        facts = {"data_sha256": known["data_sha256"], "mean": images.source.mean, "std": images.source.std}
    place = Placement.usual(contents.device, torch.get_num_threads())
    session = {"from_epoch": 0, "date": files.now(), **environment(place), "processes": 1}
    recipe_sum = run.write_recipe(facts)
    run.update(
        status=Status.RUNNING,
        failure=None,
        floor=labels.floor,
        expected_floor=labels.expected_floor,
        corrupted_share=labels.corrupted_share,
        sessions=[session],
        epochs=run.recipe.training.epochs,
        dynamics=True,
        evaluate_every=1,
        checksums=recipe_sum,
        **known,
    )
    run.save_labels(artifact.content(labels, images is not None))
    run.log(f"recorded by memstudy.Recorder of a training by {run.recipe.trainer}")
    for epoch, metrics in enumerate(contents.metrics):
        row = {name: getattr(records, name)[epoch] for name in ("loss", "margin", "el2n", "prediction")}
        run.records.write(epoch, row)
        run.append_metrics(epoch, dict(metrics))
        if epoch in contents.networks:
            run.save_checkpoint(epoch, dict(contents.networks[epoch]))
    run.finish()


def _check_networks(recipe: Recipe, contents: Contents) -> None:
    """Refuse networks that analyses could not load."""
    if not contents.networks:
        return
    if contents.images is None:
        raise MemstudyError("networks are kept with the images that they are for: give Recorder images=.")
    built = build_network(recipe, contents.images.source, torch.device("cpu"))
    for epoch, tensors in contents.networks.items():
        try:
            load_network(built, dict(tensors))
        except MemstudyError as error:
            raise MemstudyError(
                f"the network kept after epoch {epoch} is not {quoted(recipe.network)}, which network= says: "
                f"{str(error).rstrip('.')}."
            ) from error
