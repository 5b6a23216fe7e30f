"""structure.py as a user runs it, and killed as a user's machine may do it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, SAMPLE, Script, assert_failed
from pymatgen.core import Lattice, Structure

import structure
from bandgaps.errors import InputError
from bandgaps.structure import model_files, neighbors, training_set
from bandgaps.table import cleaning, columns, splitting, storage

FLAGS = ["--data", "table.json.gz", "--epochs", "6", "--patience", "6", "--members", "2", "--batch-size", "16"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty crystals of the sample, split."""
    path = tmp_path_factory.mktemp("table") / "table.json.gz"
    rows = cleaning.clean(storage.read(SAMPLE), "band_gap")[0].iloc[:80].reset_index(drop=True)
    storage.write(rows.assign(split=splitting.split(columns.is_metal(rows), 3)), path)
    return path


def run(folder: Path, *arguments: object) -> None:
    """Run the script in this process, which has loaded TensorFlow already, in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        structure.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the script has trained a model."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "table.json.gz").write_bytes(table.read_bytes())
    run(folder, *FLAGS)
    return folder


def test_a_trained_model_is_scored_on_the_test_rows(trained: Path) -> None:
    rows = storage.read(trained / "table.json.gz")
    test = rows[rows["split"] == "test"]
    model = model_files.load(trained / "data/models/megnet-band_gap")
    assert len(model.members) == 2
    assert model.card["trained_on"]["rows"] == (rows["split"] == "train").sum()
    assert model.formulas is not None
    assert set(model.formulas) == set(rows["formula"][rows["split"] != "test"])
    predicted, std = model.predict(neighbors.build(list(test["structure"]), 4.0))

    error = predicted - test["band_gap"].to_numpy()
    gapped = test["band_gap"].to_numpy() > 0
    scores = json.loads((trained / "data/metrics/structure.json").read_text())
    assert scores["all"]["mae"] == pytest.approx(np.abs(error).mean(), abs=1e-4)
    assert scores["all"]["n"] == len(test)
    assert scores["non-metals"]["rmse"] == pytest.approx(np.sqrt((error[gapped] ** 2).mean()), abs=1e-4)
    assert scores["non-metals"]["n"] == gapped.sum()
    train_mean = rows["band_gap"][rows["split"] == "train"].mean()
    assert scores["mean_guess_mae"] == pytest.approx(np.abs(test["band_gap"] - train_mean).mean(), abs=1e-4)
    assert "trust none" in scores["note"]

    parity = pd.read_csv(trained / "figures/structure-parity.csv")
    np.testing.assert_allclose(parity["band_gap_predicted"], predicted, atol=1e-4)
    np.testing.assert_allclose(parity["band_gap_std"], std, atol=1e-4)
    curve = pd.read_csv(trained / "figures/structure-learning-curve.csv")
    assert curve.groupby("member")["epoch"].apply(list).tolist() == [[1, 2, 3, 4, 5, 6]] * 2
    for name in ("structure-parity", "structure-learning-curve"):
        assert (trained / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
    assert not list(trained.glob("data/models/*.checkpoints"))


def test_a_killed_training_goes_on_and_ends_the_same(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "table.json.gz").write_bytes((trained / "table.json.gz").read_bytes())
    command = [sys.executable, str(ROOT / "structure.py"), *FLAGS]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    checkpoints = tmp_path / "data/models/megnet-band_gap.checkpoints"
    while not (checkpoints / "member-0.npz").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "data/models/megnet-band_gap").exists()

    with pytest.raises(InputError, match=r"other learning_rate\).*--restart"):
        run(tmp_path, *FLAGS, "--learning-rate", "0.01")
    done = len(np.load(checkpoints / "member-0.npz")["history"])
    assert 1 <= done <= 6
    run(tmp_path, *FLAGS)
    whole = pd.read_csv(trained / "figures/structure-learning-curve.csv")
    resumed = pd.read_csv(tmp_path / "figures/structure-learning-curve.csv")
    pd.testing.assert_frame_equal(resumed, whole, atol=1e-3)
    built = neighbors.build(list(storage.read(tmp_path / "table.json.gz")["structure"]), 4.0)
    for one, two in zip(
        *(model_files.load(folder / "data/models/megnet-band_gap").predict(built) for folder in (trained, tmp_path)),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, atol=2e-3)


def test_restart_begins_anew(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "table.json.gz").write_bytes((trained / "table.json.gz").read_bytes())
    checkpoints = tmp_path / "model.checkpoints"
    checkpoints.mkdir()
    (checkpoints / "training.json").write_text('{"epochs": 99}')
    flags = [*FLAGS[:2], "--epochs", "1", "--members", "1", "--output", "model"]
    with pytest.raises(InputError, match="checkpoints of another training"):
        run(tmp_path, *flags)
    run(tmp_path, *flags, "--restart")
    assert (tmp_path / "model/member-0.npz").exists()
    assert not checkpoints.exists()


def test_evaluating_another_table_tells_seen_formulas_from_unseen(trained: Path, tmp_path: Path) -> None:
    rows = storage.read(trained / "table.json.gz").drop(columns="split").iloc[:20]
    storage.write(rows, tmp_path / "other.json.gz")
    model = trained / "data/models/megnet-band_gap"
    run(tmp_path, "--weights", model, "--evaluate", "other.json.gz")
    scores = json.loads((tmp_path / "data/metrics/structure-other.json").read_text())
    seen = set(model_files.load(model).formulas.tolist())  # type: ignore[union-attr]
    assert scores["all"]["n"] == 20
    assert scores["unseen"]["all"]["n"] == sum(formula not in seen for formula in rows["formula"])
    assert (tmp_path / "figures/structure-other-parity.pdf").exists()


def test_predicting_files(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silicon = Structure(Lattice.cubic(2.7), ["Si"], [[0, 0, 0]])
    salt = Structure(Lattice.cubic(3.4), ["Na", "Cl"], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    silicon.to(str(tmp_path / "si.cif"))
    salt.to(str(tmp_path / "POSCAR"), fmt="poscar")
    model = trained / "data/models/megnet-band_gap"
    run(tmp_path, "--weights", model, "--predict", "si.cif", "POSCAR")
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["file", "formula", "megnet-band_gap", "(eV)"]
    mean, std = model_files.load(model).predict(neighbors.build([silicon, salt], 4.0))
    for line, name, formula, gap, sigma in zip(lines, ("si.cif", "POSCAR"), ("Si", "NaCl"), mean, std, strict=True):
        found = line.split()
        assert found[:2] == [name, formula]
        assert float(found[2]) == pytest.approx(gap, abs=2e-3)
        assert float(found[4]) == pytest.approx(sigma, abs=2e-3)


def test_structure_files_that_cannot_be_used_are_named(trained: Path, tmp_path: Path) -> None:
    model = trained / "data/models/megnet-band_gap"
    Structure(Lattice.cubic(9), ["Xe"], [[0, 0, 0]]).to(str(tmp_path / "alone.cif"))
    (tmp_path / "text.cif").write_text("no crystal")
    (tmp_path / "empty.cif").write_text("")
    for name, message in {
        "alone.cif": r"alone\.cif: atom 0 \(Xe\) has no neighbour",
        "text.cif": r"text\.cif: not a structure",
        "empty.cif": r"empty\.cif: not a structure",
        "nowhere.cif": r"nowhere\.cif: no such file",
    }.items():
        with pytest.raises(InputError, match=message):
            run(tmp_path, "--weights", model, "--predict", name)


def test_rows_with_an_isolated_atom_are_named(table: Path, tmp_path: Path) -> None:
    rows = storage.read(table).drop(columns="split")
    alone = Structure(Lattice.cubic(9), ["Xe"], [[0, 0, 0]])
    rows.loc[80] = {**rows.iloc[0], "formula": "Xe", "structure": alone}
    storage.write(rows.assign(split="train"), tmp_path / "table.json.gz")
    with pytest.raises(InputError, match=r"table\.json\.gz: row 80 \(Xe\): atom 0 \(Xe\) has no neighbour within 4 Å"):
        run(tmp_path, "--data", "table.json.gz")


def test_published_weights_are_no_test(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained / "data/models/megnet-band_gap"
    copy = tmp_path / "model"
    copy.mkdir()
    for file in model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    card = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps({**card, "published": True}))
    run(tmp_path, "--data", trained / "table.json.gz", "--weights", copy)
    assert "no test" in capsys.readouterr().out
    assert "no test" in json.loads((tmp_path / "data/metrics/structure.json").read_text())["note"]


def test_wrong_flags_are_bad_usage(script: Script) -> None:
    for flags in (["--epochs", "0"], ["--cutoff", "-1"], ["--learning-rate", "nan"], ["--fidelity", "magic"]):
        result = script("structure.py", *flags)
        assert result.returncode == 2
        assert flags[0] in result.stderr


def test_without_a_model_the_way_to_one_is_named(script: Script, tmp_path: Path) -> None:
    Structure(Lattice.cubic(3), ["Si"], [[0, 0, 0]]).to(str(tmp_path / "si.cif"))
    assert_failed(script("structure.py", "--predict", "si.cif"), 2, "data/models/megnet-band_gap", "train one")


def test_a_table_without_training_rows_is_bad_input(table: Path, tmp_path: Path) -> None:
    storage.write(storage.read(table).assign(split="test"), tmp_path / "table.json.gz")
    with pytest.raises(InputError, match="no training rows"):
        run(tmp_path, "--data", "table.json.gz")


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the script has learnt PBE gaps and, of some crystals, measured ones that are twice as large."""
    folder = tmp_path_factory.mktemp("levels")
    rows = cleaning.clean(storage.read(SAMPLE), "band_gap")[0]
    rows = rows[rows["band_gap"] > 0].iloc[:160].reset_index(drop=True)
    measured = rows["band_gap"].where(rows.index % 2 == 0) * 2
    energy = rows["band_gap"] - 3
    split = np.where(rows.index % 5 == 0, "test", np.where(rows.index % 5 == 1, "validation", "train"))
    rows = rows.assign(band_gap_experiment=measured, formation_energy_per_atom=energy, split=split)
    storage.write(rows, folder / "table.json.gz")
    flags = ["--members", "2", "--epochs", "60", "--batch-size", "16", "--learning-rate", "0.003"]
    run(folder, "--data", "table.json.gz", "--fidelities", "pbe", "experiment", *flags)
    return folder


def test_levels_of_theory_are_learnt_together(levels: Path) -> None:
    model = model_files.load(levels / "data/models/megnet-band_gap")
    assert model.hyperparameters.fidelities == ("pbe", "experiment")
    assert set(model.calibrations) == {"pbe", "experiment"}
    rows = storage.read(levels / "table.json.gz")
    test = rows[rows["split"] == "test"]
    built = neighbors.build(list(test["structure"]), 4.0)
    calculated, measured = (model.predict(built, level) for level in ("pbe", "experiment"))
    assert measured[0].mean() / calculated[0].mean() == pytest.approx(2, abs=0.4)

    scores = json.loads((levels / "data/metrics/structure.json").read_text())
    assert scores["fidelity"] == "pbe"
    assert set(scores["fidelities"]) == {"pbe", "experiment"}
    known = test["band_gap_experiment"].notna().to_numpy()
    found = scores["fidelities"]["experiment"]["all"]
    error = np.abs(measured[0] - test["band_gap_experiment"].to_numpy())[known]
    assert found["n"] == known.sum()
    assert found["mae"] == pytest.approx(error.mean(), abs=1e-4)
    assert found["within_68"] == pytest.approx(np.mean(error <= measured[1][known]))
    wide = model.calibration("experiment").wide
    assert found["within_95"] == pytest.approx(np.mean(error <= wide * measured[1][known]))
    assert found["within_68"] < found["within_95"]


def test_one_level_can_be_scored_alone(levels: Path, tmp_path: Path) -> None:
    model = levels / "data/models/megnet-band_gap"
    run(tmp_path, "--data", levels / "table.json.gz", "--weights", model, "--fidelity", "experiment")
    one = json.loads((tmp_path / "data/metrics/structure.json").read_text())
    all_levels = json.loads((levels / "data/metrics/structure.json").read_text())
    assert one["fidelity"] == "experiment"
    assert one["all"] == all_levels["fidelities"]["experiment"]["all"]
    with pytest.raises(InputError, match=r"--fidelity hse: not known to this model; it knows pbe, experiment"):
        run(tmp_path, "--data", levels / "table.json.gz", "--weights", model, "--fidelity", "hse")


def test_estimates_of_measured_gaps_are_learnt_as_such_but_with_less_weight(levels: Path) -> None:
    rows = storage.read_records(levels / "table.json.gz")
    rows = rows.assign(band_gap_experiment_estimate=(rows["band_gap"] * 3).where(rows["band_gap_experiment"].isna()))
    built = neighbors.build([Structure.from_dict(record) for record in rows["structure"]], 4.0)
    estimates = rows[rows["band_gap_experiment_estimate"].notna()]
    columns, known = ["band_gap", "band_gap_experiment"], ["pbe", "experiment"]
    fitted = training_set.training_rows(rows, built, columns, known)
    assert len(fitted.targets) == len(fitted.graphs) == 2 * len(rows)
    assert fitted.passes is not None and fitted.companion is not None
    measured, estimated = fitted.levels == 1, np.arange(2 * len(rows)) >= 2 * len(rows) - len(estimates)
    assert measured[estimated].all()
    assert fitted.targets[estimated].tolist() == estimates["band_gap_experiment_estimate"].tolist()
    assert fitted.companion[estimated].tolist() == estimates["formation_energy_per_atom"].tolist()
    assert fitted.passes[estimated].max() < fitted.passes[measured & ~estimated].min() / 2

    alone = training_set.training_rows(rows, built, ["band_gap"], [])
    assert alone.targets.tolist() == rows["band_gap"].tolist()


def test_a_level_that_the_table_lacks_is_named(levels: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"table\.json\.gz: no column band_gap_hse"):
        run(tmp_path, "--data", levels / "table.json.gz", "--fidelities", "pbe", "hse")
