"""Every reader of a store's files, given anything: the right value or a MemstudyError, and nothing else.

Files are changed at random (seeded): bytes are flipped, cut, doubled and put in, and values are replaced by others
of any kind, with seals and check sums that fit, as somebody would make them who knows the format.
"""

from __future__ import annotations

import copy
import json
import math
import random
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w
import torch

from memstudy import recipe as recipes
from memstudy.analysis import filter_sizes, filters
from memstudy.derived import ANALYSES, analysis
from memstudy.derived.reading import declared, read
from memstudy.derived.workbench import NotFinite, Workbench
from memstudy.errors import MemstudyError
from memstudy.regularizers.loco import LocoReg
from memstudy.store import RunDirectory, Store, metrics, resume, seals, tensors
from memstudy.store.layout import checkpoint_name
from memstudy.study import grid, shipped
from memstudy.study.carry_out import Execution, carry_out
from memstudy.training import Placement, TrainingState
from tests.kit.sources import stand_in
from tests.kit.stopping import Stop
from tests.kit.stores import copy_of
from tests.test_damage import RECIPE

TRIES = 200
RESULTS = Path(__file__).parent.parent / "studies" / "results"
ODD: list[Any] = [
    None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "", "x", "nan", [], [1], [[1]], ["x"], [None], {},
    {"a": 1}, {"x": {}}, 2**70, "0" * 64,
]  # fmt: skip
PIECES = [
    b"0",
    b"-1",
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\xff",
    b"\0",
    b"[",
    b"}",
    b"1e999",
    b"9" * 30,
    b"nan",
    b"'",
    b"(",
]


def changed_bytes(rng: random.Random, content: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(found) if rng.random() < 0.5 else min(len(found), 200)) if found else 0
        match rng.randrange(5):
            case 0 if found:
                found[at] ^= 1 << rng.randrange(8)
            case 1:
                del found[at : at + rng.choice([1, 3, 40])]
            case 2:
                found[at:at] = rng.choice(PIECES)
            case 3:
                del found[at:]
            case 4:
                found[at:at] = found[at // 2 : at // 2 + 30]
    return bytes(found)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def changed_value(rng: random.Random, value: Any) -> Any:
    """One value in it, at any depth, is of another kind, elsewhere or gone."""
    found = copy.deepcopy(value)
    *outer, last = rng.choice(places(found)[1:])
    holder = found
    for key in outer:
        holder = holder[key]
    if isinstance(holder, dict) and rng.random() < 0.25:
        moved = holder.pop(last)
        holder |= rng.choice([{}, {"z": moved}])
    else:
        holder[last] = rng.choice(ODD)
    return found


def only_sentences(tries: int, attempt: Callable[[random.Random], object]) -> Counter[str]:
    """How often it gave a value, and how often a MemstudyError; anything else is raised."""
    found: Counter[str] = Counter()
    said: list[str] = []
    for seed in range(tries):
        try:
            attempt(random.Random(seed))
            found["values"] += 1
        except MemstudyError as error:
            found["sentences"] += 1
            said.append(str(error))
    assert all("\n" not in sentence and len(sentence) < 1500 for sentence in said)
    return found


@pytest.fixture(scope="module")
def original(small, tmp_path_factory):
    """A run that was stopped after two epochs."""
    with stand_in(small):
        run = Store(tmp_path_factory.mktemp("store")).open(RECIPE)
        with pytest.raises(MemstudyError):
            carry_out(run, Execution(device="cpu"), Stop(1))
        yield run


@pytest.fixture
def run(original, tmp_path):
    """A copy of it, in a store."""
    return RunDirectory(copy_of(original.path.parent, tmp_path / "runs").root / original.name)


def test_state(run):
    path, content = run.path / "state.json", (run.path / "state.json").read_bytes()

    def attempt(rng):
        if rng.random() < 0.5:
            path.write_bytes(changed_bytes(rng, content))
        else:
            state = changed_value(rng, json.loads(content))
            state.pop("seal", None)
            if rng.random() < 0.5:
                state["seal"] = seals.of_object(state)
            path.write_text(json.dumps(state))
        return run.status, run.checkpoints(), run.has_records, run.metrics(), RunDirectory(run.path).recipe

    assert len(only_sentences(3 * TRIES, attempt)) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sessions": "once"}, "'sessions' is not a list of what was noted"),
        ({"sessions": [{"device": 5}]}, "'sessions' is not a list of what was noted"),
        ({"sessions": [{"threads": "many"}]}, "'sessions' is not a list of what was noted"),
        ({"floor": [2.2]}, "'floor' is not a number"),
        ({"floor": float("nan")}, "'floor' is not a number"),
        ({"checksums": {"checkpoints/epoch-x.safetensors": "0" * 64}}, "'checksums' is not a table of SHA-256"),
        ({"checksums": {"../../secret": "0" * 64}}, "'checksums' is not a table of SHA-256"),
        ({"checksums": []}, "'checksums' is not a table of SHA-256"),
        ({"status": ["finished"]}, "'status' is not a known status"),
        ({"dynamics": "yes"}, "'dynamics' is not true or false"),
    ],
)
def test_values_of_other_types_in_a_state(run, change, says):
    """Sealed, as a program would write it."""
    state = {**run.state(), **change}
    (run.path / "state.json").write_text(json.dumps(state | {"seal": seals.of_object(state)}))
    with pytest.raises(MemstudyError, match=says):
        run.state()


def test_an_unknown_device_in_a_state_is_another_device(run):
    """Its layout is not taken over: the run continues as a new one would be begun."""
    sessions = [{**run.state()["sessions"][0], "device": "quantum:7", "layout": "spiral"}]
    run.update(sessions=sessions)
    carry_out(run, Execution(device="cpu"))
    assert run.state()["sessions"][-1]["layout"] in ("contiguous", "channels_last")


def test_one_bit_of_a_sealed_state(run):
    """Any bit of it: another content is never taken for what was written."""
    path, before = run.path / "state.json", run.state()
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            after = run.state()
        except MemstudyError:
            continue
        assert {key: value for key, value in after.items() if key in before} == {
            key: value for key, value in before.items() if key in after
        }


def test_recipes(run):
    path = run.path / "recipe.toml"
    content = path.read_bytes().partition(b"\n")[2]  # without its identity, which tells every change
    known = {key: value for key, value in tomllib.loads(content.decode()).items() if key != "recorded"}

    def attempt(rng):
        if rng.random() < 0.5:
            path.write_bytes(changed_bytes(rng, content))
            return recipes.read(path), recipes.recorded(path)
        return recipes.from_dict(changed_value(rng, known)).id

    assert len(only_sentences(3 * TRIES, attempt)) == 2


def test_metrics(run):
    path, content = run.path / "metrics.csv", (run.path / "metrics.csv").read_bytes()
    assert len(only_sentences(TRIES, lambda rng: metrics.parse(path, changed_bytes(rng, content)))) == 2


@pytest.mark.parametrize("column", metrics.MEASURED)
def test_metrics_without_a_column(run, column):
    table = run.metrics().drop(columns=column)
    with pytest.raises(MemstudyError, match=rf"metrics.csv is damaged .*it has no column {column}"):
        metrics.parse(run.path / "metrics.csv", table.to_csv(index=False).encode())


def test_metrics_that_are_not_utf_8(run):
    content = (run.path / "metrics.csv").read_bytes()
    with pytest.raises(MemstudyError, match=r"metrics.csv is damaged"):
        metrics.parse(run.path / "metrics.csv", content + b"\xff\xfe,0\n")


def test_what_continues_a_run(run):
    path, content = run.path / "resume.safetensors", (run.path / "resume.safetensors").read_bytes()

    def attempt(rng):
        path.write_bytes(changed_bytes(rng, content[:1500]) + content[1500:])
        return resume.look(path), resume.read(path) if rng.random() < 0.1 else None

    assert only_sentences(TRIES, attempt)["sentences"]


HEADERS = [
    f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}"
    for kind in ("'<f2'", "'|O'", "'<f8'", "'>f2'", "[('a', '<f2')]", "'|V2'", "5", "None", "'<c16'")
    for order in ("False", "True", "None")
    for shape in (
        "(4, 400)", "(4, -400)", "(10**9, 9)", "(4000000000, 4000000000)", "(9" + "9" * 30 + ", 1)", "()", "(4,)",
        "(4, 400, 1)", "[4, 400]", "'a'", "(4.0, 400)", "(True, 400)", "(4, 0)", "(4, 400L)",
    )
]  # fmt: skip
NO_HEADERS = [
    "", "{", "(" * 3000, "{'a': 1}", "__import__('os').abort()", "\\" * 50, "'''", "{" + "'a': 1," * 900 + "}",
]  # fmt: skip


def test_headers_of_records(run):
    """A .npy file's header is a Python literal: huge, of objects, by columns, negative, no literal at all."""
    path, content, records = run.records.path("loss"), run.records.path("loss").read_bytes(), run.records
    right = []
    for header in HEADERS + NO_HEADERS:
        text = (header + " " * (-(11 + len(header)) % 64) + "\n").encode()
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content[-4 * 800 :])
        try:
            records.read(RECIPE.train_size or 0, 2)
            right.append(header)
        except MemstudyError as error:
            assert "loss.npy is damaged" in str(error)  # noqa: PT017
    assert right == []  # the samples are 100

    def attempt(rng):
        path.write_bytes(changed_bytes(rng, content[:140]) + content[140:])
        return records.read(100, 2), records.seal_again(2), records.resize()

    assert only_sentences(TRIES, attempt)["sentences"]


def changed_tensors(rng: random.Random, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = dict(tensors)
    name = rng.choice(list(found))
    value = found[name]
    other = rng.choice(["x", "network.x", "optimizer.", "optimizer.x.y", "optimizer.step.zzz", "..weight"])
    kinds = (torch.float16, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.float8_e4m3fn)
    match rng.randrange(7):
        case 0:
            del found[name]
        case 1:
            found[other] = value.clone()
        case 2:
            found[name] = value.to(rng.choice(kinds))
        case 3:
            found[name] = rng.choice([value.reshape(-1), value.unsqueeze(0)]).clone()
        case 4:
            found[name] = torch.full_like(value, rng.choice([float("nan"), float("inf"), 1e38, 0]))
        case 5:
            found[name] = torch.zeros(rng.choice([(), (0,), (0, 3, 3, 3), (1, 1, 5, 5)]))
        case 6:
            found = {}
    return found


def test_checkpoints_whose_check_sum_fits_and_whose_content_does_not(run, small):
    """Another network is never loaded for this one: the same names, shapes and types, or a sentence."""
    bench, right = Workbench(torch.device("cpu")), run.load_checkpoint(1)

    def attempt(rng):
        given = changed_tensors(rng, right)
        run.save_checkpoint(1, given)
        try:
            network = bench.network(run, 1)
        except NotFinite:
            assert not all(value.isfinite().all() for value in given.values())
            raise
        kept = {f"network.{name}": value for name, value in network.state_dict().items()}
        assert all(torch.equal(kept[name], given[name]) for name in kept)

    assert len(only_sentences(60, attempt)) == 2
    run.save_checkpoint(1, {})
    with pytest.raises(MemstudyError, match=r"epoch-0001\.safetensors is damaged .*lacks tensors of this network"):
        bench.network(run, 1)


def test_states_to_continue_from_whose_content_does_not_fit(run, small):
    saved = run.load_resume()
    assert saved is not None

    def attempt(rng):
        state = TrainingState.initial(run.recipe, small, Placement.usual(torch.device("cpu")))
        state.restore(changed_tensors(rng, saved[1]), 2)

    assert len(only_sentences(60, attempt)) == 2


def test_bytes_of_checkpoints(run):
    content = (run.path / checkpoint_name(1)).read_bytes()
    path = Path("epoch-0001.safetensors")

    def attempt(rng):
        return tensors.decode(path, changed_bytes(rng, content[:900]) + content[900:])

    assert only_sentences(TRIES, attempt)["sentences"]


def test_kernels_of_any_tensors(run):
    given, method = run.load_checkpoint(1), LocoReg()

    def attempt(rng):
        found = changed_tensors(rng, given)
        return filters.kernels(found), filter_sizes.rings(found, method)

    assert only_sentences(TRIES, attempt)["values"]


def test_studies(run):
    store = Store(run.path.parent)
    store.record_study("one", [run], {"epochs": [0, 1], "analyses": ["svcca"], "tables": ["table1"], "orders": 3})
    path, content = store.folder("one") / "study.json", (store.folder("one") / "study.json").read_bytes()

    def attempt(rng):
        if rng.random() < 0.5:
            path.write_bytes(changed_bytes(rng, content))
        else:
            path.write_text(json.dumps(changed_value(rng, json.loads(content))))
        store.studies()
        return store.is_derived("one"), store.select(study="one").settings()

    assert len(only_sentences(TRIES // 2, attempt)) == 2


def test_study_files(tmp_path):
    path, content = tmp_path / "study.toml", shipped.path("quick").read_bytes()

    def attempt(rng):
        if rng.random() < 0.5:
            path.write_bytes(changed_bytes(rng, content))
        else:
            value = changed_value(rng, tomllib.loads(content.decode()))
            try:
                path.write_text(tomli_w.dumps(value))
            except TypeError:  # TOML has no null
                return None
        return grid.read(path)

    assert len(only_sentences(TRIES, attempt)) == 2


TABLES = [table for name in ANALYSES.names() for table in analysis(name).columns]
"""Of every analysis."""


def derived_table(name: str) -> pd.DataFrame:
    """Two rows of a derived table, of the right kinds."""
    kind = declared(name)[1]
    columns = dict.fromkeys(kind.text.split(), "a") | dict.fromkeys(f"{kind.whole} {kind.gaps}".split(), 1)
    row = columns | dict.fromkeys(kind.numbers.split(), 0.5)
    return pd.DataFrame([row, row | {next(iter(row)): "b"}])


@pytest.mark.parametrize("name", TABLES)
def test_derived_tables(tmp_path, name):
    """Without a column, or with a value of another kind, the file is named and the command that makes it anew."""
    path, right = tmp_path / f"{name}.csv", derived_table(name)
    right.to_csv(path, index=False)
    assert read(path).equals(right)
    for column in right.columns:
        wrong = [right.drop(columns=column)]
        values: list[Any] = [None] if isinstance(right[column][0], str) else ["abc", "True", "1;2"]
        wrong += [right.astype(object).assign(**{column: [right[column][0], value]}) for value in values]
        for table in wrong:
            table.to_csv(path, index=False)
            with pytest.raises(MemstudyError, match=rf"{name}.csv is damaged .*'memstudy \w+' makes it anew"):
                read(path)

    if declared(name)[1].key:
        pd.concat([right, right[:1]]).to_csv(path, index=False)
        with pytest.raises(MemstudyError, match="it has rows twice"):
            read(path)

    def attempt(rng):
        path.write_bytes(changed_bytes(rng, right.to_csv(index=False).encode()))
        return read(path)

    only_sentences(50, attempt)


def test_numbers_that_no_table_has(tmp_path):
    """A logarithm of 1e23 would have a figure count as many bins."""
    path = tmp_path / "filters_log_weights.csv"
    derived_table("filters_log_weights").assign(low=[-math.inf, 1e23]).to_csv(path, index=False)
    with pytest.raises(MemstudyError, match=r"filters_log_weights.csv is damaged .*its column low has values"):
        read(path)


def test_kernels_of_which_a_comparison_is_missing(tmp_path):
    """Tables and figures put one beside the other."""
    path, one = tmp_path / "filters.csv", derived_table("filters")
    whole = pd.concat([one, one.assign(comparison="b")])
    whole.to_csv(path, index=False)
    assert len(read(path)) == 4
    whole[1:].to_csv(path, index=False)
    with pytest.raises(
        MemstudyError, match=r"filters.csv is damaged .*rows are missing.*'memstudy filters' makes"
    ):
        read(path)


def test_the_committed_tables_are_of_their_kinds():
    found = [
        path for path in (RESULTS / "store" / "studies").glob("*/*.csv") if path.stem.partition("-")[0] in TABLES
    ]
    assert found
    assert all(len(read(path)) for path in found)


def test_a_huge_grid_is_refused_by_its_size(tmp_path):
    """Before any of its recipes is made, which takes as long as there are many."""
    path = tmp_path / "huge.toml"
    path.write_text("seeds = 1000000\n[grid]\nlr = [0.1, 0.2]\nmomentum = [0.1, 0.2, 0.3]\n")
    with pytest.raises(MemstudyError, match=r"huge.toml describes 6,000,000 runs, and a study has at most 10,000"):
        grid.read(path)
    path.write_text(f"seeds = {10**400}\n")
    with pytest.raises(MemstudyError, match=r"seeds in .*huge.toml must be"):
        grid.read(path)
    path.write_text("[grid]\nreg = ['bare']\n")
    with pytest.raises(MemstudyError, match=r"describes 10,001 runs"):
        grid.read(path, seeds=range(10_001))
