"""From recipes to runs: carry out one, or a whole study, and derive its tables and figures.

`memstudy.study("quick", store="runs")` carries out a study from Python: see `memstudy.api.studies.study`. Python
finds this package under that name, too, so it can be called, and hands the call on.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    """A package that is also a verb of `import memstudy`."""

    def __call__(self, *words: Any, **options: Any) -> Any:
        return import_module("memstudy.api.studies").study(*words, **options)


sys.modules[__name__].__class__ = _Verb
