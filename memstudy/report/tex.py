r"""Any text in LaTeX: escaped, its symbols as math, and how wide it is.

pdfLaTeX prints the letters of Western languages, and Greek ones as math. A character that it has no glyph for is
written as its code point (`\u732b`), as in figures; XeLaTeX and LuaLaTeX would have it with a font that does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
    "upsilon phi chi psi omega"
)
MATH = {
    "±": r"\pm", "×": r"\times", "·": r"\cdot", "²": "^2", "³": "^3", "√": r"\surd", "≤": r"\le", "≥": r"\ge",
    "≠": r"\ne", "≈": r"\approx", "−": "-", "→": r"\to", "←": r"\leftarrow", "∞": r"\infty", "‖": r"\Vert",
    "∈": r"\in", "°": r"^{\circ}", "½": r"\frac12", "µ": r"\mu", "¬": r"\lnot", "÷": r"\div", "¹": "^1",
    **{chr(0x3B1 + place): rf"\{name}" for place, name in enumerate(_GREEK.split()) if name != "omicron"},
    **{letter: rf"\{name}" for letter, name in zip("ΓΔΘΛΞΠΣΦΨΩ", (
        "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"), strict=True)},
}  # fmt: skip
PLAIN = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}",
    "`": r"\textasciigrave{}", "\N{SOFT HYPHEN}": r"\-", "–": "--", "—": "---", "\N{NO-BREAK SPACE}": "~",
    "\N{NARROW NO-BREAK SPACE}": r"\,", "\N{ZERO WIDTH SPACE}": r"\allowbreak{}",
    **{character: f"\\{character}" for character in "%&#_${}"},
}  # fmt: skip
"""Characters and what LaTeX has for them, in math and outside of it."""
SYMBOLS = rf"\bL_[cr]\b|\|w\||[<>{''.join(MATH)}]"
BREAK = "\N{ZERO WIDTH SPACE}"
"""Where a line may be broken."""
LONG = 14
"""Letters of the longest word that is not broken."""
_T1 = "«»ÐÞðþĄąĐđĘęĮįŊŋŲų‚„‹›"
"""What needs the font encoding T1; _NONE: what has no glyph in that, either."""
_NONE = "ĦħĸĿŀŉŦŧſ"
_SIZE = 8.0
"""Of text in tables, in TeX's points."""
# fmt: off
_WIDTHS = (
    354, 295, 531, 885, 531, 885, 826, 295, 413, 413, 531, 826, 295, 354, 295, 531,  # the space to /
    531, 531, 531, 531, 531, 531, 531, 531, 531, 531, 295, 295, 826, 826, 826, 502,  # 0 to ?
    826, 796, 752, 767, 811, 723, 693, 834, 796, 383, 545, 825, 664, 973, 796, 826,  # @ to O
    723, 826, 782, 590, 767, 796, 796, 1091, 796, 796, 649, 295, 531, 295, 531, 383,  # P to _
    531, 531, 590, 472, 590, 472, 325, 531, 590, 295, 325, 561, 295, 885, 590, 531,  # ` to o
    590, 561, 414, 419, 413, 590, 561, 767, 561, 561, 472, 531, 531, 531, 531,  # p to ~
)
# fmt: on
"""Widths of Computer Modern's characters at 8 pt (cmr8, from the space on), in thousandths of 8 pt.

Times, in which many publishers set, is narrower.
"""
_OTHER = 850
_BOLD = 1.18
"""How much wider bold text is (cmbx8: at most 1.16 in digits)."""


def tex(text: str) -> str:
    """Escape what LaTeX would read as commands, or cannot print; symbols become math."""
    text = re.sub(r"\s", " ", unicodedata.normalize("NFC", text))
    text = re.sub(r"-(?=-)", "-\N{WORD JOINER}", text)  # else it is a dash
    found = re.sub(rf"(?:{SYMBOLS})+|[{re.escape(''.join(PLAIN))}]|[^ -~]", lambda match: _tex(match[0]), text)
    return re.sub(r"(?<=[!?])\\textasciigrave", r"{}\\textasciigrave", found)


def _tex(text: str) -> str:
    """LaTeX for one character, or for symbols in a row."""
    if text in PLAIN:
        return PLAIN[text]
    if text == "\N{WORD JOINER}":
        return "{}"
    symbols = [MATH.get(symbol, symbol) for symbol in re.findall(SYMBOLS, text)]
    return f"${' '.join(symbols)}$" if symbols else text if _printed(text) else rf"\textbackslash{{}}{_code(text)}"


def _printed(character: str) -> bool:
    """Whether pdfLaTeX has a glyph for it, in the font encoding T1 at least."""
    return ("¡" <= character <= "ſ" or character in "‘’“”…†‡•‰€™‚„‹›") and character not in _NONE


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode().removeprefix("\\")


def unprinted(texts: Iterable[str]) -> str:
    """The characters that are written as code points."""
    others = {c for c in unicodedata.normalize("NFC", "".join(texts)) if not " " <= c <= "~" and not c.isspace()}
    return "".join(sorted(c for c in others if _tex(c).startswith(r"\textbackslash")))


def needs_t1(texts: Iterable[str]) -> bool:
    r"""Whether they need `\usepackage[T1]{fontenc}`."""
    return not set(_T1).isdisjoint(unicodedata.normalize("NFC", "".join(texts)))


def breakable(text: str) -> str:
    """The same with BREAK in long words, as names of runs are: after punctuation, else anywhere."""
    return re.sub(rf"\S{{{LONG + 1},}}", lambda match: _broken(match[0]), text)


def _broken(word: str) -> str:
    pieces = re.findall(r"[^-_./+=:,;@\\]*[-_./+=:,;@\\]+|[^-_./+=:,;@\\]+", word)
    return BREAK.join(piece[start : start + LONG] for piece in pieces for start in range(0, len(piece), LONG))


def pieces(text: str) -> list[str]:
    """What cannot be broken in a text that is `breakable`."""
    return [piece for piece in re.split(rf"[ {BREAK}]", text) if piece]


def width(text: str, bold: bool = False) -> float:
    """How wide a text is at 8 pt, in TeX's points; rather too much than too little."""
    marks = unicodedata.normalize("NFC", text).replace(BREAK, "")
    return sum(map(_character, marks)) * _SIZE / 1000 * (_BOLD if bold else 1)


def _character(mark: str) -> float:
    if " " <= mark <= "~":
        return _WIDTHS[ord(mark) - 32]
    return _OTHER * (1 if mark in MATH or _printed(mark) or mark in PLAIN else len(_code(mark)))
