"""Text in figures: `$` is a dollar; what the usual font does not have is in another one or spelt, never a box."""

import io
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib import font_manager

from memstudy.data import artifact, dataset
from memstudy.recipe import Corruption
from memstudy.report import lettering, noise
from memstudy.report.look import Look
from memstudy.report.saving import save
from memstudy.report.table import Table

pytestmark = pytest.mark.usefixtures("every_format")

DOLLARS = ["$", "$$", "$5-$10", "a $ b", r"$\frac{x}$", r"\$", "$a_b^c$"]
CAT = "猫"
SCRIPT = "\U0001d49c"  # 𝒜, which DejaVu Sans does not have, and STIX, which comes with matplotlib, has


def drawn(figure):
    image = io.BytesIO()
    figure.savefig(image, format="png")
    plt.close(figure)
    return image.getvalue()


def with_text(text, **choices):
    """Wherever text may stand: a title, a tick, a legend, in a panel."""
    figure, axis = plt.subplots(figsize=(4, 3))
    axis.plot([0, 1], [0, 1], label=text)
    legend = axis.legend()
    axis.set_xticks([0, 1], [text, "b"], **choices)
    axis.set_title(text, **choices)
    axis.text(0.2, 0.5, text, **choices)
    figure.suptitle(text, **choices)
    for label in legend.texts:
        label.set(**choices)
    return figure


@pytest.fixture
def no_more_fonts(monkeypatch):
    """A machine that has matplotlib's usual font alone."""
    usual = [
        entry for entry in font_manager.fontManager.ttflist if entry.name.startswith(("DejaVu", "Last Resort"))
    ]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", usual)


@pytest.mark.parametrize("text", DOLLARS)
def test_a_dollar_is_drawn_as_one(text):
    """As matplotlib draws text that it is told not to parse."""
    figure = with_text(text)
    assert lettering.settle(figure) == ""
    assert drawn(figure) == drawn(with_text(text, parse_math=False))


def test_our_own_math_and_the_powers_of_log_scales_stay():
    def figure():
        own, axis = plt.subplots(figsize=(4, 3))
        axis.plot([1e-4, 1], [1e-6, 1])
        axis.set(xscale="log", yscale="log", ylabel="training loss $L_c$, nats")
        return own

    settled = figure()
    lettering.settle(settled)
    assert drawn(settled) == drawn(figure())


def test_powers_that_come_with_the_layout_are_math_too(tmp_path):
    """A caption makes a figure higher after its text was settled: its axis has other ticks then."""
    with Look(width=3.25).applied():
        figure, axes = plt.subplots(2, 2, figsize=(3.25, 1.0), layout="constrained")
        for axis in axes.flat:
            axis.set(yscale="log", ylim=(1e-2, 1e14))
        before = len(axes[0, 0].get_yticks())
        lettering.settle(figure)
        figure.set_size_inches(3.25, 9)
        figure.draw_without_rendering()
        assert len(axes[0, 0].get_yticks()) > before
        for axis in axes.flat:
            assert all(label.get_parse_math() for label in axis.get_yticklabels())
        plt.close(figure)


def test_what_seaborn_draws_while_it_builds_is_literal(tmp_path, no_more_fonts):
    """Layers of a user's own network may have any name; `$$` as math is an error, and a box a warning."""
    data = pd.DataFrame({"x": [1.0, 2.0] * 2, "y": [1.0, 2.0] * 2, "layer": ["$$"] * 2 + [CAT] * 2})
    with Look().applied():
        grid = sns.relplot(data=data, kind="line", x="x", y="y", hue="layer", col="layer", height=2)
    assert len(save(tmp_path, "layers", grid.figure, data)) == 4


@pytest.mark.filterwarnings("error")
def test_what_no_font_has_is_spelt_and_said(no_more_fonts):
    figure = with_text(f"{CAT} $5 Größe")
    note = lettering.settle(figure)
    axis = figure.axes[0]
    drawn(figure)
    assert r"\u732b and the like: characters that no installed font has" in note
    texts = [axis.get_title(), axis.get_xticklabels()[0].get_text(), axis.get_legend().texts[0].get_text()]
    assert texts == [r"\u732b $5 Größe"] * 3


@pytest.mark.filterwarnings("error")
def test_what_another_font_has_is_drawn_in_it():
    figure = with_text(f"{SCRIPT} and a")
    assert lettering.settle(figure) == ""
    assert figure.axes[0].get_title() == f"{SCRIPT} and a"
    assert len(figure.axes[0].title.get_fontfamily()) > 1
    drawn(figure)


@pytest.mark.filterwarnings("error")
def test_cjk_is_drawn_where_a_font_has_it():
    fonts, without = lettering._having(frozenset(CAT))
    if without:
        pytest.skip("no font of this machine has 猫")
    figure = with_text(CAT)
    assert lettering.settle(figure) == ""
    assert figure.axes[0].title.get_fontfamily()[-len(fonts) :] == fonts
    drawn(figure)


@pytest.mark.filterwarnings("error")
def test_the_figures_of_a_label_file_take_any_class_name(tmp_path, small, no_more_fonts):
    names = ("$", "$$", "$5-$10", "a_b^c", CAT, "ねこ", "고양이", "Größe", "→ €", r"\frac{x}")
    images = replace(small, class_names=names)
    (tmp_path / "labels.npz").write_bytes(artifact.content(dataset.corrupt(images, Corruption("symmetric", 0.6))))
    made = artifact.read(tmp_path / "labels.npz")
    matrix, samples = (
        noise.draw_matrix(made, tmp_path, "labels"),
        noise.draw_samples(made, images, tmp_path, "labels"),
    )
    assert set(pd.read_csv(matrix[-1])["true"]) == set(names)  # the data hold the names as they are
    assert set(pd.read_csv(samples[-1])["true"]) == set(names)
    drawing = matrix[0].read_text()
    for name in (
        "$",
        "$$",
        "$5-$10",
        r"\u732b",
        r"\u306d\u3053",
        r"\uace0\uc591\uc774",
        "Größe",
        "→ €",
        r"\frac{x}",
    ):
        assert f">{name}</text>" in drawing  # text is text
    assert r"\u3053 and the like: characters that no installed font has" in " ".join(drawing.split())
    assert (plt.imread(matrix[2])[-40:, :, 0] < 0.7).any()  # that line is within the picture


def test_equal_figures_have_equal_bytes_with_spelt_names_too(tmp_path, no_more_fonts):
    contents = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        paths = save(folder, "figure", with_text(f"{CAT}$"), pd.DataFrame({"x": np.arange(2)}))
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]


def test_tables_escape_a_dollar_in_both_forms():
    cells = pd.DataFrame([["$5-$10", "1.0"]], columns=["layer $", "value"])
    table = Table("t", "costs $5", ("a note of $$.",), cells, cells, ("layer $",))
    assert r"| \$5-\$10 | 1.0 |" in table.markdown()
    assert r"**costs \$5**" in table.markdown()
    assert r"a note of \$\$." in table.markdown()
    assert r"\$5-\$10 & 1.0 \\" in table.latex()
    assert r"\caption{costs \$5}" in table.latex()
