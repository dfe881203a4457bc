"""What is derived from runs: analyses, a folder each, and what they share."""

from contextlib import suppress

from memstudy.derived.analysis import Analysis
from memstudy.errors import MemstudyError, quoted
from memstudy.registry import Registry

ANALYSES = Registry(
    "analysis",
    "analyses",
    svcca="memstudy.derived.similarity:Similarity",
    ablate="memstudy.derived.ablation:Ablation",
    probe="memstudy.derived.probe:Probe",
    filters="memstudy.derived.filters:Filters",
    landscape="memstudy.derived.landscape:Landscape",
    dynamics="memstudy.derived.dynamics:Dynamics",
)
"""Our analyses by the names of their commands, in the order of --help."""
USUAL_ANALYSES = ("svcca", "ablate")
"""The analyses of a study that names none."""


def analysis(name: str, registry: Registry = ANALYSES) -> type[Analysis]:
    """The registered analysis of a name; a MemstudyError if there is none, or if it is no analysis."""
    registered = registry.get(name)
    if not (isinstance(registered, type) and issubclass(registered, Analysis)):
        raise MemstudyError(
            f"{registry.kind} {quoted(name)} must be a dataclass derived from memstudy.derived.analysis.Analysis, "
            f"not {getattr(registered, '__name__', type(registered).__name__)}."
        )
    if getattr(registered, "name", None) != name:
        raise MemstudyError(
            f"{registry.kind} {quoted(name)} must have this name, not {quoted(getattr(registered, 'name', None))}."
        )
    if problem := registered.problem():
        raise MemstudyError(f"{registry.kind} {quoted(name)} {problem}; its author must mend that.")
    return registered


def loadable(registry: Registry = ANALYSES) -> dict[str, type[Analysis]]:
    """All registered analyses that can be loaded, by name. `analysis` says why one of the others cannot be."""
    loaded = {}
    for name in registry.names():
        with suppress(MemstudyError):
            loaded[name] = analysis(name, registry)
    return loaded
