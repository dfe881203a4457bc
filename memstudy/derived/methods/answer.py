"""Which method memorizes least, and how sure that is: in words, and as a table (ours).

After the last epoch, the method with the lowest mean share of memorized corrupted labels is compared with each
other one. It was chosen by the same numbers, so its lead is rather too large than too small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from memstudy.analysis.significance import LEAST_VALUES
from memstudy.derived.methods.tables import at_end
from memstudy.errors import listed
from memstudy.report.cells import DASH, interval, mean, number, p_value, span, starred
from memstudy.report.differences import compared, star_notes
from memstudy.report.frames import Groups, Setting, comparable_runs
from memstudy.report.table import HIGH, LOW, Table
from memstudy.report.verdict import verdict
from memstudy.store.layout import LABELS
from memstudy.store.store import Selection

LEVEL = 0.05


@dataclass(frozen=True)
class Answer:
    """Of one setting: its words, the answer in a sentence, sentences on how sure it is, and the numbers."""

    setting: str
    answer: str
    sureness: tuple[str, ...]
    table: Table | None = None


def answers(selection: Selection) -> Iterator[Answer]:
    """One for each setting."""
    groups = comparable_runs(selection)
    ends = at_end(groups)
    for setting, _ in groups:
        yield _answer(setting, ends[ends["setting"] == setting.words], _titled(setting, groups))


def _titled(setting: Setting, groups: Groups) -> str:
    return setting.words if len(groups) > 1 else ""


def _answer(setting: Setting, rows: pd.DataFrame, words: str) -> Answer:
    if rows["memorized"].isna().all():
        return _without_corruption(rows, words)
    rows = rows.dropna(subset="memorized")
    means = rows.groupby("label", sort=False)["memorized"].mean().sort_values(kind="stable")
    best = str(means.index[0])
    order = pd.CategoricalDtype(list(means.index), ordered=True)
    rows = rows.assign(against=best, label=rows["label"].astype(order)).sort_values("label", kind="stable")
    rows["label"] = rows["label"].astype(str)
    values = compared(rows, ["label"], "memorized", epoch="epoch").sort_values(
        "mean", kind="stable", ignore_index=True
    )
    table = _table(setting, rows, values, best)
    first = values.iloc[0]
    share = f"{mean(first['mean'], first['sd'], 1)} %"
    if len(values) == 1:
        answer = f"{best} memorizes {share} of the corrupted labels after the last epoch."
        return Answer(words, answer, ("There is one method alone, and nothing to compare it with.",), table)
    answer = (
        f"{best} memorizes least: {share} of the corrupted labels are predicted after the last epoch "
        f"({_seeds(first['n'])}), of {len(values)} methods."
    )
    sentences = (*_sureness(values, best), *_accuracy(rows, best), *_beyond_chance(setting, rows))
    return Answer(words, answer, sentences, table)


def _seeds(n: int) -> str:
    return f"n = {n} seed{'s' if n > 1 else ''}"


def _sureness(values: pd.DataFrame, best: str) -> Iterator[str]:
    """What the tests of the best against each other method say."""
    others = values[values["label"] != best]
    second = others.iloc[0]
    yield f"Next is {second['label']} with {mean(second['mean'], second['sd'], 1)} %: {_difference(second)}."
    references = others[others["label"].isin(["bare"])]
    if len(references) and references.index[0] != second.name:
        bare = references.iloc[0]
        yield f"Bare training memorizes {mean(bare['mean'], bare['sd'], 1)} %: {_difference(bare)}."
    tested = others[others["p"].notna()]
    if tested.empty:
        n = span(values["n"], " to ")
        if values["n"].max() < 2:
            yield "How sure that is cannot be told: with one run each (n = 1), the order may be luck."
        else:
            yield (
                f"How sure that is cannot be told by a test: n = {n}, and with fewer than {LEAST_VALUES} seeds "
                "nothing is tested. Intervals of so few seeds are very wide."
            )
        return
    surely = list(tested.loc[tested["p_holm"] < LEVEL, "label"])
    unsure = [str(label) for label in others["label"] if label not in surely]
    family = "two-sided t-test over seeds"
    if len(tested) > 1:
        family = f"two-sided t-tests over seeds, adjusted by Holm's method for {len(tested)} tests"
    if not surely:
        yield f"It cannot be told apart from {_all(others)} (p < .05; {family}): the order may be luck."
    elif unsure:
        yield f"That it memorizes less is significant against {listed(surely)} (p < .05; {family})."
        yield f"It cannot be told apart from {listed(unsure)}."
    else:
        yield f"That it memorizes less is significant against {_all(others)} (p < .05; {family})."
    yield "It was chosen by the same numbers, so its lead is rather too large than too small."


def _all(others: pd.DataFrame) -> str:
    return "every other method" if len(others) > 1 else str(others["label"].iloc[0])


def _difference(row: pd.Series) -> str:
    """`8.1 points more [1.2, 15.0], paired t-test, p = 0.03, adjusted 0.06`."""
    if pd.isna(row["low"]):
        return f"{number(row['difference'], '.1f')} points more, without an interval"
    text = f"{interval(row['difference'], row['low'], row['high'], 1)} points more, 95 % interval in brackets"
    if pd.isna(row["p"]):
        return text
    return f"{text}; {row['test']} t-test, p = {p_value(row['p'])}, adjusted {p_value(row['p_holm'])}"


def _accuracy(rows: pd.DataFrame, best: str) -> Iterator[str]:
    """Memorizing little is not learning much: the test accuracy beside it."""
    accuracy = rows.groupby("label", sort=False)["test_accuracy"].mean()
    highest = str(accuracy.idxmax())
    text = f"Its test accuracy is {accuracy[best]:.1f} %"
    if highest == best:
        yield f"{text}, the highest of all, too."
    else:
        yield (
            f"{text}; the highest is {accuracy[highest]:.1f} %, of {highest}. A network that has learned little "
            "memorizes little, so both numbers belong together."
        )


def _beyond_chance(setting: Setting, rows: pd.DataFrame) -> Iterator[str]:
    """Which runs memorize at all, as the verdict on each says; nothing where labels are not here, as in a pack."""
    runs = {run.name: run for run in setting.runs}
    if not all((run.path / LABELS).is_file() for run in runs.values()):
        return
    counts = []
    for label, names in rows.groupby("label", sort=False)["run"]:
        judged = [verdict(runs[name]).memorizes for name in names]
        counts.append(f"{label} {sum(map(bool, judged))} of {len(judged)}")
    yield f"Runs that predict more corrupted labels than confusing classes alone gives: {listed(counts)}."


def _table(setting: Setting, rows: pd.DataFrame, values: pd.DataFrame, best: str) -> Table:
    accuracy = rows.groupby("label")["test_accuracy"]
    means, spreads = dict(accuracy.mean()), dict(accuracy.std())
    cells = pd.DataFrame(
        {
            "place": [str(place) for place in range(1, len(values) + 1)],
            "method": values["label"],
            "n": values["n"].astype(str),
            "memorized, %": [starred(row, 1) for row in values.to_dict("records")],
            f"more than {best} [95 %]": [
                DASH if row["label"] == best else interval(row["difference"], row["low"], row["high"], 1, "+")
                for row in values.to_dict("records")
            ],
            "p, adjusted": [DASH if pd.isna(p) else p_value(p) for p in values["p_holm"]],
            "test accuracy, %": [
                mean(means[label], spreads[label], 1) for label in values["label"]
            ],
        }
    )  # fmt: skip
    notes = (
        "Of the corrupted training labels, how many are predicted after the last epoch; mean ± standard "
        "deviation over n seeds. Differences are in percentage points.",
        *star_notes(values, best),
    )
    return Table(
        f"least_memorized{setting.suffix}", f"Memorized after the last epoch: {setting.title}", notes, cells,
        values.assign(metric="memorized, %"), ("place", "method"),
        better={"memorized, %": LOW, "test accuracy, %": HIGH},
    )  # fmt: skip


def _without_corruption(rows: pd.DataFrame, words: str) -> Answer:
    accuracy = rows.groupby("label", sort=False)["test_accuracy"].mean()
    best = str(accuracy.idxmax())
    return Answer(
        words,
        "No label is corrupted, so there is no wrong one to memorize.",
        (f"The highest test accuracy after the last epoch is {accuracy[best]:.1f} %, of {best}.",),
    )
