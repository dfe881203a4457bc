"""Figures for print: their width, fonts, marks and captions."""

from __future__ import annotations

import re
import shutil
import subprocess

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib import colors

from memstudy import presets
from memstudy.derived.deriving import look_of, write_figures
from memstudy.derived.methods import Curves
from memstudy.report.look import Look
from memstudy.report.marks import MARKERS, marks
from memstudy.report.panels import label_axes, legend, lines, panels
from memstudy.report.saving import Drawing
from tests.kit.runs import select, write_run
from tests.kit.sentences import refused

LABELS = ["bare", "do", "bn+al2", "a method of a very long name (weight 0.0001, eta 1.4)"]


def drawing(titles=("40 % symmetric", "80 % symmetric"), caption=""):
    """Four methods in panels, drawn with the look of the moment."""
    rows = [
        {"run": f"{label}{seed}", "panel": title, "label": label, "epoch": epoch, "accuracy": seed - epoch / place}
        for title in titles
        for place, label in enumerate(LABELS, start=1)
        for seed in range(3)
        for epoch in range(30)
    ]  # fmt: skip
    data = pd.DataFrame(rows)
    figure, axes = panels(titles)
    for title, axis in axes.items():
        lines(axis, data[data["panel"] == title], "epoch", "accuracy", marks(LABELS))
    label_axes(figure, axes, "epoch", "test accuracy, %")
    legend(figure, marks(LABELS), columns=2)
    return Drawing("one", figure, data, caption)


@pytest.mark.parametrize("width", [3.25, 5.5, 6.75])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_nothing_lies_outside_a_figure_of_the_width_asked_for(tmp_path, width, count):
    with Look(width=width).applied():
        drawn = drawing([f"panel {number}" for number in range(count)], "What is shown. " * 12)
        drawn.write(tmp_path)
    bounds = drawn.figure.get_tightbbox()
    assert drawn.figure.get_figwidth() == width
    assert bounds.x0 >= -0.01
    assert bounds.x1 <= width + 0.01
    assert bounds.y0 >= -0.01
    assert bounds.y1 <= drawn.figure.get_figheight() + 0.01


@pytest.mark.parametrize(("style", "scale"), [("paper", 1.0), ("talk", 1.6), ("poster", 2.6)])
def test_text_is_of_print_size(style, scale):
    with Look(style=style).applied():
        drawn = drawing()
        axis = drawn.figure.axes[0]
        sizes = [text.get_fontsize() / scale for text in (axis.title, axis.xaxis.label, *axis.get_xticklabels())]
        assert all(6.99 <= size <= 9.01 for size in sizes)
        assert drawn.figure.get_figwidth() == pytest.approx(6.75 * scale)
    plt.close(drawn.figure)


@pytest.mark.usefixtures("every_format")
def test_fonts_are_truetype_and_text_in_svg_is_text(tmp_path):
    with Look().applied():
        drawing(caption="Größe: L_c of $5").write(tmp_path)
    pdf = (tmp_path / "one.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/CIDFontType2" in pdf
    svg = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert ">test accuracy, %<" in svg
    if shutil.which("pdffonts"):
        listed = subprocess.run(["pdffonts", tmp_path / "one.pdf"], capture_output=True, text=True, check=True)
        assert "Type 3" not in listed.stdout
        assert "TrueType" in listed.stdout


def test_a_caption_is_in_the_figure_or_beside_it(tmp_path):
    for where in ("figure", "file"):
        look = Look(caption=where)
        with look.applied():
            drawn = drawing(caption="Lines are means over n = 3 seeds; 50 % & more.")
            written = drawn.write(tmp_path / where, look, "memstudy figures --study quick")
        beneath = " ".join(text.get_text() for text in drawn.figure.texts)
        assert ("n = 3 seeds" in beneath) == (where == "figure")
        assert len(written) == (4 if where == "figure" else 6)
        assert all(path.is_file() for path in written)
    text = (tmp_path / "file" / "one.caption.txt").read_text()
    assert "n = 3 seeds" in text
    assert "Made by 'memstudy figures --study quick'; its data are in one.csv." in text
    assert r"50 \% \& more" in (tmp_path / "file" / "one.caption.tex").read_text()


def test_captions_go_when_they_are_no_longer_beside_the_figure(tmp_path):
    selection = select([write_run(tmp_path, presets.build(epochs=2), [{}, {}])])
    write_figures(Curves(), selection, look=Look(caption="file"))
    folder = selection.path / "figures"
    assert (folder / "accuracy.caption.tex").is_file()
    write_figures(Curves(), selection)
    assert not list(folder.glob("*.caption.*"))


def test_no_two_methods_have_the_same_mark_and_bare_is_gray():
    made = marks(["al2", "bare", *(f"method {number}" for number in range(40))])
    assert len({(mark.color, str(mark.line), mark.marker) for mark in made.values()}) == len(made)
    red, green, blue = colors.to_rgb(made["bare"].color)
    assert red == green == blue
    assert {mark.marker for mark in made.values()} == set(MARKERS)


def test_neighbors_differ_without_color():
    """In grayscale lines are told apart by lightness or by their dashes."""
    made = list(marks(["bare", *(f"method {number}" for number in range(7))]).values())
    lightness = [float(0.2126 * r + 0.7152 * g + 0.0722 * b) for r, g, b in (colors.to_rgb(m.color) for m in made)]
    for place in range(len(made)):
        for other in range(place):
            alike = abs(lightness[place] - lightness[other]) < 0.05
            assert not (
                alike and made[place].line == made[other].line and made[place].marker == made[other].marker
            )


def test_a_study_s_report_chooses_the_look(tmp_path):
    selection = select([write_run(tmp_path, presets.build(epochs=2), [{}, {}])])
    selection.path.mkdir(parents=True)
    (selection.path / "study.json").write_text(
        '{"updated": 0, "runs": [], "report": {"figures": {"width": 3.25, "caption": "file"}}}'
    )
    assert look_of(selection) == Look(width=3.25, caption="file")
    assert look_of(selection, {"width": 5.5}) == Look(width=5.5, caption="file")
    (selection.path / "study.json").write_text('{"updated": 0, "runs": [], "report": {"figures": {"widht": 3}}}')
    assert "width" in refused(lambda: look_of(selection), "widht", "report.figures")


def test_a_look_that_cannot_be_is_refused():
    refused(lambda: Look(style="papre"), "style", "paper")
    refused(lambda: Look(width=0.5), "width")


def test_seaborn_s_own_figures_are_written_whole(tmp_path):
    """An analysis of others may lay figures out in its own way: they are cut to what they have."""
    figure, axis = plt.subplots()
    axis.set_title("a title that is wider than the figure " * 4)
    Drawing("wide", figure, pd.DataFrame({"x": [1]}), "A caption.").write(tmp_path)
    assert re.search(rb"PNG", (tmp_path / "wide.png").read_bytes()[:8])
