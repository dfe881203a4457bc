"""Data within a page's scripts, and the policy that keeps a browser from loading or running anything else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

ESCAPED = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
"""What HTML or JavaScript could read as the end of a script; JSON has another spelling for each."""


def json_text(value: Any) -> str:
    """JSON for a `<script>` element: no text in it can end the element, or begin another.

    A ValueError for a number that is not finite: JSON has none.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(ESCAPED)


def policy(scripts: Iterable[str], styles: Iterable[str], served: bool = False) -> str:
    """A Content-Security-Policy: nothing is loaded, and no script or style is taken but these.

    served: whether scripts may ask the page's own server; else they can ask nobody.

    Vega sets attributes `style` of its elements, which are allowed. It evaluates no text: `script.js` has it
    interpret expressions, so that `unsafe-eval` need not be allowed.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_digest, scripts))}",
            f"style-src-elem {' '.join(map(_digest, styles))}",
            "style-src-attr 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            *["connect-src 'self'"] * served,
        ]
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
