"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from memstudy.cli.types import EpochList
from memstudy.errors import MemstudyError, quoted

Command = Callable[..., Any]


def composed(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several option decorators as one, listed in the order of --help."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


runs_dir = click.option(
    "--runs-dir",
    type=click.Path(path_type=Path),
    envvar="MEMSTUDY_RUNS",
    default=Path("runs"),
    show_default="./runs, or MEMSTUDY_RUNS",
    help="The store: where run directories are.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="MEMSTUDY_DATA",
    help="Where image sets are (torchvision's layout). [default: MEMSTUDY_DATA, or the user's cache]",
)
data = composed(data_dir, click.option("--download", is_flag=True, help="Fetch the image set if it is missing."))
corruption = composed(
    click.option(
        "--dataset",
        help="mnist5k, digits (embedded), mnist, fashion, cifar10, cifar100(-coarse), or your own: name or path.",
    ),
    click.option("--train-size", type=int, help="Train on so many samples, a stratified part. [default: all]"),
    click.option("--noise", help="Corruption rule; 'memstudy data rules' lists them. [default: symmetric]"),
    click.option("--corrupt", type=float, help="Corruption rate, a fraction between 0 and 1."),
    click.option("--matrix", type=click.Path(path_type=Path), help="A transition matrix: .npy, or text."),
)


def set_by_path(command: Command) -> Command:
    """--dataset may be the path of a set of one's own, too: its name, and its folder as the data directory."""

    @functools.wraps(command)
    def call(*args: Any, **given: Any) -> Any:
        if is_path(given["dataset"]):
            from memstudy.data import sources

            name, directory = sources.at(Path(given["dataset"]))
            source = click.get_current_context().get_parameter_source("data_dir")
            said = source is click.core.ParameterSource.COMMANDLINE  # rather than by MEMSTUDY_DATA
            if said and given["data_dir"].resolve() != directory.resolve():
                raise MemstudyError(
                    f"--dataset {given['dataset']} is in {directory}, and --data-dir is another folder; leave "
                    "--data-dir out."
                )
            given |= {"dataset": name, "data_dir": directory}
        return command(*args, **given)

    return call


def is_path(dataset: str | None) -> bool:
    """Whether a set is given by its path, rather than by its name."""
    return dataset is not None and (
        not {"/", os.sep}.isdisjoint(dataset) or dataset.endswith(".npz") or dataset in (".", "..")
    )


label_reading = composed(
    click.option("--label-column", metavar="NAME", help="The file's column. [default: what is named noisy]"),
    click.option("--anyway", is_flag=True, help="Take labels that agree with the true ones only by chance."),
)
labels = composed(
    click.option("--labels", type=click.Path(path_type=Path), help="Take the labels in this file instead."),
    label_reading,
)
training = composed(
    click.option("--optimizer", help="sgd, adam, or adamw. [default: sgd]"),
    click.option("--nesterov", is_flag=True, default=None, help="Nesterov momentum, for sgd."),
    click.option("--schedule", help="Of the learning rate: constant, step, multistep, or cosine."),
    click.option("--milestones", help="Of step: every so many epochs (30); of multistep: at which (80,120)."),
    click.option("--factor", type=float, help="What a milestone multiplies the learning rate by. [default: 0.1]"),
    click.option("--warmup", type=int, help="Epochs in which the learning rate rises to its value. [default: 0]"),
    click.option("--label-smoothing", type=float, help="Share of the target spread over all classes."),
    click.option("--mixup", type=float, help="α of mixup; 0 is without."),
    click.option(
        "--augment",
        help="none, or flip-crop. None by default: a network that has memorized a sample has not memorized its "
        "mirrored and shifted copies, so augmentation hides what is studied.",
    ),
    click.option("--precision", help="fp32, tf32 (GPU), or bf16 (mixed). [default: fp32]"),
    click.option("--clip", type=float, help="Largest norm of the gradient; 0 is without."),
)
_device_name = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, or cuda:N.")
device = composed(
    _device_name,
    click.option(
        "--threads", default=1, show_default=True, type=click.IntRange(1), help="CPU threads of one run."
    ),
)


class Threads(click.IntRange):
    """A number of threads, or `auto`."""

    name = "threads"

    def __init__(self) -> None:
        super().__init__(1)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """For --help."""
        return "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A whole number from 1 on, or the word as it is."""
        return value if value == "auto" else super().convert(value, param, ctx)


def training_device(threads: str | None) -> Callable[[Command], Command]:
    """Where a run is trained; `threads` is what a command takes that is not told."""
    usual = "auto" if threads else "as begun, else 1"
    return composed(
        _device_name,
        click.option(
            "--threads",
            type=Threads(),
            default=threads,
            help="CPU threads of one run. auto: as begun, else 1 for smallnet, and up to 8 for larger networks. "
            f"Another number gives other last digits. [default: {usual}]",
        ),
        click.option(
            "--capture/--no-capture", default=True, help="On a GPU: replay CUDA graphs, or launch each kernel."
        ),
    )


dynamics = click.option(
    "--dynamics/--no-dynamics",
    default=None,
    help="Record each training sample after each epoch, 5 bytes, for 'memstudy dynamics'. [default: if that is "
    "at most 250 MB a run, as it is for every preset (al2: 210 MB)]",
)
selection = composed(
    click.argument("runs", nargs=-1, metavar="[RUN]..."),
    click.option("--study", help="Choose a study's runs; 'all' for the whole store. [default: the newest]"),
)


def given(context: click.Context, **names: str) -> list[str]:
    """The options that a command was given, some by other names."""
    default = click.core.ParameterSource.DEFAULT
    return [names.get(name, name) for name in context.params if context.get_parameter_source(name) is not default]


def checkpoints(text: str | None) -> int | tuple[int, ...] | None:
    """`"10"` is a number of checkpoints, `"0,50,99"` are epochs, and so is `"50,"`."""
    return _count_or_list("--checkpoints", "how many to spread over the run (10) or epochs (0,50,99)", text)


def epochs(name: str, text: str | None) -> tuple[int, ...] | None:
    """`"80,120"` → `(80, 120)`, for the option `name`."""
    try:
        return None if text is None else EpochList().convert(text, None, None)
    except click.BadParameter as error:
        raise MemstudyError(f"{name} {error.message.removeprefix('it ')}") from error


def seeds(text: str | None) -> Sequence[int] | None:
    """`"5"` is the seeds 0 to 4, `"0,3,7"` are seeds, and so is `"7,"`."""
    found = _count_or_list("--seeds", "a number of seeds (5) or the seeds themselves (0,3,7)", text)
    return range(min(found, sys.maxsize)) if isinstance(found, int) else found


def _count_or_list(name: str, meaning: str, text: str | None) -> int | tuple[int, ...] | None:
    """A lone whole number from 1 on is a count; with a comma, numbers from 0 on are a list."""
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = ()
    is_list = "," in text
    if not numbers or min(numbers) < (0 if is_list else 1):
        raise MemstudyError(f"{name} takes {meaning}, not {quoted(text)}.")
    return numbers if is_list else numbers[0]


def matrix(path: Path | None) -> list[list[float]] | None:
    """The rows of a transition matrix in a file."""
    if path is None:
        return None
    from memstudy.data import transitions

    return transitions.read(path).tolist()


def positive(name: str, value: float) -> float:
    """A finite, positive number."""
    if not 0 < value < float("inf"):
        raise MemstudyError(f"{name} must be a finite, positive number, not {value:g}.")
    return value


def settings(assignments: tuple[str, ...]) -> dict[str, dict[str, float | int | str | bool]]:
    """`("al2.advance=3",)` → `{"al2": {"advance": 3}}`."""
    found: dict[str, dict[str, float | int | str | bool]] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        method, _, option = name.strip().partition(".")
        if not (method and option and value):
            raise MemstudyError(
                f"--set takes REGULARIZER.OPTION=VALUE, for example al2.advance=3, not {quoted(assignment)}."
            )
        found.setdefault(method.lower(), {})[option] = _value(value.strip())
    return found


def _value(text: str) -> float | int | str | bool:
    """A number or a truth value if it reads as one, else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
