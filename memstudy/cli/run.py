"""`memstudy run`: one run, from its recipe to its verdict."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from memstudy.cli import options
from memstudy.errors import MemstudyError

if TYPE_CHECKING:
    from memstudy.recipe import Recipe


@click.command()
@click.option("--preset", default="quick", show_default=True, help="quick, or al2 for the paper's protocol.")
@click.option(
    "--reg",
    default="bare",
    show_default=True,
    help="bare, or bn, nobn, do, wd, al2, loco, normloss, pilcro (our reconstruction), wn, pbwn, oni, olm, joined "
    "by +.",
)
@click.option("--set", "assignments", multiple=True, metavar="REG.OPTION=VALUE", help="As al2.advance=3.")
@options.corruption
@options.labels
@click.option("--corrupt-seed", type=int, help="Seed of the corruption, apart from the model's.")
@click.option("--normalization", help="al2 (the paper's constants) or own (the set's mean and deviation).")
@click.option(
    "--network",
    "--arch",
    "network",
    help="smallnet, alexnet, vgg16, resnet18, resnet50, resnet110, wrn28-10, densenet121, mobilenet, "
    "torchvision:NAME, or your own package.module:function.",
)
@click.option("--seed", type=int, help="Seed of weights, order and dropout.")
@click.option("--epochs", type=int, help="How many epochs to train.")
@click.option("--batch-size", type=int, help="Samples a step.")
@click.option("--lr", type=float, help="Learning rate.")
@click.option("--momentum", type=float, help="SGD's momentum; Adam's β₁.")
@options.training
@click.option("--checkpoints", help="How many to keep (10), or which epochs, counted from 0 (0,50,99).")
@click.option("--recipe", "file", type=click.Path(path_type=Path), help="Run this recipe's TOML.")
@options.dynamics
@options.training_device("auto")
@options.data
@options.runs_dir
@options.as_json
@click.pass_context
@options.set_by_path
def run(
    context: click.Context,
    file: Path | None,
    dynamics: bool | None,
    device: str,
    threads: int | Literal["auto"],
    capture: bool,
    data_dir: Path | None,
    download: bool,
    runs_dir: Path,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Train one network on corrupted labels, and say what it memorized.

    The same command again continues an interrupted run and returns at once from a finished one.
    """
    from memstudy.cli.progress import RunProgress

    progress = RunProgress(as_json, dynamics)
    leads = os.environ.get("RANK", "0") == "0"  # under torchrun, one process speaks for all
    say = progress.say if leads else lambda text: None
    recipe, needed = _recipe(context, file, chosen, say, data_dir, download)

    from memstudy.report.summary import run_summary
    from memstudy.report.verdict import verdict, verdict_text
    from memstudy.store import Store
    from memstudy.store.records import HOW
    from memstudy.study.carry_out import Execution, carry_out
    from memstudy.study.interruption import stop_on_sigterm

    stop_on_sigterm()
    directory = Store(runs_dir).open(recipe)
    execution = Execution(
        device, threads, capture=capture, data_dir=data_dir, download=download, dynamics=dynamics,
        **needed,
    )  # fmt: skip
    with progress.bar:
        carry_out(directory, execution, progress)
    if not leads:
        return
    if dynamics and not directory.recorded:
        progress.say(f"there are no records of its samples: {HOW}.")
    if as_json:
        progress.print_json(run_summary(directory) | {"verdict": verdict(directory).as_dict()})
    else:
        progress.say(verdict_text(directory))


def _recipe(
    context: click.Context,
    file: Path | None,
    chosen: dict[str, Any],
    say: Callable[[str], None],
    data_dir: Path | None,
    download: bool,
) -> tuple[Recipe, dict[str, Any]]:
    """The recipe, and what its execution needs besides.

    Says the first line of output before the names in the recipe are looked up: that imports torch, for seconds.
    """
    from memstudy import presets, recipe
    from memstudy.cli import labels
    from memstudy.regularizers import label

    given = [name for name in chosen if context.get_parameter_source(name) is not _DEFAULT]
    if file is not None:
        if given:
            raise MemstudyError(
                f"--recipe says everything about a run, so --{given[0].replace('_', '-')} cannot be given "
                "with it; change a copy of the file, without its 'id' line, instead."
            )
        found = recipe.read(file)
        own = _what(label(found.regularizers), found.dataset, found.network, found.training.epochs)
        say(f"recipe {found.id} from {file}: {own}")
        needed: dict[str, Any] = {"label_files": (file.parent / "labels.npz",)}
        if "data_sha256" in (known := recipe.recorded(file)):
            needed["data_sha256"] = known["data_sha256"]
        needed["code"] = known.get("code")
        return presets.check(found), needed
    assignments, kept = chosen.pop("assignments"), chosen.pop("checkpoints")
    chosen["matrix"] = options.matrix(chosen["matrix"])
    chosen["milestones"] = options.epochs("--milestones", chosen["milestones"])
    notes: list[str] = []
    label_files = labels.taken(chosen, given, data_dir, download, notes.append)
    say(_origin(chosen, [*assignments, *([f"checkpoints {kept}"] if kept else [])]))
    for note in notes:
        say(note)
    built = presets.build(**chosen, options=options.settings(assignments), checkpoints=options.checkpoints(kept))
    return built, {"label_files": label_files} if label_files else {}


def _origin(chosen: dict[str, Any], others: list[str]) -> str:
    """What is run, of which preset, and what was changed in that."""
    from memstudy import presets, regularizers

    name = chosen["preset"]
    preset = presets.get(name)
    plain = preset.recipe
    own = {option: getattr(plain, option) for option in ("dataset", "train_size", "normalization", "network")}
    own |= {
        "noise": plain.corruption.rule,
        "corrupt": plain.corruption.rate,
        "corrupt_seed": plain.corruption.seed,
    }
    own |= {option: getattr(plain.training, option) for option in ("epochs", "batch_size")}
    own |= {"lr": plain.training.learning_rate, "momentum": plain.training.momentum}
    own |= {option: getattr(plain.training, option) for option in presets.TRAINING_OPTIONS}
    changed = {option: chosen[option] for option in own if chosen.get(option) not in (None, own[option])}
    words = [f"{option.replace('_', '-')} {_text(value)}" for option, value in changed.items()]
    if chosen.get("matrix") is not None:
        words.append(f"a matrix of {len(chosen['matrix'])} classes")
    if chosen.get("labels"):
        words.append(f"labels {chosen['labels'][:8]}")
    words += others
    run = own | changed
    methods = "+".join(regularizers.checked(chosen["reg"])) or regularizers.BARE
    return (
        f"preset {name}: {_what(methods, run['dataset'], run['network'], run['epochs'])}"
        + (f"; changed here: {', '.join(words)}" if words else "")
        + f" ({preset.about})"
    )


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _what(methods: str, dataset: str, network: str, epochs: int) -> str:
    from memstudy.cli.progress import plural

    return f"{methods} on {dataset}, {network}, {plural(epochs, 'epoch')}"


_DEFAULT = click.core.ParameterSource.DEFAULT
