"""`memstudy track`: tell TensorBoard, MLflow or Weights & Biases of runs."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from memstudy.cli import names, options
from memstudy.cli.types import Name, Read

if TYPE_CHECKING:
    from memstudy.trackers.live import Destination


class ToTracker(Read):
    """`mlflow`, or `mlflow=http://host:5000`: a tracker, and where it is."""

    name = "tracker"

    def read(self, text: str) -> Destination:
        """The tracker, whose name is checked, and a folder or an address."""
        from memstudy.trackers.live import Destination

        name, _, into = text.partition("=")
        return Destination(names.tracker(name), into or None)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the names of trackers."""
        return [CompletionItem(name) for name in names.trackers(ctx, incomplete) if name.startswith(incomplete)]


while_training = click.option(
    "--track",
    type=ToTracker(),
    multiple=True,
    metavar="TRACKER[=INTO]",
    help="Tell a tracker of each epoch: tensorboard, mlflow, wandb, … [default: its folder in the store]",
)


@click.command()
@options.selection
@click.option(
    "--to",
    required=True,
    type=Name("tracker", names.trackers, read=names.tracker),
    help="tensorboard, mlflow or wandb.",
)
@click.option(
    "--into", metavar="PATH|URL", help="A folder or an address. [default: a folder of its name in the store]"
)
@click.option("--follow", is_flag=True, help="Look again every few seconds, until all of these runs have ended.")
@options.runs_dir
@options.as_json
def track(
    runs: tuple[str, ...],
    study: str | None,
    to: str,
    into: str | None,
    follow: bool,
    runs_dir: Path,
    as_json: bool,
) -> None:
    """Tell a tracker of runs: their settings, metrics after each epoch, and status.

    Only what it does not have yet is sent, so the same command may be given again and again, during training or
    afterwards. It only reads run directories, in a process of its own: what happens to it is nothing to training.

    \b
    memstudy track --to tensorboard         the newest study
    memstudy track --study all --to mlflow  all runs, to runs/mlflow/mlflow.db
    memstudy track --to wandb               then: wandb sync runs/wandb
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    from memstudy.cli.progress import Voice, plural
    from memstudy.errors import RunFailed
    from memstudy.store import Store
    from memstudy.trackers import connect, following
    from memstudy.trackers.sending import Sender

    voice, store = Voice(quiet=as_json), Store(runs_dir)
    name, chosen = store.asked_for(runs, study)
    sender = Sender(connect(to, into, store.root), name)
    with contextlib.suppress(KeyboardInterrupt):
        if follow:
            following.follow(lambda: sender.send(chosen), threading.Event())
        else:
            sender.send(chosen)
    place = f"{to} ({sender.tracker.into})"
    if sender.epochs:
        voice.say(f"{plural(sender.epochs, 'epoch')} of {plural(len(sender.runs), 'run')} sent to {place}.")
    elif not sender.problems:
        voice.say(f"nothing to send: {place} has all that there is of {plural(len(chosen), 'run')}.")
    if as_json:
        voice.print_json({"runs": len(sender.runs), "epochs": sender.epochs, "into": sender.tracker.into})
    if sender.problems:
        first = next(iter(sender.problems.values()))
        raise RunFailed(f"{plural(len(sender.problems), 'run')} could not be sent: {first}")
