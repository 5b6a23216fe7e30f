"""structure.py --predict: files, folders and tables of any length."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster
from helpers import assert_failed, call, run_here
from some_crystals import SEVERAL, crystals, diamond, random_model

import structure
from bandgaps.structure import crystal_files, measured, model_files, neighbors, prediction
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import merged
from bandgaps.table import records, storage

COLUMNS = ["name", "formula", "band_gap", "band_gap_std", "band_gap_low_68", "band_gap_high_68", "band_gap_low_95"]
COLUMNS += ["band_gap_high_95", "band_gap_pbe", "in_training"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network of random weights, and on top of it a model that has seen silicon's measured gap."""
    settings = replace(SEVERAL, fidelities=("pbe", "hse"), envelope=True, electrons=True)
    network = replace(random_model(2, settings), lowest=0.0, formulas=np.array(["ClNa", "GaAs"]))
    known = [diamond("Si", a) for a in np.linspace(5.3, 5.6, 24)]
    graphs = merged(neighbors.build(known, 5.0))
    inputs = measured.inputs(graphs, network.calculated(graphs))
    gaps, keys = np.linspace(1.0, 1.3, 24), np.array(["Si1000"] * 24)
    on_top = measured.MeasuredLevel(inputs, gaps, np.full(24, 0.1), keys)
    folder = tmp_path_factory.mktemp("model") / "own"
    model_files.save(replace(network, measured=on_top), folder)
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 1,100 crystals, so that there are three chunks; two of them cannot be predicted."""
    rows = [{"material_id": f"x-{k}", "formula": "Si", "structure": diamond("Si", 5 + k / 1000)} for k in range(1100)]
    rows[7]["structure"] = rows[600]["structure"] = diamond("Si", 60.0)
    path = tmp_path_factory.mktemp("many") / "many.json.gz"
    storage.write(pd.DataFrame(rows), path)
    return path


def test_the_model_is_on_disk_as_it_was(model: Path) -> None:
    loaded = model_files.load(model)
    assert loaded.fidelities == ("pbe", "hse", "experiment") and loaded.measured is not None
    assert not list(model.glob("*.pkl"))
    built = neighbors.build([diamond("Si", 5.3)], 5.0)
    gap, std = loaded.predict(built, "experiment")
    assert gap == pytest.approx([1.0], abs=0.1) and 0 < std[0] < 0.3


def test_a_csv_says_all_that_is_known(model: Path, tmp_path: Path) -> None:
    for crystal in crystals():
        crystal.to(str(tmp_path / f"{crystal.reduced_formula}.cif"))
    call(structure.main, "--weights", model, "--predict", ".", "--csv", "gaps.csv", cwd=tmp_path)
    table = pd.read_csv(tmp_path / "gaps.csv")
    assert table.columns.tolist() == COLUMNS
    assert table["formula"].tolist() == ["Ge", "NaCl", "Si"]
    assert table["in_training"].tolist() == ["no", "calculated", "measured"]
    assert (table["band_gap_low_95"] <= table["band_gap_low_68"]).all() and (table["band_gap_low_95"] >= 0).all()
    assert (table["band_gap_low_68"] <= table["band_gap"]).all()
    assert (table["band_gap"] <= table["band_gap_high_68"]).all()
    loaded = model_files.load(model)
    germanium = neighbors.build([crystals()[1]], 5.0)
    assert table["band_gap_pbe"][0] == pytest.approx(max(loaded.calculated(germanium)[0, 0], 0), abs=1e-3)
    assert not list(tmp_path.glob("gaps.csv.*"))


def test_one_fidelity_has_its_own_intervals(model: Path, tmp_path: Path) -> None:
    diamond("Si").to(str(tmp_path / "si.cif"))
    flags = ["--weights", model, "--predict", "si.cif", "--csv", "gaps.csv", "--fidelity", "hse"]
    call(structure.main, *flags, cwd=tmp_path)
    table = pd.read_csv(tmp_path / "gaps.csv")
    assert "band_gap_pbe" not in table
    gap, std = model_files.load(model).predict(neighbors.build([diamond("Si")], 5.0), "hse")
    assert table["band_gap"][0] == pytest.approx(gap[0], abs=1e-3)
    assert table["band_gap_high_68"][0] == pytest.approx(gap[0] + std[0], abs=1e-3)


class _CutOffError(Exception):
    """What a kill leaves behind, without the process."""


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(
    model: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--weights", model, "--predict", many, "--csv", "gaps.csv"]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    whole = run_here(structure.main, *flags, cwd=tmp_path / "one")
    assert_failed(whole, 2, "2 of 1,100 crystals")
    assert "error: x-7: atom 0 (Si) has no neighbour" in whole.stderr

    answered = prediction.answered
    asked: list[str] = []

    def counted(own: Model, chunk: list[crystal_files.Asked], fidelity: str | None) -> object:
        asked.extend(each.name for each in chunk)
        if len(asked) > 1000 and cut:
            raise _CutOffError
        return answered(own, chunk, fidelity)

    monkeypatch.setattr(prediction, "answered", counted)
    cut = True
    with pytest.raises(_CutOffError):
        call(structure.main, *flags, cwd=tmp_path / "two")
    assert not (tmp_path / "two/gaps.csv").exists()
    cut = False
    asked.clear()
    again = run_here(structure.main, *flags, cwd=tmp_path / "two")
    assert_failed(again, 2, "2 of 1,100 crystals")
    assert asked == [f"x-{k}" for k in range(1000, 1100)]
    assert (tmp_path / "two/gaps.csv").read_bytes() == (tmp_path / "one/gaps.csv").read_bytes()


def test_json_lines_are_read_bit_by_bit(tmp_path: Path) -> None:
    silicon = {"cell": [3.84] * 3 + [60.0] * 3, "species": ["Si"] * 2, "frac": [[0] * 3, [0.25] * 3]}
    lines = [json.dumps({"material_id": f"x-{k}", "formula": "Si", **silicon}) for k in range(450)]
    (tmp_path / "many.jsonl").write_text("\n".join([*lines, "{"]))
    found = crystal_files.asked([tmp_path / "many.jsonl"])
    first = next(found)
    assert first.name == "x-0" and records.structure(first.crystal).formula == "Si2"  # type: ignore[arg-type]
    with pytest.raises(Exception, match="line 451: not JSON"):
        list(found)


def test_what_holds_no_crystals_is_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    storage.write(pd.DataFrame({"formula": ["Si"], "band_gap": [1.1]}), tmp_path / "formulas.json")
    for name, message in (("empty", "empty: no structure files"), ("formulas.json", "no column structure")):
        assert_failed(run_here(structure.main, "--weights", model, "--predict", name, cwd=tmp_path), 2, message)


def test_a_cluster_answers_as_this_process_does(
    model: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "CHUNK", 20)
    crystals()[0].to(str(tmp_path / "first.cif"))
    (tmp_path / "bad.cif").write_text("data_\n")
    rows = storage.read_records(many).head(45)
    storage.write(rows, tmp_path / "some.json.gz")
    ask = ["--weights", model, "--predict", "first.cif", "bad.cif", "some.json.gz", "--csv"]
    here = run_here(structure.main, *ask, "here.csv", cwd=tmp_path)
    with LocalCluster(
        n_workers=2, processes=False, protocol="tcp", dashboard_address=":0", threads_per_worker=2
    ) as cluster:
        there = run_here(structure.main, *ask, "there.csv", "--dask", cluster.scheduler_address, cwd=tmp_path)
    assert "2 of 47 crystals could not be predicted" in there.stderr and "bad.cif: not a structure" in there.stderr
    assert here.stderr == there.stderr
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_a_folder_that_was_cut_off_goes_on_without_reading_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        diamond("Si", 5.3 + number / 100).to(str(tmp_path / f"{number}.cif"))
    monkeypatch.setattr(prediction, "CHUNK", 2)
    read: list[str] = []
    own = crystal_files.read_structure

    def counted(path: Path) -> object:
        if len(read) == stop:
            raise KeyboardInterrupt
        read.append(path.name)
        return own(path)

    monkeypatch.setattr(crystal_files, "read_structure", counted)
    flags = ["--weights", model, "--predict", ".", "--csv", "out/gaps.csv"]
    stop = 3
    assert run_here(structure.main, *flags, cwd=tmp_path).returncode == 130
    stop, read[:] = 99, []
    result = run_here(structure.main, *flags, cwd=tmp_path)
    assert result.returncode == 0 and "going on after 2 of 5 crystals" in result.stderr
    assert read == ["2.cif", "3.cif", "4.cif"]
    assert pd.read_csv(tmp_path / "out/gaps.csv")["name"].tolist() == [f"{number}.cif" for number in range(5)]
