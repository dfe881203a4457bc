"""Live progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from memstudy.errors import Interrupted
from memstudy.study.watcher import Watcher

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from memstudy.data.dataset import CorruptedDataset
    from memstudy.store import RunDirectory
    from memstudy.study.fleet import Outcome

LINES_PER_RUN = 10


def plural(count: int, noun: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Voice:
    """Where a command speaks: standard output, or standard error when its output is JSON."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=quiet, highlight=False, soft_wrap=True, emoji=False)

    def say(self, text: str) -> None:
        """Print one line or block of plain text."""
        self.console.print(text, markup=False)

    def frame(self, rows: pd.DataFrame, digits: int) -> None:
        """Print a data frame as plain aligned columns."""
        self.say(rows.to_string(index=False, float_format=lambda value: f"{value:.{digits}f}"))

    def print_json(self, value: Any) -> None:
        """Print a summary on standard output, whatever else goes to standard error."""
        json.dump(value, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
        sys.stdout.write("\n")


class Bar:
    """A progress bar on a terminal; elsewhere nothing. A context."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task: TaskID | None = None
        self.shown = console.is_terminal

    def __enter__(self) -> Self:
        if self.shown:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown:
            self._bar.stop()

    def update(self, completed: float, total: float, text: str | None = None) -> None:
        """Show how far it is, under a new description if one is given."""
        if not self.shown:
            return
        if self._task is None:
            self._task = self._bar.add_task(text or "")
        self._bar.update(self._task, completed=completed, total=total, description=text)


class RunProgress(Voice, Watcher):
    """One run: epoch, rate, time left, test accuracy, L_c against its floor, the share memorized."""

    def __init__(self, quiet: bool = False) -> None:
        super().__init__(quiet)
        self.bar = Bar(self.console)

    def started(self, run: RunDirectory, data: CorruptedDataset, device: torch.device) -> None:
        """Say what begins or continues."""
        self._epochs = run.recipe.training.epochs
        self._samples = len(data.noisy_labels)
        self._floor = data.floor
        self._done = run.epochs_done
        begin = f"continued after {self._done} of" if self._done else "to train for"
        self.say(
            f"{run.name} on {device}: {self._samples:,} images, "
            f"{100 * data.corrupted_share:.1f} % of the labels corrupted, {begin} {plural(self._epochs, 'epoch')}"
        )
        if (threads := run.state()["sessions"][-1]["threads"]) > 1:
            self.say(f"on {threads} CPU threads; on one its last digits may differ (--threads 1, as in a study)")
        self._began = time.monotonic()
        self.bar.update(self._done, self._epochs, "first epoch")

    def made_again(self, what: str) -> None:
        """Say it."""
        self.say(f"{what}.")

    def stepped(self, step: int, steps: int) -> None:
        """Move the bar within the epoch."""
        self.bar.update(self._done + step / steps, self._epochs)

    def epoch_done(self, epoch: int, metrics: dict[str, float]) -> None:
        """Show the epoch's numbers: always on a terminal, at every tenth of the run elsewhere."""
        now = time.monotonic()
        rate = self._samples / max(now - self._began, 1e-9)
        self._began, self._done = now, epoch + 1
        text = (
            f"{self._done}/{self._epochs} epochs  {rate:,.0f} images/s"
            f"  test {100 * metrics['test_accuracy']:.1f} %"
            f"  L_c {metrics['train_cross_entropy']:.3f} (floor {self._floor:.3f})"
        )
        if not math.isnan(metrics["memorized"]):
            text += f"  memorized {100 * metrics['memorized']:.0f} %"
        self.bar.update(self._done, self._epochs, text)
        if not self.bar.shown and self._line_due(epoch):
            self.say(text)

    def _line_due(self, epoch: int) -> bool:
        tenth = max(1, self._epochs // LINES_PER_RUN)
        return epoch == 0 or (epoch + 1) % tenth == 0 or epoch + 1 == self._epochs


class StudyProgress(Voice):
    """Many runs at once, watched through their directories."""

    def __init__(self, runs: Sequence[RunDirectory], quiet: bool = False) -> None:
        super().__init__(quiet)
        self._runs = runs
        self._ended = 0
        self._epochs = sum(run.recipe.training.epochs for run in runs)
        self.bar = Bar(self.console)

    def tick(self) -> None:
        """Count the epochs that are done, in all directories."""
        if self.bar.shown:
            done = sum(run.epochs_done for run in self._runs)
            text = f"{self._ended}/{len(self._runs)} runs  {done:,}/{self._epochs:,} epochs"
            self.bar.update(done, self._epochs, text)

    def ended(self, outcome: Outcome) -> None:
        """Say how one run ended; of one that the clock or a signal stopped, how far it is."""
        self._ended += 1
        run, text = outcome.run, str(outcome.error)
        if isinstance(outcome.error, Interrupted):
            if not run.epochs_done:
                return
            text = f"saved after {run.epochs_done} of {plural(run.recipe.training.epochs, 'epoch')}"
        elif outcome.error is None:
            last = run.metrics().iloc[-1]
            text = f"test {100 * last['test_accuracy']:.1f} %  L_c {last['train_cross_entropy']:.3f}"
            if not math.isnan(last["memorized"]):
                text += f"  memorized {100 * last['memorized']:.0f} %"
        self.say(f"[{self._ended}/{len(self._runs)}] {run.name}: {text}")


@contextlib.contextmanager
def counted(voice: Voice, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for `(done, total)` reports."""
    with Bar(voice.console) as bar:
        yield lambda done, total: bar.update(done, total, what)
