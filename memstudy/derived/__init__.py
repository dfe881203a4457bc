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
"""By the names of their commands, in the order of --help."""
USUAL = ("svcca", "ablate")
"""What a study makes that does not say."""


def analysis(name: str, registry: Registry = ANALYSES) -> type[Analysis]:
    """A registered analysis; a MemstudyError if there is none of the name, or what is registered is none."""
    found = registry.get(name)
    if not (isinstance(found, type) and issubclass(found, Analysis)):
        raise MemstudyError(
            f"{registry.kind} {quoted(name)} must be a dataclass derived from memstudy.derived.analysis.Analysis, "
            f"not {getattr(found, '__name__', type(found).__name__)}."
        )
    if getattr(found, "name", None) != name:
        raise MemstudyError(
            f"{registry.kind} {quoted(name)} must have this name, not {quoted(getattr(found, 'name', None))}."
        )
    if problem := found.problem():
        raise MemstudyError(f"{registry.kind} {quoted(name)} {problem}; its author must mend that.")
    return found


def loadable(registry: Registry = ANALYSES) -> dict[str, type[Analysis]]:
    """All that can be loaded, by name; of one that cannot be, who asks for it is told why."""
    found = {}
    for name in registry.names():
        with suppress(MemstudyError):
            found[name] = analysis(name, registry)
    return found
