"""What the benchmarks say is what they measured, and they can say that an answer is wrong."""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import subprocess
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, SAMPLE
from pymatgen.core import Composition, Element

import benchmarks
from bandgaps.errors import InputError
from bandgaps.structure import neighbors
from bandgaps.table import records, storage
from benchmarks import __main__ as command
from benchmarks import data, matbench, measure, orderings, scale, tables
from benchmarks.graphs import equal as equal_graphs
from benchmarks.measure import Entry

PEER_PROCESS = "megnet_peer"  # needs another Keras; imported in a process of its own, by tests of MEGNet
MODULES = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != PEER_PROCESS]


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    return data.connected(storage.read_records(SAMPLE).head(100))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(getattr(module, "run", None)) == (name in command.COMPARISONS)


# ------------------------------------------------------------------------------------------------------------ measuring


def test_a_ratio_is_that_of_the_times() -> None:
    assert measure.speed("x", "rows/s", 100, peer=4.0, ours=2.0, same=True) == {
        "what": "x",
        "unit": "rows/s",
        "peer": 25.0,
        "ours": 50.0,
        "ratio": 2.0,
        "same": True,
    }
    slower = measure.duration("y", peer=1.0, ours=4.0, same=False)
    assert (slower["unit"], slower["peer"], slower["ours"], slower["ratio"], slower["same"]) == ("s", 1, 4, 0.25, False)


def test_the_best_of_several_turns_counts() -> None:
    waits = {"peer": iter([0.5, 0.1]), "ours": iter([0.0, 0.5])}
    calls = []

    def run(name: str) -> int:
        time.sleep(next(waits[name]))
        calls.append(name)
        return len(calls)

    peer, ours, theirs, our = measure.in_turn(lambda: run("peer"), lambda: run("ours"))
    assert calls == ["peer", "ours", "peer", "ours"]
    assert (theirs, our) == (3, 4)
    assert 0.1 <= peer < 0.5
    assert ours < 0.5


def test_timing_leaves_the_garbage_collector_as_it_was() -> None:
    _, hidden = measure.timed(gc.get_freeze_count)
    assert hidden > 0
    assert gc.get_freeze_count() == 0


# ------------------------------------------------------------------------------------------------------------ the table


def test_rows_made_of_the_sample_are_crystals_all_of_them_different(sample: pd.DataFrame) -> None:
    rows = data.repeated(sample, 300)
    crystals = [records.structure(record) for record in rows["structure"]]
    for crystal, record, formula in zip(crystals, rows["structure"], rows["formula"], strict=True):
        assert crystal.composition.reduced_formula == Composition(formula).reduced_formula
        np.testing.assert_allclose([site["xyz"] for site in record["sites"]], crystal.cart_coords)
    assert len({tuple(crystal.lattice.abc) for crystal in crystals}) == 300
    assert np.mean([len(crystal) for crystal in crystals]) > 10
    neighbors.build(rows["structure"].tolist(), 5.0)


def test_a_varied_crystal_has_elements_of_the_same_columns_in_the_same_places(sample: pd.DataFrame) -> None:
    generator = np.random.default_rng(0)
    changed = 0
    for record in sample["structure"]:
        old, new = records.structure(record), records.structure(data.varied(record, generator))
        assert [site.specie.group for site in new] == [site.specie.group for site in old]
        assert len(new.composition) == len(old.composition)
        shift = (new.frac_coords - old.frac_coords) % 1
        np.testing.assert_allclose(np.exp(2j * np.pi * shift), np.exp(2j * np.pi * shift[:1]).repeat(len(old), axis=0))
        changed += new.composition != old.composition
    assert changed > len(sample) / 2


def test_symbols_stand_in_their_columns() -> None:
    assert data.COLUMN_OF["Si"] == ["C", "Si", "Ge", "Sn", "Pb"]
    assert all(Element(symbol).group == Element(column[0]).group for column in data.COLUMNS for symbol in column)


def test_a_table_grows_by_varied_rows_after_its_own(sample: pd.DataFrame) -> None:
    rows = data.grown(sample, 250)
    assert len(rows) == 250
    own = rows["material_id"].head(len(sample))
    assert set(own) == set(sample["material_id"])
    assert rows["structure"].iloc[0] in sample["structure"].tolist()
    assert rows["structure"].iloc[len(sample)] not in sample["structure"].tolist()
    assert len(data.grown(sample, 10)) == 10
    cells = [records.structure(record).lattice for record in rows["structure"]]
    first = dict(zip(own, cells, strict=False))
    for name, copy in zip(rows["material_id"].tolist()[len(sample) :], cells[len(sample) :], strict=True):
        np.testing.assert_allclose(copy.angles, first[name].angles)
        assert np.ptp(np.divide(copy.abc, first[name].abc)) < 1e-9


# --------------------------------------------------------------------------------------------------------- the verdicts


def test_other_bonds_are_not_the_same_graphs(sample: pd.DataFrame) -> None:
    built = neighbors.build(sample["structure"].tolist(), 5.0)
    order = np.concatenate([np.arange(start, stop)[::-1] for start, stop in pairwise(built.bond_offsets)])
    theirs = {"counts": built.bond_counts}
    theirs |= {name: getattr(built, name)[order] for name in ("first", "second", "distances")}
    assert equal_graphs(built, theirs)
    longer = built.distances.copy()
    longer[-1] += 1e-4
    assert not equal_graphs(replace(built, distances=longer), theirs)
    assert not equal_graphs(replace(built, second=built.first), theirs)
    assert not equal_graphs(built, {**theirs, "counts": built.bond_counts[::-1]})


def test_another_coordinate_is_not_the_same_table(sample: pd.DataFrame) -> None:
    table = sample.head(3).assign(structure=[records.structure(record) for record in sample["structure"].head(3)])
    moved = table["structure"].iloc[2].copy().translate_sites([0], [0, 0, 1e-12])
    assert tables.equal(table, table.copy())
    assert not tables.equal(table, table.assign(structure=[*table["structure"].head(2), moved]))
    assert not tables.equal(table, table.assign(band_gap=table["band_gap"] + 1e-12))
    assert not tables.equal(table, table.head(2))


def test_a_missing_ordering_is_noticed() -> None:
    whole = [["Si", "Si"], ["Si", "Ge"], ["Ge", "Ge"]]
    assert orderings.counted(whole) == orderings.counted(reversed(whole))
    assert orderings.counted(whole) != orderings.counted([*whole[:2], whole[0]])


def test_a_wrong_answer_is_told_in_bold() -> None:
    right = measure.duration("right", 1.0, 1.0, same=True)
    text = command.markdown({"graphs": [right, {**right, "what": "wrong", "same": False}]})
    lines = {line.split(" | ")[0]: line.split(" | ")[-1] for line in text.splitlines()}
    assert (lines["| right"], lines["| wrong"]) == ("yes |", "**no** |")


# ----------------------------------------------------------------------------------------------------- the command line


def test_a_comparison_writes_its_results_and_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"
    command.main(["forests", "--rows", "200", "--output", str(output)])
    first, printed = json.loads(output.read_text()), capsys.readouterr().out
    assert set(first) == {"table", "rows"}
    assert first["table"].startswith("the bundled sample (")
    assert "repeated to 200 rows" in first["table"]
    assert [row["unit"] for row in first["rows"]] == ["s", "rows/s"]
    for row in first["rows"]:
        assert set(row) == {"comparison", *Entry.__annotations__}
        quotient = row["peer"] / row["ours"]
        assert row["ratio"] == pytest.approx(quotient if row["unit"] == "s" else 1 / quotient)
        assert f"| {row['what']} | {row['unit']} |" in printed
    command.main(["tables", "--rows", "200", "--output", str(output)])
    second = json.loads(output.read_text())
    assert [row["comparison"] for row in second["rows"]] == ["tables"] * 4 + ["forests"] * 2
    assert second["rows"][4:] == first["rows"]
    assert all(row["same"] for row in second["rows"][:4])


def test_results_of_two_tables_are_not_mixed(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command.write({}, "another table", output)
    before = output.read_bytes()
    with pytest.raises(InputError, match=f"{output}.*another table"):
        command.main(["forests", "--table", str(SAMPLE), "--output", str(output)])
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense.*forests"),
        (["--rows", "5"], "--rows 5"),
        (["--table", "nowhere.json.gz"], "nowhere.json.gz.*no such file"),
        (["--table", "few.json.gz"], "few.json.gz.*2 rows"),
        (["--table", "bare.json.gz"], "bare.json.gz.*no column structure"),
    ],
)
def test_what_cannot_be_measured_is_named(
    arguments: list[str], words: str, sample: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage.write(sample.head(2), "few.json.gz")
    storage.write(sample.drop(columns="structure"), "bare.json.gz")
    with pytest.raises(InputError, match=words):
        command.main([*arguments, "--output", "results.json"])
    assert not Path("results.json").exists()


@pytest.mark.parametrize("module", [command, scale, matbench])
def test_help_says_how_to_call_it(module: ModuleType) -> None:
    text = module.parser().format_help()
    assert text.startswith("usage: python -m benchmarks")
    assert module.__doc__ in text
    assert "--output FILE" in text


@pytest.mark.parametrize("target", ["bench", "bench-scale"])
def test_make_measures_on_the_table_that_the_call_names(target: str) -> None:
    plain = {key: value for key, value in os.environ.items() if key not in ("TABLE", "MAKEFLAGS")}

    def recipe(*arguments: str, **environment: str) -> str:
        command = ["make", "--dry-run", target, *arguments]
        env = {**plain, **environment}
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout

    assert "--table" not in recipe()
    assert "--table mine.json.gz" in recipe("TABLE=mine.json.gz")
    assert "--table mine.json.gz" in recipe(TABLE="mine.json.gz")


# ---------------------------------------------------------------------------------------------------------------- scale


def test_a_task_is_measured_in_a_process_of_its_own() -> None:
    found = scale.in_a_process("features", SAMPLE)
    assert set(found) == {"seconds", "bytes"}
    assert 0 < found["seconds"] < 10
    assert found["bytes"] >= 0


def test_what_grows_faster_than_the_table_is_named() -> None:
    costs = {1_000: (1.0, 1.0), 10_000: (10.0, 10.0), 100_000: (100.0, 200.0)}
    rows = [
        {"what": name, "rows": size, "seconds": seconds[name == "graphs"]}
        for size, seconds in costs.items()
        for name in scale.TASKS
    ]
    assert scale.defects(rows) == ["graphs"]
