"""The contract for an analysis: all that makes one, declared in one place.

An analysis is a frozen dataclass derived from `Analysis`. Its fields are its options, its docstring is the help of
its command, and its methods say the rest:

    measure   writes what is measured of runs to CSV files, which are their own cache
    tables    makes tables of what was measured
    figures   draws figures of it
    charts    makes of it what a reader of the report page can explore

Everything else follows (`deriving`): the command `memstudy NAME` with its options and `--json`, the analysis' keys
in a study's [report], what is said and left out, and which files are written and which of an earlier time go.
An analysis that measures nothing makes its tables and figures of metrics, or of what another one measured.

Ours are listed in `memstudy.derived.ANALYSES`; another package adds its own by an entry point in the group
`memstudy.analyses`. The declaration is imported whenever a command line is read: it imports what is heavy only
within its methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import Enum, auto
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from memstudy import options
from memstudy.derived.columns import Columns
from memstudy.errors import MemstudyError, quoted, reason
from memstudy.options import option
from memstudy.report.folders import FIGURES, SEPARATOR, TABLES, named

if TYPE_CHECKING:
    from memstudy.derived.workbench import Workbench
    from memstudy.report.chart import Chart
    from memstudy.report.saving import Drawing
    from memstudy.report.table import Table
    from memstudy.store import Store
    from memstudy.store.store import Selection


OTHERS = ("runs", "study", "runs_dir", "json", "as_json", "device", "threads", "data_dir", "help")
"""Options that every command of an analysis has, so that no option of an analysis may have these names."""


class Needs(Enum):
    """What an analysis looks at: what its command must be given, and what a study must record for it."""

    NETWORKS = auto()  # kept networks and the images they were trained on: a device and a data directory
    WEIGHTS = auto()  # the tensors of kept networks alone
    RECORDS = auto()  # records of each training sample, which a study then makes
    METRICS = auto()  # metrics.csv, or what another analysis measured


def kept_epochs(verb: str) -> Any:
    """The option `epochs`: which kept epochs an analysis looks at; the nearest are taken."""
    return option(
        f"Kept epochs to {verb} (0,12,24; the nearest are taken).", None, least=0, usual="the study's, or all"
    )


class Unusable(MemstudyError):
    """A network that cannot be analyzed, while others can be analyzed without it; its message is a clause."""


@dataclass(frozen=True)
class Watch:
    """What an analysis calls: `progress` with (done, total), `left_out` with a clause on what it skips."""

    progress: Callable[[int, int], None] = lambda done, total: None
    left_out: Callable[[str], None] = lambda clause: None


UNWATCHED = Watch()


@dataclass(frozen=True)
class Analysis:
    """Base class of analyses: derive a frozen dataclass, with `option`s for fields.

    Attributes:
        name: of the command, and in a study's [report].
        doing: what the progress bar says.
        columns: of the tables that `measure` writes, by name without ending and `suffix`; a file whose
            columns are not as declared is refused when it is read.
        source: the file that tables and figures are made of; `holds`: what is in it, in words.
        tabulates, draws: names of tables and of figures, or patterns such as `ranking_*`; without the suffixes for
            other groups of runs (`--lr-0.1`) and other options (`suffix`).
        shared: keys of options that may also be set in [report] itself, for all analyses that share them.

    """

    name: ClassVar[str]
    needs: ClassVar[Needs] = Needs.NETWORKS
    doing: ClassVar[str] = "measuring"
    source: ClassVar[str] = ""
    columns: ClassVar[Mapping[str, Columns]] = {}
    holds: ClassVar[str] = "all that was measured"
    tabulates: ClassVar[tuple[str, ...]] = ()
    draws: ClassVar[tuple[str, ...]] = ()
    shared: ClassVar[tuple[str, ...]] = ("epochs",)

    def __post_init__(self) -> None:
        options.check(self)

    @classmethod
    def problem(cls) -> str:
        """What its author must mend, a clause; nothing if it can be used."""
        if "__dataclass_params__" not in vars(cls):
            return "must be a frozen dataclass"
        try:
            declared = options.options(cls)
        except Exception as error:  # an annotation of anything
            return f"must annotate its options with their types ({reason(error)})"
        for field in fields(cls):
            if field.name not in declared or field.default is MISSING:
                return f"must declare its field {quoted(field.name)} with option(help, default)"
            if not {field.name, declared[field.name].key}.isdisjoint(OTHERS):
                return (
                    f"must name its option {quoted(field.name)} otherwise, as every command has one of that name"
                )
        return ""

    @classmethod
    def report_keys(cls) -> list[str]:
        """Its keys in a study's [report]: those that it shares, and its table's name."""
        return [*cls.shared, cls.name] if options.options(cls) else []

    @property
    def suffix(self) -> str:
        """The end of file names if the options make other numbers; empty for the default options."""
        return ""

    @classmethod
    def select(
        cls,
        store: Store,
        patterns: Sequence[str],
        study: str | None,
        reference: str,
        given: Mapping[str, Any],
    ) -> Selection:
        """The runs that a command is about. `given` are the options that the command was given, by field."""
        return store.select(patterns, study, reference)

    def measure(self, selection: Selection, bench: Workbench, watch: Watch) -> None:
        """Write what is measured, and keep what was measured before; nothing by default."""

    def tables(self, selection: Selection) -> Iterable[Table]:
        """The tables of what was measured; none by default."""
        return ()

    def figures(self, selection: Selection) -> Iterable[Drawing]:
        """The figures of what was measured, each drawn when it is asked for; none by default."""
        return ()

    def charts(self, selection: Selection) -> Iterable[Chart]:
        """What the report page shows of what was measured, beneath its tables; none by default."""
        return ()

    def summary(self, selection: Selection, tables: Sequence[Table]) -> tuple[str, dict[str, Any]]:
        """What a command prints beneath its tables, and what its --json has: by default the tables, by name."""
        return "", {table.name: table.records() for table in tables}

    def why_none(self, selection: Selection) -> str:
        """Why there is no table: a clause for a study that asks for one."""
        return f"{self.source or self.name} has nothing of these runs; 'memstudy {self.name}' makes it"

    @property
    def path(self) -> str:
        """The name of the file that tables and figures are made of."""
        stem, dot, ending = self.source.rpartition(".")
        return f"{stem}{self.suffix}{dot}{ending}"

    def owns(self, path: Path) -> bool:
        """Whether a file in `tables` or `figures` is one that these options write."""
        plain = named(path).partition(SEPARATOR)[0]
        return any(fnmatchcase(plain, pattern + self.suffix) for pattern in self._names(path))

    @classmethod
    def could_own(cls, path: Path) -> bool:
        """Whether the analysis writes such a file with some options: a name of its own, with any suffix."""
        return any(fnmatchcase(named(path), pattern + end) for pattern in cls._names(path) for end in ("", "-*"))

    @classmethod
    def _names(cls, path: Path) -> tuple[str, ...]:
        """The names that the analysis writes to a file's folder; none if files there have no such ending."""
        return cls.written_to(path.parent.name) if named(path) else ()

    @classmethod
    def written_to(cls, folder: str) -> tuple[str, ...]:
        """The names of what goes to `tables`, or to `figures`."""
        return {TABLES: cls.tabulates, FIGURES: cls.draws}.get(folder, ())


def configured(
    analysis: type[Analysis], report: Mapping[str, Any], given: Mapping[str, Any] | None = None, where: str = ""
) -> Analysis:
    """An analysis with its options: those `given`, by field, else a study's [report], else its own defaults.

    Raises a MemstudyError for a key of [report.NAME] that is none of its options, and for a value that an option
    cannot have; `where` is the file, in these sentences.
    """
    by_key = {declared.key: (name, declared) for name, declared in options.options(analysis).items()}
    in_file = f" in {where}" if where else ""
    table = options.from_table(analysis, report.get(analysis.name, {}), f"report.{analysis.name}", where)
    values: dict[str, Any] = {}
    for key in analysis.shared:
        if key in report and key in by_key:
            name, declared = by_key[key]
            values[name] = declared.checked(report[key], f"{key} in [report]{in_file}")
    values |= table
    try:
        return analysis(**(values | dict(given or {})))
    except MemstudyError as error:  # options that do not go together
        raise MemstudyError(f"[report.{analysis.name}]{in_file}: {error}" if table else str(error)) from error
