"""Tables on a terminal: never wider than it is, never a line broken, plain text where there is none."""

from __future__ import annotations

import io
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from memstudy.cli import main
from memstudy.cli.progress import Voice
from memstudy.report import layout, terminal
from memstudy.report.layout import Column
from memstudy.report.table import Table
from memstudy.store import Store
from tests.kit.sentences import Sentences
from tests.results import RESULTS, STORE
from tests.test_latex import AWKWARD, WIDE, awkward
from tests.test_table import GROUPED, PLAIN, VALUES


def test_a_table_by_hand():
    assert terminal.text(terminal.shown(GROUPED, 80), 80).splitlines() == [
        "Two levels",
        "",
        "                      L_c        n",
        "baseline  epoch  without  with  all",
        "───────────────────────────────────",
        "Bare          0      1.0   2.0    3",
        "              4      1.1   2.1    3",
        "DO            4      1.2     –    2",
    ]


@pytest.mark.parametrize("wide", [20, 40, 80, 200])
@pytest.mark.parametrize("table", [PLAIN, GROUPED, WIDE, awkward(9, upper=True)], ids=lambda table: table.name)
def test_no_line_is_wider_than_the_terminal_and_no_cell_is_lost(table, wide):
    text = terminal.text(terminal.shown(table, wide), wide)
    assert max(map(cell_len, text.splitlines())) <= wide
    if wide > 40:
        numbers = {cell for row in table.rows for cell in row if cell[:1].isdigit()}
        assert all(number in text for number in numbers)


def test_what_does_not_fit_goes_below_with_keys_repeated():
    text = terminal.text(terminal.shown(WIDE, 60), 60)
    blocks = re.findall("─{3,}", text)
    assert len(blocks) > 2
    assert text.count("dropout 0.5") == len(blocks)
    assert "mnist" in text.splitlines()[-1]  # equal in all rows, and so said once
    assert terminal.text(terminal.shown(WIDE, 300), 300).count("───") > 0
    assert len(re.findall("─{3,}", terminal.text(terminal.shown(WIDE, 300), 300))) == 1


def test_briefly_it_has_last_epochs_some_rows_and_one_note():
    many = pd.DataFrame([[f"m{row}", str(epoch), "1.0"] for row in range(20) for epoch in (3, 8)],
                        columns=["method", "epoch", "x"])  # fmt: skip
    table = Table("t", "T", ("First.", "Second."), many, VALUES, words=("method",))
    lines = terminal.text(terminal.brief(table, 80), 80).splitlines()
    assert [line.split() for line in lines[4:16]] == [[f"m{row}", "8", "1.0"] for row in range(12)]
    assert lines[-2:] == ["First.", "28 of 40 rows are not shown here."]


def written(table, monkeypatch, terminal=True, **environment):
    """What a voice writes, to a terminal of 60 columns or to a file."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    voice, file = Voice(), io.StringIO()
    voice.console = Console(
        file=file, force_terminal=terminal, width=60, highlight=False, soft_wrap=True, emoji=False
    )
    voice.show(table)
    return file.getvalue()


def test_a_pipe_gets_plain_text_and_a_terminal_bold_headings(monkeypatch):
    table = replace(PLAIN, notes=("[bold]no markup[/bold] :cat:",))
    assert "\x1b[1m" in written(table, monkeypatch)
    text = written(table, monkeypatch, terminal=False)
    assert "\x1b" not in text
    assert "[bold]no markup[/bold] :cat:" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_no_color_is_honored(monkeypatch):
    colored = re.compile(r"\x1b\[(?:3[0-7]|9[0-7]|38|4[0-7])")
    assert not colored.search(written(PLAIN, monkeypatch, NO_COLOR="1"))


def test_a_data_frame_is_laid_out_for_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    rows = pd.DataFrame(
        {"run": ["a", "b"], "n": [1, 2]} | {f"share {at}": [0.123, float("nan")] for at in range(9)}
    )
    text = terminal.plain(rows, 2)
    assert max(map(len, text.splitlines())) <= 40
    assert text.count("0.12") == 9
    assert text.count("run") > 1


def test_the_command_prints_each_format(tmp_path, capsys):
    """Of stored runs; what is printed as LaTeX is what is written."""
    store = tmp_path / "runs"
    for run in Store(RESULTS / STORE).select((), "al2_epoch100").runs[:2]:
        shutil.copytree(run.path, store / run.name)

    def printed(*options):
        main(["table", "mnist-*", "--runs-dir", str(store), *options], standalone_mode=False)
        return capsys.readouterr().out

    assert "| ---: |" in printed()
    assert "<caption>" in printed("--format", "html")
    assert "──────" in printed("--format", "terminal")
    assert "epoch,metric," in printed("--format", "csv")
    text = printed("--format", "latex", "--width", "3.25", "--fit", "resize", "--siunitx", "--no-stars")
    assert all(part in text for part in ("shrunk to", "S[table-format=2.", "3.25 in"))
    written = list(store.rglob("*.tex"))
    assert len(written) >= 2
    assert all(path.read_text() in text for path in written)


def test_a_voice_shows_what_it_says():
    voice = Sentences()
    voice.show(GROUPED)
    assert "Bare          0      1.0   2.0    3" in voice.text


# The layout that LaTeX has, too

widths = st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(1, 40)), min_size=1, max_size=12)


@given(widths, st.integers(0, 3), st.integers(30, 120))
def test_blocks_have_every_column_once_and_keys_always(columns, keys, room):
    keys = min(keys, len(columns))
    needs = [Column(upper, float(wide), min(5.0, wide)) for upper, wide in columns]
    blocks = layout.blocks(needs, keys, room, 2.0)
    assert all(block.places[:keys] == tuple(range(keys)) for block in blocks)
    assert [place for block in blocks for place in block.places[keys:]] == list(range(keys, len(columns)))
    for block in blocks:
        wide = sum(block.widths) + 2 * (len(block.widths) - 1)
        alone = len(block.places) == keys + 1
        assert wide <= room + 1e-6 or alone or not block.places[keys:]
    assert all(
        wide >= need.least for block in blocks for wide, need in zip(block.widths[:keys], needs, strict=False)
    )


def test_columns_of_one_heading_stay_together():
    needs = [Column("", 10, 10)] + [Column(upper, 10, 10) for upper in "aabbcc"]
    blocks = layout.blocks(needs, 1, 58, 2)
    assert [block.places for block in blocks] == [(0, 1, 2, 3, 4), (0, 5, 6)]
    assert len(layout.blocks(needs, 1, 20, 2)) == 6  # where a heading's columns do not fit together


def test_awkward_names_are_printed_as_they_are():
    text = terminal.text(terminal.shown(awkward(2, upper=False), 200), 200)
    assert all(name in text for name in AWKWARD)
