"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import click

from memstudy import trust
from memstudy.cli import names
from memstudy.cli.types import CountOrList, Declared, Matrix, Name, NamingOption, Setting, Threads
from memstudy.errors import MemstudyError
from memstudy.options import Option
from memstudy.options import options as declarations
from memstudy.recipe import OPTIONS
from memstudy.report.look import Look

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
may_run = click.option(
    "--trust",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda context, option, given: given and context.with_resource(trust.everything()),
    help="Let code of others run that a recipe or a study names, without a question.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="MEMSTUDY_DATA",
    help="Where image sets are (torchvision's layout). [default: MEMSTUDY_DATA, or the user's cache]",
)
data = composed(data_dir, click.option("--download", is_flag=True, help="Fetch the image set if it is missing."))
DATASET = Name("dataset", names.data_sets, paths=True, read=names.data_set)
FILE_OR_DATASET = Name("dataset", names.data_sets, paths=True, read=Path)
RUN, STUDY = Name("run", names.runs), Name("study", names.studies)
STUDY_FILE = Name("study", names.study_files, paths=True, read=names.study_file)
SCALE = Name("scale", names.scales)
_TYPES: dict[str, click.ParamType] = {
    "dataset": DATASET,
    "network": Name("network", names.networks, read=names.network),
    "noise": Name("rule", names.rules, read=names.rule),
    "matrix": Matrix(),
    "labels": click.Path(path_type=Path),
    "checkpoints": CountOrList("how many to spread over the run (10) or epochs (0,50,99)"),
}
"""Types of those options whose values are not written as a recipe holds them, or that a shell completes."""


def of_recipe(*keys: str) -> Callable[[Command], Command]:
    """Options of a recipe, as they are declared there. One that is not given is None: the preset's value stays."""
    return composed(*(_of_recipe(key) for key in keys))


def _of_recipe(key: str) -> Callable[[Command], Command]:
    _, declared = OPTIONS[key]
    flags = ["--network", "--arch"] if key == "network" else [f"--{key.replace('_', '-')}"]
    return click.option(
        *flags,
        key,
        cls=NamingOption,
        type=bool if declared.kind is bool else _TYPES.get(key) or Declared(declared),
        is_flag=declared.kind is bool,
        default=None,
        help=help_of(declared),
    )


def help_of(declared: Option) -> str:
    """The help of a declared option, with its default where there is one to tell."""
    usual = declared.usual or declared.default
    if isinstance(usual, tuple):
        usual = ", ".join(map(str, usual))
    if isinstance(usual, float):
        usual = f"{usual:g}"
    is_told = usual not in (MISSING, None, "") and declared.kind is not bool
    return declared.help + (f" [default: {usual}]" if is_told else "")


preset = click.option(
    "--preset",
    cls=NamingOption,
    type=Name("preset", names.presets, read=names.preset),
    default="quick",
    show_default=True,
    help="{names}; al2 is the paper's protocol.",
)
regularizers = composed(
    click.option(
        "--reg",
        cls=NamingOption,
        type=Name("regularizers", names.regularizers, joined="+", read=names.regularizer),
        default="bare",
        show_default=True,
        help="{names}; several are joined by +. pilcro is our reconstruction.",
    ),
    click.option(
        "--set", "settings", type=Setting(), multiple=True, metavar="REG.OPTION=VALUE", help="As al2.advance=3."
    ),
)


def set_by_path(command: Command) -> Command:
    """Let --dataset also be a path of a user's own set: the command gets its name, and its folder as data_dir."""

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
_device_name = click.option(
    "--device",
    type=Name("device", names.devices),
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, or cuda:N.",
)
device = composed(
    _device_name,
    click.option(
        "--threads", default=1, show_default=True, type=click.IntRange(1), help="CPU threads of one run."
    ),
)


def training_device(threads: str | None) -> Callable[[Command], Command]:
    """The options of where a run is trained; `threads` is the command's default number of threads."""
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
evaluate_every = click.option(
    "--evaluate-every",
    metavar="N",
    type=click.IntRange(1),
    help="Evaluate on all images after every N-th epoch, and where a network is kept, instead of after each. "
    "Training is the same; above 1, samples are not recorded. [default: as begun, else 1]",
)
selection = composed(
    click.argument("runs", type=RUN, nargs=-1, metavar="[RUN]..."),
    click.option(
        "--study", type=STUDY, help="Choose a study's runs; 'all' for the whole store. [default: the newest]"
    ),
)
where = click.option(
    "--where",
    metavar="QUERY",
    default="",
    help="Only runs of which this is true: 'reg=al2 and corrupt>=0.5', 'status in (failed, interrupted)'.",
)
chosen = composed(click.argument("runs", type=RUN, nargs=-1, metavar="[RUN]..."), where)
reference = click.option(
    "--reference",
    metavar="METHOD",
    help="The method that the others are compared with. [default: the study's, else bare, else the first]",
)


def declared(kind: type) -> Callable[[Command], Command]:
    """A dataclass' options (see `memstudy.options`) as options of a command."""
    return composed(*(of_declaration(option) for option in declarations(kind).values()))


def of_declaration(option: Option) -> Any:
    """A declared option for click. Several texts are given by repeating it, several numbers in one list."""
    word, many_texts = option.key.replace("_", "-"), option.many and option.kind is str
    plain = option.kind is bool or many_texts
    return click.option(
        f"--{word}/--no-{word}" if option.kind is bool else f"--{word}",
        option.name,
        type=option.kind if plain else Declared(option),
        is_flag=option.kind is bool,
        multiple=many_texts,
        default=option.default,
        help=help_of(option),
    )


look = declared(Look)


def given(context: click.Context, **names: str) -> list[str]:
    """The names of the options that a command was given; `names` translates some of them."""
    default = click.core.ParameterSource.DEFAULT
    return [names.get(name, name) for name in context.params if context.get_parameter_source(name) is not default]
