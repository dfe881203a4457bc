"""`memstudy run`: one run, from its recipe to its verdict."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from memstudy.cli import options, track
from memstudy.errors import MemstudyError
from memstudy.recipe import OPTIONS

if TYPE_CHECKING:
    from memstudy.recipe import Recipe
    from memstudy.trackers.live import Destination


@click.command()
@options.preset
@options.regularizers
@options.of_recipe(*OPTIONS)
@options.label_reading
@click.option("--recipe", "file", type=click.Path(path_type=Path), help="Run this recipe's TOML.")
@options.dynamics
@options.evaluate_every
@track.while_training
@options.training_device("auto")
@options.data
@options.runs_dir
@options.may_run
@options.as_json
@click.pass_context
@options.set_by_path
def run(
    context: click.Context,
    file: Path | None,
    dynamics: bool | None,
    evaluate_every: int | None,
    track: tuple[Destination, ...],
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

    \b
    memstudy run --corrupt 0.75 --reg al2            half a minute on a CPU
    memstudy run --preset al2 --reg bn+al2 --seed 1  the paper's protocol
    memstudy run --labels noisy.npz --track mlflow   on a file of labels
    """  # noqa: D301
    from memstudy.cli.progress import RunProgress

    progress = RunProgress(as_json, dynamics, evaluate_every)
    leads = os.environ.get("RANK", "0") == "0"  # under torchrun, one process speaks for all
    say = progress.tell if leads else lambda text: None
    recipe, needed = _recipe(context, file, chosen, say, data_dir, download)

    from memstudy.report.verdict import verdict, verdict_text
    from memstudy.store import Store
    from memstudy.store.records import HOW_TO_RECORD
    from memstudy.store.summary import run_summary
    from memstudy.study.carry_out import Execution, carry_out
    from memstudy.trackers.live import told

    directory = Store(runs_dir).open(recipe)
    execution = Execution(
        device, threads, capture=capture, data_dir=data_dir, download=download, dynamics=dynamics,
        evaluate_every=evaluate_every, **needed,
    )  # fmt: skip
    if directory.finished:
        progress.tell_kept(directory)
    trackers = track if leads else ()
    with told(trackers, directory.path.parent, [directory.name], None, progress.tell), progress.bar:
        carry_out(directory, execution, progress)
    if not leads:
        return
    if dynamics and not directory.has_records:
        progress.tell(f"there are no records of its samples: {HOW_TO_RECORD}.")
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
    from memstudy import presets
    from memstudy import recipe as recipes
    from memstudy.regularizers import label
    from memstudy.study import label_option

    given = [name for name in options.given(context) if name in chosen]
    if file is not None:
        if given:
            raise MemstudyError(
                f"--recipe says everything about a run, so --{given[0].replace('_', '-')} cannot be given "
                "with it; change a copy of the file, without its 'id' line, instead."
            )
        recipe = recipes.read(file)
        whole = _in_words(label(recipe.regularizers), recipe.dataset, recipe.network, recipe.training.epochs)
        say(f"recipe {recipe.id} from {file}: {whole}")
        needed: dict[str, Any] = {"label_files": (file.parent / "labels.npz",)}
        if "data_sha256" in (known := recipes.recorded(file)):
            needed["data_sha256"] = known["data_sha256"]
        needed["code"] = known.get("code")
        return presets.check(recipe), needed
    settings = chosen.pop("settings")
    notes: list[str] = []
    label_files = label_option.taken(chosen, given, data_dir, download, notes.append)
    say(_origin(chosen, [f"{method}.{option}={value}" for method, option, value in settings]))
    for note in notes:
        say(note)
    method_options: dict[str, dict[str, Any]] = {}
    for method, option, value in settings:
        method_options.setdefault(method, {})[option] = value
    return presets.build(**chosen, options=method_options), {"label_files": label_files} if label_files else {}


def _origin(chosen: dict[str, Any], settings: list[str]) -> str:
    """What is run, of which preset, and what was changed in that."""
    from memstudy import presets, regularizers
    from memstudy import recipe as recipes

    name = chosen["preset"]
    preset = presets.get(name)
    usual = recipes.chosen(preset.recipe)
    usual["checkpoints"] = None  # they depend on the number of epochs
    changed = {key: chosen[key] for key in usual if chosen.get(key) not in (None, usual[key])}
    words = [*(_words(key, value) for key, value in changed.items()), *settings]
    run = usual | changed
    methods = "+".join(regularizers.checked(chosen["reg"])) or regularizers.BARE
    return (
        f"preset {name}: {_in_words(methods, run['dataset'], run['network'], run['epochs'])}"
        + (f"; changed here: {', '.join(words)}" if words else "")
        + f" ({preset.about})"
    )


def _words(key: str, value: Any) -> str:
    """An option and its value: `milestones 80,120`."""
    from memstudy.distinctions import text

    if key == "matrix":  # rows as they were read
        return f"a matrix of {len(value)} classes"
    return f"{key.replace('_', '-')} {text(key, value)}"


def _in_words(methods: str, dataset: str, network: str, epochs: int) -> str:
    """`bn+al2 on mnist5k, smallnet, 25 epochs`."""
    from memstudy.cli.progress import plural

    return f"{methods} on {dataset}, {network}, {plural(epochs, 'epoch')}"
