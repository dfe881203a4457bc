"""The types of options: how their texts are read. Click puts the name of the option before an error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import click
from click.shell_completion import CompletionItem

from memstudy.errors import MemstudyError, quoted
from memstudy.options import Option, finite


class Read(click.ParamType):
    """A type whose subclasses read a text. A value that is no text, such as a default, is taken as it is."""

    def read(self, text: str) -> Any:
        """The value of a text; a MemstudyError, whose sentence calls the option `it`, if it has none."""
        raise NotImplementedError

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Called by click, which puts the option's name before the sentence of an error."""
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except MemstudyError as error:
            self.fail(str(error), param, ctx)


class Declared(Read):
    """The value of an option that is declared as a dataclass's field."""

    def __init__(self, option: Option) -> None:
        self.option = option
        self.name = "list" if option.many else {int: "integer", float: "float"}.get(option.kind, "text")

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:
        """How --help writes the value."""
        return f"[{'|'.join(self.option.choices)}]" if self.option.choices else None

    def read(self, text: str) -> Any:
        """The value as the field keeps it."""
        return self.option.read(text, "it")

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete its choices."""
        return [CompletionItem(choice) for choice in self.option.choices if choice.startswith(incomplete)]


class EpochList(Read):
    """`"80,120"` → `(80, 120)`."""

    name = "epochs"

    def read(self, text: str) -> tuple[int, ...]:
        """Whole numbers from 0 on."""
        epochs = _whole_numbers(text)
        if not epochs or min(epochs) < 0:
            raise MemstudyError(f"it takes epochs, such as 80,120, not {quoted(text)}.")
        return epochs


class CountOrList(Read):
    """`"10"` → `10`, how many; `"0,50,99"` → `(0, 50, 99)`, which ones, and `"50,"` → `(50,)`."""

    name = "count or list"

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def read(self, text: str) -> int | tuple[int, ...]:
        """A lone whole number from 1 on is a count; with a comma, numbers from 0 on are a list."""
        numbers, is_list = _whole_numbers(text), "," in text
        if not numbers or min(numbers) < (0 if is_list else 1):
            raise MemstudyError(f"it takes {self.meaning}, not {quoted(text)}.")
        return numbers if is_list else numbers[0]

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """How --help writes the value."""
        return "N|LIST"


class Seeds(CountOrList):
    """`"5"` → the seeds 0 to 4, `"0,3,7"` → those."""

    def __init__(self) -> None:
        super().__init__("a number of seeds (5) or the seeds themselves (0,3,7)")

    def read(self, text: str) -> Any:
        """A range or a tuple."""
        seeds = super().read(text)
        return range(min(seeds, sys.maxsize)) if isinstance(seeds, int) else seeds


class Positive(Read):
    """A finite number above 0."""

    name = "float"

    def read(self, text: str) -> float:
        """Not nan, either."""
        with suppress(ValueError):
            if (number := finite(float(text))) and number > 0:
                return number
        raise MemstudyError(f"it must be a finite number above 0, not {quoted(text)}.")


class Threads(Read):
    """A number of threads, or `auto`."""

    name = "threads"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """How --help writes the value."""
        return "N|auto"

    def read(self, text: str) -> int | Literal["auto"]:
        """A whole number from 1 on, or the word as it is."""
        if text == "auto":
            return "auto"
        if not text.isdecimal() or int(text) < 1:
            raise MemstudyError(f"it must be auto, or a whole number of at least 1, not {quoted(text)}.")
        return int(text)


class Setting(Read):
    """`"al2.advance=3"` → `("al2", "advance", 3)`."""

    name = "reg.option=value"

    def read(self, text: str) -> tuple[str, str, float | int | str | bool]:
        """The regularizer in small letters; a number or a truth if the value reads as one, else a text."""
        left, _, value = text.partition("=")
        method, _, option = left.strip().partition(".")
        if not (method and option and value):
            raise MemstudyError(
                f"it takes REGULARIZER.OPTION=VALUE, for example al2.advance=3, not {quoted(text)}."
            )
        return method.lower(), option, _value(value.strip())


class Matrix(Read):
    """The rows of a transition matrix in a file."""

    name = "file"

    def read(self, text: str) -> list[list[float]]:
        """Rows of probabilities."""
        from memstudy.data import transitions

        return transitions.read(Path(text)).tolist()

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete a path."""
        return [CompletionItem(incomplete, type="file")]


class Name(Read):
    """A name that a shell completes from those that `known` finds, and that `read` checks where it can.

    `joined` is a mark between several names in one text. With `paths` a path may stand instead of a name.
    """

    def __init__(
        self,
        name: str,
        known: Callable[[click.Context, str], Iterable[str]],
        joined: str = "",
        paths: bool = False,
        read: Callable[[str], Any] = str,
    ) -> None:
        self.name, self.known, self.joined, self.paths, self.read_name = name, known, joined, paths, read

    def read(self, text: str) -> Any:
        """The value for the command: the name, checked where it can be."""
        return self.read_name(text)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the last name. It never raises: the Tab key is no place to say what is wrong in a store."""
        before, mark, begun = incomplete.rpartition(self.joined) if self.joined else ("", "", incomplete)
        with suppress(Exception):
            used = before.split(self.joined) if before else []
            names = [name for name in self.known(ctx, begun) if name.startswith(begun) and name not in used]
            if names or not self.paths:
                return [CompletionItem(before + mark + name) for name in names]
        return [CompletionItem(incomplete, type="file")] if self.paths else []


class NamingOption(click.Option):
    """An option of type `Name`; `{names}` in its help is replaced by all names when the help is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """How --help writes the value."""
        if not (isinstance(self.type, Name) and self.help and "{names}" in self.help):
            return super().get_help_record(ctx)
        written = self.help
        self.help = written.format(names=", ".join(self.type.known(ctx, "")))
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = written


def _whole_numbers(text: str) -> tuple[int, ...]:
    """The whole numbers in a text with commas; none if any part is no whole number."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        return ()


def _value(text: str) -> float | int | str | bool:
    """A number or a truth value if it reads as one, else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
