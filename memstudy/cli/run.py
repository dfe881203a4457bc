"""`memstudy run`: one run, from its recipe to its verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memstudy.cli import options
from memstudy.errors import MemstudyError

if TYPE_CHECKING:
    from memstudy.recipe import Recipe


@click.command()
@click.option("--preset", default="quick", show_default=True, help="quick, or al2 for the paper's protocol.")
@click.option("--reg", default="bare", show_default=True, help="bare, bn, do, wd, al2; joined by +.")
@click.option("--set", "assignments", multiple=True, metavar="REG.OPTION=VALUE", help="As al2.advance=3.")
@click.option("--dataset", help="mnist5k (embedded), mnist or fashion.")
@click.option("--network", help="smallnet.")
@click.option("--corrupt", type=float, help="Corruption rate, a fraction between 0 and 1.")
@click.option("--rule", help="Corruption rule: symmetric.")
@click.option("--corrupt-seed", type=int, help="Seed of the corruption, apart from the model's.")
@click.option("--seed", type=int, help="Seed of weights, order and dropout.")
@click.option("--epochs", type=int, help="How many epochs to train.")
@click.option("--batch-size", type=int, help="Samples a step.")
@click.option("--lr", type=float, help="SGD's learning rate.")
@click.option("--momentum", type=float, help="SGD's momentum.")
@click.option("--checkpoints", help="How many to keep (10), or which epochs, counted from 0 (0,50,99).")
@click.option("--recipe", "file", type=click.Path(path_type=Path), help="Run this recipe's TOML.")
@options.device
@options.data
@options.runs_dir
@options.as_json
@click.pass_context
def run(
    context: click.Context,
    file: Path | None,
    device: str,
    threads: int,
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
    from memstudy.report.summary import run_summary, verdict
    from memstudy.store import Store
    from memstudy.study.carry_out import Execution, carry_out
    from memstudy.study.interruption import stop_on_sigterm

    stop_on_sigterm()
    recipe, origin = _recipe(context, file, chosen)
    progress = RunProgress(quiet=as_json)
    progress.say(origin)
    directory = Store(runs_dir).open(recipe)
    execution = Execution(device=device, threads=threads, data_dir=data_dir, download=download)
    with progress.bar:
        carry_out(directory, execution, progress)
    if as_json:
        progress.print_json(run_summary(directory))
    else:
        progress.say(verdict(directory))


def _recipe(context: click.Context, file: Path | None, chosen: dict[str, Any]) -> tuple[Recipe, str]:
    """The recipe, and the first line of output: where it comes from."""
    from memstudy import presets, recipe

    if file is not None:
        given = [name for name in chosen if context.get_parameter_source(name) is not _DEFAULT]
        if given:
            raise MemstudyError(
                f"--recipe says everything about a run, so --{given[0].replace('_', '-')} cannot be given "
                "with it; change a copy of the file, without its 'id' line, instead."
            )
        found = presets.check(recipe.read(file))
        return found, f"recipe {found.id} from {file}"
    assignments, kept = chosen.pop("assignments"), chosen.pop("checkpoints")
    name = chosen["preset"]
    built = presets.build(**chosen, options=options.settings(assignments), checkpoints=options.checkpoints(kept))
    origin = f"preset {name}: {presets.get(name).about}"
    if name == presets.DEFAULT:
        origin += " (a quick study; the paper's, full MNIST and 701 epochs: --preset al2)"
    plain = presets.build(name)
    changed = [f"{n} {chosen[n]}" for n in OVERRIDES if presets.build(name, **{n: chosen[n]}) != plain]
    changed += [*assignments, *([f"checkpoints {kept}"] if kept else [])]
    if changed:
        origin += f"; changed here: {', '.join(changed)}"
    return built, origin


OVERRIDES = ("dataset", "network", "rule", "corrupt", "corrupt_seed", "epochs", "batch_size", "lr", "momentum")
_DEFAULT = click.core.ParameterSource.DEFAULT
