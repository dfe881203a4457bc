"""The charts of the report page: of every analysis that draws figures, and of the same numbers as these.

On the runs of committed studies, and for what was committed of none, on numbers written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import vl_convert

from memstudy.analysis.dynamics import SCORES
from memstudy.analysis.filters import BINS_PER_DECADE
from memstudy.derived import ANALYSES, analysis
from memstudy.derived.analysis import UNWATCHED
from memstudy.derived.dynamics.measure import measure
from memstudy.papers import TABLES
from memstudy.report import frames
from memstudy.report.bands import bands
from memstudy.report.frames import comparable_runs, methods_of
from memstudy.report.marks import marks
from memstudy.report.methods import method_labels
from memstudy.store import Store
from memstudy.store.store import Selection
from tests import results
from tests.kit.stores import copy_of

STUDIES = {
    "ablate": "quick",
    "svcca": "quick",
    "landscape": "pilcro_lite",
    "filters": "loco_reg_lite",
    "ranking": "noise_grid_lite",
}
"""A committed study with what each analysis measured."""
MOST = 1_500_000
"""Bytes of all charts of the quick study: a page has 5 MB, of which the runtime has one."""


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return results.copied(tmp_path_factory.mktemp("charts"))


class Drawn:
    """What an analysis draws of a study: its charts, and its figures' data."""

    def __init__(self, name: str, selection: Selection) -> None:
        one = analysis(name, ANALYSES if name in ANALYSES.names() else TABLES)()
        self.selection = selection
        self.charts = {chart.name: chart for chart in one.charts(selection)}
        self.figures = {}
        for drawing in one.figures(selection):
            plt.close(drawing.figure)
            self.figures[drawing.name] = drawing.data

    def data(self, name: str) -> list[pd.DataFrame]:
        """The tables of a chart, as its page reads them."""
        return tables(self.charts[name].spec())


def tables(spec: dict[str, Any]) -> list[pd.DataFrame]:
    return [pd.DataFrame(rows) for rows in spec["datasets"].values()]


def same(ours: pd.DataFrame, theirs: pd.DataFrame, keys: list[str], values: list[str]) -> None:
    """Whether two tables have the same rows, to the rounding of a chart's data."""
    one, other = (table.drop_duplicates([*keys]).set_index(keys)[values].sort_index() for table in (ours, theirs))
    assert len(one) == len(other) > 0
    assert one.index.equals(other.index)
    np.testing.assert_allclose(one.to_numpy(float), other.to_numpy(float), rtol=6e-5, atol=1e-9)


class All(dict[str, Drawn]):
    """What each analysis draws, when it is asked for."""

    def __init__(self, store: Path) -> None:
        super().__init__()
        self.store = store

    def __missing__(self, name: str) -> Drawn:
        self[name] = Drawn(name, Store(self.store).select((), STUDIES[name]))
        return self[name]


@pytest.fixture(scope="module")
def drawn(store) -> All:
    return All(store)


@pytest.mark.parametrize("name", STUDIES)
def test_every_chart_is_one_that_vega_lite_draws_without_a_warning(drawn, name, capfd):
    assert drawn[name].charts
    for chart in drawn[name].charts.values():
        assert re.fullmatch(r"[\w.+-]+", chart.name)
        spec = chart.spec()
        assert spec["description"].startswith(f"{chart.title}. ")
        assert chart.caption.endswith(".")
        assert vl_convert.vegalite_to_vega(spec, show_warnings=True)["marks"]
    assert "WARN" not in "".join(capfd.readouterr())


def test_a_warning_would_be_seen(capfd):
    row = {
        "data": {"values": [{"a": 1}]},
        "mark": "bar",
        "encoding": {"row": {"field": "a", "type": "quantitative"}},
    }
    vl_convert.vegalite_to_vega(row, show_warnings=True)
    assert "WARN" in "".join(capfd.readouterr())


def test_names_of_charts_are_unique(drawn):
    names = [name for each in map(drawn.__getitem__, STUDIES) for name in each.charts]
    assert len(names) == len(set(names))


def test_charts_of_the_quick_study_leave_room_on_a_page(drawn):
    charts = [chart for name in STUDIES if STUDIES[name] == "quick" for chart in drawn[name].charts.values()]
    assert sum(len(json.dumps(chart.spec())) for chart in charts) < MOST


def test_a_method_has_one_color_in_all_charts_which_is_that_of_figures(drawn):
    for each in map(drawn.__getitem__, STUDIES):
        colors = {name: mark.color for name, mark in marks(methods_of(comparable_runs(each.selection))).items()}
        for chart in each.charts.values():
            for scale in scales_of(chart.spec(), "method"):
                assert dict(zip(scale["domain"], scale["range"], strict=True)).items() <= colors.items()


def scales_of(part: Any, field: str) -> Iterator[dict[str, Any]]:
    """The scales of the colors of a field, anywhere in a chart."""
    if isinstance(part, dict):
        if isinstance(color := part.get("color"), dict) and color.get("field") == field:
            yield color["scale"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from scales_of(each, field)


def test_ablation_curves_are_the_figures(drawn):
    means, runs = drawn["ablate"].data("ablate")
    if "seed" in means:
        means, runs = runs, means
    figure = drawn["ablate"].figures["ablation"].assign(
        accuracy=lambda table: 100 * table["accuracy"], fraction=lambda table: (100 * table["fraction"]).round(9),
        protocol=lambda table: table["protocol"].map({"bernoulli": "Bernoulli masks", "units": "fixed orders"}),
    )  # fmt: skip
    same(runs, figure, ["protocol", "method", "seed", "fraction"], ["accuracy"])
    keys = ["protocol", "method", "fraction"]
    expected = bands(figure, keys, "accuracy").rename(columns={"mean": "accuracy"}).reset_index()
    same(means, expected, keys, ["accuracy", "low", "high", "n"])
    assert set(means["n"]) == {2}


def test_sequences_of_coefficients_are_the_figures(drawn):
    for name in ("cca_between", "cca_past"):
        (rows, noise) = sorted(drawn["svcca"].data(name), key=len, reverse=True)
        word = "pair" if name == "cca_between" else "method"
        figure = drawn["svcca"].figures[name].rename(columns={"panel": word})
        same(rows, figure, [word, "epoch", "index"], ["coefficient"])
        assert noise["coefficient"].between(0, 0.2).all()


def test_a_pair_of_twins_has_the_color_of_its_second_method(drawn):
    spec = drawn["svcca"].charts["cca_between"].spec()
    colors = {
        name: mark.color for name, mark in marks(methods_of(comparable_runs(drawn["svcca"].selection))).items()
    }
    (scale, *_) = scales_of(spec, "pair")
    assert {pair.partition(" ~ ")[2]: of for pair, of in zip(scale["domain"], scale["range"], strict=True)} == {
        name: of for name, of in colors.items() if "al2" in name
    }


def test_the_slider_goes_over_kept_epochs_alone(drawn):
    params = {each["name"]: each for each in drawn["svcca"].charts["cca_past"].spec()["params"]}
    epochs = sorted(set(drawn["svcca"].figures["cca_past"]["epoch"]))
    assert epochs == [0, 3, 5, 8, 11, 13, 16, 19, 21]
    bound = params["epoch_place"]["bind"]
    assert (bound["input"], bound["min"], bound["max"], bound["step"]) == ("range", 1, len(epochs), 1)
    assert params["epoch_place"]["value"] == len(epochs)
    assert params["epoch_shown"]["expr"] == "[0, 3, 5, 8, 11, 13, 16, 19, 21][epoch_place - 1]"


def test_heat_maps_are_the_figures(drawn):
    figure = drawn["svcca"].figures["similarity_epochs"].rename(columns={"epoch_a": "row", "epoch_b": "column"})
    (cells,) = drawn["svcca"].data("similarity_epochs")
    same(cells[cells["row"] < cells["column"]], figure, ["label", "row", "column"], ["svcca"])
    mirrored = cells.rename(columns={"row": "column", "column": "row"})
    same(cells, mirrored, ["label", "row", "column"], ["svcca"])
    figure = drawn["svcca"].figures["similarity_runs"].rename(columns={"a": "row", "b": "column"})
    for words in ("same seed", "other seed"):
        (cells,) = drawn["svcca"].data(f"similarity_runs-{words.replace(' ', '-')}")
        here = figure[figure["began"] == words]
        pairs = set(zip(here["row"], here["column"], strict=True))
        there = [pair in pairs for pair in zip(cells["row"], cells["column"], strict=True)]
        one_way = cells[there].dropna()
        assert len(one_way) >= 28
        means = pd.concat([here, here.rename(columns={"row": "column", "column": "row"})])
        expected = means.groupby(["row", "column"]).apply(lambda t: np.average(t["svcca"], weights=t["n"]))
        found = cells.dropna().set_index(["row", "column"])["svcca"]
        np.testing.assert_allclose(found, expected.reindex(found.index), rtol=6e-5)


def test_the_way_to_the_last_epoch_is_the_figures(drawn):
    read = {tuple(table.columns): table for table in drawn["svcca"].data("convergence")}
    runs = next(table for table in read.values() if "seed" in table)
    figure = drawn["svcca"].figures["convergence"]
    same(runs, figure, ["method", "seed", "epoch"], ["svcca"])
    levels = next(table for table in read.values() if "what" in table)
    assert set(levels["svcca"]) == {
        float(f"{figure[c].iloc[0]:.5g}") for c in ("two_seeds_last_epoch", "uniform_random")
    }


def wide(chart: Drawn, name: str, second: int = 0) -> pd.DataFrame:
    """An image's numbers, one row a pixel and combination of options. second: how many there are on a slider."""
    spec = chart.charts[name].spec()
    (table,) = tables(spec)
    options = [each["bind"]["labels"] for each in spec["params"] if each.get("bind", {}).get("input") == "select"]
    options += [list(range(second))] * bool(second)
    columns = [f"v{place}" for place in range(len(options[0]) * len(options[1]))]
    assert [column for column in table if str(column).startswith("v")] == columns
    long = table.melt(["row", "column"], columns, "place", "value")
    place = long["place"].str[1:].astype(int)
    first = place // len(options[1])
    return long.assign(
        label=[options[0][at] for at in first], panel=[options[1][at] for at in place % len(options[1])]
    )


def test_landscapes_are_the_figures(drawn):
    each = drawn["landscape"]
    figure = each.figures["landscape"].rename(columns={"importance": "value"})
    same(wide(each, "landscape").dropna(), figure, ["label", "panel", "row", "column"], ["value"])
    spec = each.charts["landscape"].spec()
    (calculated,) = (part["calculate"] for part in spec["transform"] if "calculate" in part)
    assert calculated == "datum['v' + (((0) * 8 + label_shown) * 3 + panel_shown)]"
    figure = each.figures["landscape_flatness"]
    figure = figure[figure["kind"] == "measured"].rename(columns={"label": "method"})
    for name in ("cv", "max_over_min"):
        runs = next(table for table in each.data(f"landscape_{name}") if "seed" in table)
        expected = figure.assign(epochs=figure["epoch"] + 1, y=figure[name])
        same(runs, expected, ["method", "seed", "epochs"], ["y"])
        means = next(table for table in each.data(f"landscape_{name}") if "low" in table)
        of_figure = bands(expected, ["method", "epochs"], "y", log=name == "max_over_min").reset_index()
        same(means, of_figure.rename(columns={"mean": "y"}), ["method", "epochs"], ["y", "low", "high", "n"])
    figure = each.figures["landscape_noise"].rename(columns={"label": "method"})
    runs = next(table for table in each.data("landscape_noise") if "seed" in table)
    same(runs, figure, ["method", "seed", "noise", "strength"], ["accuracy"])


def test_densities_of_weights_are_the_figures(drawn):
    rows = max(drawn["filters"].data("filters_5x5"), key=len)
    figure = drawn["filters"].figures["filters_5x5"]
    figure = figure[figure["everywhere"] * figure["n"] / BINS_PER_DECADE >= 40].assign(
        magnitude=lambda table: (10 ** (table["low"] + 0.5 / BINS_PER_DECADE)).map(
            lambda value: float(f"{value:.5g}")
        )
    )
    figure = figure[figure["place"] != "all positions"]
    same(rows, figure, ["label", "place", "magnitude"], ["ratio"])


def test_a_ranking_is_the_figures(drawn):
    each = drawn["ranking"]
    (gains,) = (table for table in each.data("ranking_gain") if "method" in table)
    figure = each.figures["ranking_gain"]
    same(gains, figure, ["method"], ["gain", "gain_low", "gain_high", "gain_p_holm"])
    assert list(gains["method"]) == list(figure["method"]), "the greatest gain first"
    assert set(gains["n"]) == {3}
    (rates,) = each.data("ranking_rates")
    figure = each.figures["ranking_rates"].melt(
        ["method", "corruption"], ["final", "memorized"], "quantity", "value"
    )
    figure["quantity"] = figure["quantity"].map({"final": "test accuracy, %", "memorized": "memorized, %"})
    same(rates, figure, ["quantity", "method", "corruption"], ["value"])
    (pairs,) = each.data("ranking_pairs")
    same(pairs, each.figures["ranking_pairs"], ["corruption", "a", "b"], ["accuracy", "reference"])


# What no committed study has: probes, dynamics, and kernels, of networks that were just trained


@pytest.fixture(scope="module")
def trained_selection(trained, tmp_path_factory) -> Selection:
    """A small study with records and kept networks, and probes written by hand."""
    selection = copy_of(trained, tmp_path_factory.mktemp("charts") / "runs").select((), "tiny")
    measure(selection, UNWATCHED)
    rows = [
        {"run": run.name, "epoch": epoch, "layer": layer, "samples": 50, "checkpoint": f"{epoch}",
         "accuracy": 0.5 + 0.01 * place + 0.1 * epoch, "head_accuracy": 0.3}
        for place, run in enumerate(selection.runs)
        for epoch, layer in [(-1, "pixels"), (-1, "trunk"), (0, "trunk"), (2, "trunk")]
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(selection.path / "probe.csv", index=False)
    return selection


@pytest.fixture(scope="module")
def fresh(trained_selection) -> dict[str, Drawn]:
    return {name: Drawn(name, trained_selection) for name in ("dynamics", "probe", "filters")}


def test_charts_of_records_probes_and_networks_are_drawn_without_a_warning(fresh, capfd):
    names = [name for each in fresh.values() for name in each.charts]
    assert names == ["dynamics_auc", "dynamics_learned", "dynamics_losses", "probe", "filters_kernels"]
    for each in fresh.values():
        for chart in each.charts.values():
            assert vl_convert.vegalite_to_vega(chart.spec(), show_warnings=True)["marks"]
    assert "WARN" not in "".join(capfd.readouterr())


def test_dynamics_are_the_figures(fresh):
    each = fresh["dynamics"]
    runs = next(table for table in each.data("dynamics_auc") if "seed" in table)
    figure = each.figures["dynamics_auc"]
    figure = (
        figure.assign(score=figure["score"].map(SCORES))
        .drop(columns="difference")
        .rename(columns={"auc": "value"})
    )
    same(runs[runs["shown"] == "ROC AUC"], figure, ["label", "score", "seed", "epoch"], ["value"])
    (learned,) = each.data("dynamics_learned")
    figure = each.figures["dynamics_learned"]
    when = figure["value"].where(figure["value"] < figure["epochs"]).map("{:.0f}".format).replace("nan", "never")
    same(
        learned,
        figure.assign(epoch=when, group=figure["series"]),
        ["label", "group", "epoch"],
        ["percent", "count"],
    )
    (losses,) = each.data("dynamics_losses")
    figure = each.figures["dynamics_losses"].assign(
        loss=lambda table: table["loss"].map(lambda x: float(f"{x:.5g}"))
    )
    shown = losses.dropna()
    there = figure.merge(shown[["label", "epoch", "part", "loss"]])
    same(shown, there, ["label", "epoch", "part", "loss"], ["density"])
    low = min(shown["density"])
    assert len(figure[(figure["density"] > low)]) <= len(shown), "nothing that is shown is left out"


def test_probes_are_the_figures(fresh):
    runs = next(table for table in fresh["probe"].data("probe") if "seed" in table)
    same(runs, fresh["probe"].figures["probe"], ["label", "line", "seed", "epoch"], ["accuracy"])


def test_kernels_are_those_of_the_first_layer(fresh, trained_selection):
    long = wide(fresh["filters"], "filters_kernels", second=3)
    run = next(run for run in trained_selection.runs if run.recipe.regularizers == ())
    weights = run.load_checkpoint(run.checkpoints()[-1])["network.trunk.0.weight"].numpy()
    last = long[(long["label"] == "bare") & (long["panel"] == 2)].pivot(
        index="row", columns="column", values="value"
    )
    np.testing.assert_allclose(last.iloc[:5, :5], weights[0, 0], rtol=6e-5)
    np.testing.assert_allclose(last.iloc[6:11, 6:11], weights[9, 0], rtol=6e-5)
    assert last.iloc[5].isna().all()


HOSTILE = "</script><b>$x$'\"[datum.a] + 1"


def test_names_are_data_and_no_part_of_an_expression(trained_selection, monkeypatch):
    def of_hostile(*given: Any) -> list[str]:
        return [HOSTILE if label == "al2" else label for label in method_labels(*given)]

    monkeypatch.setattr(frames, "method_labels", of_hostile)
    monkeypatch.setattr(frames, "_comparable", frames._comparable.__wrapped__)  # labels are remembered else
    for name in ("dynamics", "probe", "filters"):
        for chart in analysis(name, ANALYSES)().charts(trained_selection):
            spec = chart.spec()
            assert HOSTILE in strings(spec)
            evaluated = list(strings(vl_convert.vegalite_to_vega(spec), EVALUATED))
            assert evaluated
            assert not any("script" in text for text in evaluated)


EVALUATED = ("expr", "signal", "update", "test", "init", "as")
"""What Vega has expressions in, and names that it makes fields of."""


def strings(part: Any, keys: Collection[str] = (), key: str = "") -> Iterator[str]:
    """All texts in a chart, or those alone that are the value of some keys."""
    if isinstance(part, str):
        yield from [part] if not keys or key in keys else []
    elif isinstance(part, dict | list):
        parts = part.items() if isinstance(part, dict) else ((key, value) for value in part)
        for name, value in parts:
            yield from strings(value, keys, name)
