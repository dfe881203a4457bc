"""Options that were added to a regularizer after there were runs without them.

Such an option is left out of a recipe while it has its default, so that earlier recipes keep their identities.
"""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any

LATER = "later"


def later(default: Any) -> Any:
    """The dataclass field of an option that was added later."""
    return field(default=default, metadata={LATER: True})


def is_later(option: Field[Any]) -> bool:
    """Whether an option was added later."""
    return bool(option.metadata.get(LATER))


def is_recorded(option: Field[Any], regularizer: object) -> bool:
    """Whether a recipe of this regularizer has the option: always, or only if it was added later and is set."""
    return not is_later(option) or getattr(regularizer, option.name) != option.default
