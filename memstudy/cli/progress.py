"""Live progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Column

from memstudy.errors import HARMFUL, Interrupted, plain
from memstudy.store import records
from memstudy.study.watcher import Watcher

if TYPE_CHECKING:
    import torch

    from memstudy.data.dataset import CorruptedDataset
    from memstudy.report.table import Table
    from memstudy.store import RunDirectory
    from memstudy.study.fleet import Outcome

LINES_PER_RUN = 10


class Terminal(Console):
    """A console that shows what names have of control characters, and obeys none of them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """What is printed: rich's own control codes are segments of another kind, and stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=_shown(segment.text))


def _shown(text: str) -> str:
    """A text of several lines in which nothing is obeyed by a terminal."""
    return "\n".join(map(plain, text.split("\n")))


def plural(count: int, noun: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Voice:
    """Where a command speaks: results on standard output, and how it goes on standard error.

    When its output is JSON, all else is on standard error.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.console = _console(stderr=quiet)
        self.aside = _console(stderr=True)

    def say(self, text: str) -> None:
        """Print one line or block of plain text that belongs to the result."""
        self.console.print(text, markup=False)

    def tell(self, text: str) -> None:
        """Print one line or block of plain text on how it goes."""
        self.aside.print(text, markup=False)

    def show(self, table: Table, briefly: bool = False) -> None:
        """Print a table, as wide as the terminal is; as plain text if there is none."""
        from memstudy.report import terminal

        wide = self.console.width
        content = terminal.brief(table, wide) if briefly else terminal.shown(table, wide)
        if self.console.is_terminal:
            self.console.print(content, soft_wrap=False)
        else:
            self.say(terminal.text(content, wide))

    @contextlib.contextmanager
    def counted(self, description: str) -> Iterator[Callable[[int, int], None]]:
        """A bar for reports of (done, total)."""
        with Bar(self.aside) as bar:
            yield lambda done, total: bar.update(done, total, description)

    def print_json(self, value: Any) -> None:
        """Print a summary on standard output, whatever else goes to standard error.

        JSON has no word for what is not finite, as numbers of a run that diverged: it becomes null.
        """
        lines = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False).split("\n")
        for line in lines:
            sys.stdout.write(f"{HARMFUL.sub(lambda found: f'{chr(92)}u{ord(found[0]):04x}', line)}\n")


def _console(stderr: bool) -> Console:
    """Plain text, whole lines: the terminal wraps them, and a pipe gets them as they are."""
    return Terminal(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)


def _plain(value: Any) -> Any:
    """A value in Python's own types, for JSON; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "item"):  # a number of numpy's
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Bar:
    """A progress bar on a terminal; elsewhere nothing. A context.

    What it says comes in parts, the most important first: as many are shown as leave room for the bar and the
    time left, which stay however narrow the terminal is.
    """

    WIDE = 110
    """Columns of a terminal from which on the bar has its full width."""
    TIME = 7  # 0:01:20

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = 24 if console.width >= self.WIDE else 10
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(self._width, table_column=Column(min_width=self._width)),
            TimeRemainingColumn(table_column=Column(min_width=self.TIME, no_wrap=True)),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._task: TaskID | None = None
        self._parts: Sequence[str] = ()
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

    def update(self, completed: float, total: float, *parts: str) -> None:
        """Show how far it is, under a new description if one is given."""
        if not self.shown:
            return
        self._parts = parts or self._parts
        if self._task is None:
            self._task = self._bar.add_task("")
        self._bar.update(self._task, completed=completed, total=total, description=self._text())

    def _text(self) -> str:
        room = self._console.width - len("⠋    ") - self._width - self.TIME
        shown = joined(self._parts)
        parts = list(self._parts)
        while len(shown) > room and len(parts) > 1:
            shown = joined(parts := parts[:-1])
        return shown if len(shown) <= room else f"{shown[: max(0, room - 1)]}…"


def joined(parts: Iterable[str]) -> str:
    """The parts of a line of progress as one text."""
    return "  ".join(parts)


class Clock:
    """Estimates the time left from the speed since it was made, when `done` of the work was done already."""

    def __init__(self, done: float) -> None:
        self._began, self._done = time.monotonic(), done

    def left(self, done: float, total: float) -> list[str]:
        """`["0:01:20 left"]`; nothing at the end, or before anything is done."""
        if not self._done < done < total:
            return []
        seconds = (time.monotonic() - self._began) / (done - self._done) * (total - done)
        return [f"{datetime.timedelta(seconds=math.ceil(seconds))} left"]


class RunProgress(Voice, Watcher):
    """One run: epoch, rate, time left, test accuracy, L_c against its floor, the share memorized."""

    def __init__(
        self, quiet: bool = False, dynamics: bool | None = None, evaluate_every: int | None = None
    ) -> None:
        super().__init__(quiet)
        self._dynamics = dynamics  # whether records were asked for, or asked not to be made
        self._evaluate_every = evaluate_every  # what was asked for
        self._evaluated: tuple[int, Mapping[Any, float]] | None = None  # the last one, and its numbers
        self.bar = Bar(self.aside)

    def started(self, run: RunDirectory, data: CorruptedDataset, device: torch.device) -> None:
        """Say what begins or continues."""
        self._epochs = run.recipe.training.epochs
        self._samples = len(data.noisy_labels)
        self._floor = data.floor
        self._from = self._done = run.epochs_done
        epochs = plural(self._epochs, "epoch")
        begin = f"continues after epoch {self._done - 1} (counted from 0), with {self._done} of {epochs} done"
        self.tell(
            f"{run.name} on {device}: {self._samples:,} images, {100 * data.corrupted_share:.1f} % of the labels "
            f"corrupted, {begin if self._done else f'to train for {epochs}'}"
        )
        if (threads := run.state()["sessions"][-1]["threads"]) > 1:
            self.tell(f"on {threads} CPU threads; on one its last digits may differ (--threads 1, as in a study)")
        self.tell_kept(run)
        if not run.has_records and self._dynamics is None:
            self.tell(self._unrecorded(run))
        self._clock, self._began = Clock(self._done), time.monotonic()
        self.bar.update(self._done, self._epochs, "continuing" if self._done else "first epoch")

    def tell_kept(self, run: RunDirectory) -> None:
        """Say that other epochs are evaluated than was asked for, as they were chosen when the run was begun."""
        if self._evaluate_every not in (None, run.evaluate_every):
            each = "each epoch" if run.evaluate_every == 1 else f"every {run.evaluate_every} epochs"
            self.tell(f"it is evaluated after {each}, as it was begun: what was left out is not made up for")

    def _unrecorded(self, run: RunDirectory) -> str:
        """Why there will be no records of the samples, though nobody asked for that."""
        if run.evaluate_every > 1:
            return f"its samples are not recorded, as it is evaluated every {run.evaluate_every} epochs"
        if records.usual(self._epochs, self._samples):
            return "its samples are not recorded, as they were not when it was begun"
        size = records.megabytes(records.BYTES * self._epochs * self._samples)
        return (
            f"its samples are not recorded after each epoch, as that would take {size} (more than "
            f"{records.megabytes(records.MOST)}): no 'memstudy dynamics'; --dynamics, from the start, records them"
        )

    def made_again(self, sentence: str) -> None:
        """Say the sentence."""
        self.tell(f"{sentence}.")

    def stepped(self, step: int, steps: int) -> None:
        """Move the bar within the epoch."""
        self.bar.update(self._done + step / steps, self._epochs)

    def epoch_done(self, epoch: int, metrics: dict[str, float]) -> None:
        """Show the epoch's numbers: always on a terminal; elsewhere at first and at every tenth of the run."""
        now = time.monotonic()
        rate = self._samples / max(now - self._began, 1e-9)
        self._began, self._done = now, epoch + 1
        if not math.isnan(metrics["test_accuracy"]):
            self._evaluated = epoch, metrics
        parts = [f"{self._done}/{self._epochs} epochs", *_measured(metrics, epoch, self._evaluated)]
        parts += [f"(floor {self._floor:.3f})", f"{rate:,.0f} images/s"]
        self.bar.update(self._done, self._epochs, *parts)
        if not self.bar.shown and self._line_due(epoch):
            self.tell(joined([*parts, *self._clock.left(self._done, self._epochs)]))

    def _line_due(self, epoch: int) -> bool:
        tenth = max(1, self._epochs // LINES_PER_RUN)
        return epoch == self._from or (epoch + 1) % tenth == 0 or epoch + 1 == self._epochs


def _measured(
    metrics: Mapping[Any, float], epoch: int = 0, evaluated: tuple[int, Mapping[Any, float]] | None = None
) -> list[str]:
    """An epoch's numbers, the most important first; those of the last evaluated one say so if it is another."""
    parts = [f"L_c {metrics['train_cross_entropy']:.3f}"]
    at, numbers = evaluated or (epoch, metrics)
    words = "" if at == epoch else f" (epoch {at})"
    if not math.isnan(memorized := numbers["memorized"]):
        parts.insert(0, f"memorized {100 * memorized:.0f} %{words}")
    if not math.isnan(accuracy := numbers["test_accuracy"]):
        parts.insert(0, f"test {100 * accuracy:.1f} %{words}")
    return parts


class StudyProgress(Voice):
    """Many runs at once, watched through their directories."""

    def __init__(self, runs: Sequence[RunDirectory], quiet: bool = False) -> None:
        super().__init__(quiet)
        self._runs = runs
        self._ended = 0
        self._told: set[str] = set()
        self._epochs = sum(run.recipe.training.epochs for run in runs)
        self._clock = Clock(self._done())
        self.bar = Bar(self.aside)

    def _done(self) -> int:
        """How many epochs are done, in all directories."""
        return sum(run.epochs_done for run in self._runs)

    def begun(self) -> str:
        """What is there already, a clause; empty if nothing is."""
        finished = sum(run.finished for run in self._runs)
        begun = sum(run.epochs_done > 0 for run in self._runs) - finished
        clauses = [f"{finished} finished before"] if finished else []
        clauses += [f"{begun} continued where stopped"] if begun else []
        return "".join(f", {part}" for part in clauses)

    def tick(self) -> None:
        """Count the epochs that are done."""
        if self.bar.shown:
            done, runs = self._done(), f"{self._ended}/{len(self._runs)} runs"
            self.bar.update(done, self._epochs, runs, f"{done:,}/{self._epochs:,} epochs")

    def ended(self, outcome: Outcome) -> None:
        """Say how one run ended; of one that the clock or a signal stopped, how far it is.

        What keeps many runs from being trained, such as a node without the images, is said once.
        """
        self._ended += 1
        run, text = outcome.run, str(outcome.error)
        if text in self._told:
            return
        if isinstance(outcome.error, Interrupted):
            if not run.epochs_done:
                return
            text = f"saved after {run.epochs_done} of {plural(run.recipe.training.epochs, 'epoch')}"
        elif outcome.error is None:
            text = joined(_measured(run.metrics().iloc[-1].to_dict()))
        else:
            self._told.add(text)
        named = text if text.startswith(run.name) else f"{run.name}: {text}"
        left = [] if self.bar.shown else self._clock.left(self._done(), self._epochs)
        self.tell(joined([f"[{self._ended}/{len(self._runs)}] {named}", *left]))
