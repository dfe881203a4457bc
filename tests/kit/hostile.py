"""Texts that a stranger's file can bring, made to become more than text where they are shown."""

from __future__ import annotations

MARKUP = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</title></style><!-- <img src=x onerror=alert(1)>",
    "<!--",
    "]]>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "javascript:alert(1)",
    "&lt;b&gt; &#60;b&#62; &amp;",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
]
LATEX = [
    r"\input{/etc/passwd}",
    r"\write18{touch x}",
    r"\immediate\write18{id}%",
    r"\end{tabular}\end{table} & \\ \hline",
    "^^5cinput{x}",
    r"} \catcode`\%=0 %input{x} {",
    "100 % # & _ ~ ^ { } $x$ \\",
]
MARKDOWN = [
    "a | b || c",
    "[text](javascript:alert(1))",
    "![image](https://example.org/x.png)",
    "[text][1]",
    "[1]: https://example.org",
    "https://example.org www.example.org a@example.org <https://example.org>",
    "`code` ``code`` ```",
    "**bold** *slanted* __bold__ _slanted_ ~~gone~~",
    "# heading",
    "> quotation",
    "- list",
    "1. list",
    "---",
    "$x^2$ $$y$$",
    "one\n\n| two | three |\r\nfour",
    "\\| \\` \\",
]
FORMULAS = ["=cmd|' /C calc'!A0", "+1+cmd()", "-1+cmd()", "@SUM(A1:A9)", "\t=1", "\r=1", '=HYPERLINK("x")', "'=x"]
TERMINAL = ["\x1b[2J\x1b]0;title\x07", "\x9b31m", "a\x08\x08b", "\u202etxt.exe", "\u2066x", "\x7f"]
"""No NUL: no name of a file, set or class has one, and a table that holds one is refused."""
EVERY = [*MARKUP, *LATEX, *MARKDOWN, *FORMULAS, *TERMINAL]
