"""Options that a method has gained after recipes without them were carried out.

At its default such an option is left out of a recipe, so that the identity of those recipes stays what it was.
"""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any

LATER = "later"


def later(default: Any) -> Any:
    """The dataclass field of such an option."""
    return field(default=default, metadata={LATER: True})


def is_later(option: Field[Any]) -> bool:
    """Whether an option came later."""
    return bool(option.metadata.get(LATER))


def recorded(option: Field[Any], method: object) -> bool:
    """Whether a recipe records this option of a method."""
    return not is_later(option) or getattr(method, option.name) != option.default
