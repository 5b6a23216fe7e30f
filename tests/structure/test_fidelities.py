"""structure.py with calculated and measured gaps, which it learns together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import SAMPLE, call
from pymatgen.core import Structure

import structure
from bandgaps.errors import InputError
from bandgaps.structure import calibration, model_files, neighbors, training_set
from bandgaps.table import cleaning, storage


def run(folder: Path, *arguments: object) -> None:
    call(structure.main, *arguments, cwd=folder)


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the script has learnt PBE gaps and, of half of them, measured ones that are twice as large."""
    folder = tmp_path_factory.mktemp("levels")
    rows = cleaning.clean(storage.read(SAMPLE), "band_gap")[0]
    rows = rows[rows["band_gap"] > 0].iloc[:200].reset_index(drop=True)
    measured = rows["band_gap"].where(rows.index % 2 == 0) * 2  # of 20 compositions to calibrate on
    energy = rows["band_gap"] - 3
    split = np.array(["test", "validation", "calibration", "train", "train"])[rows.index % 5]
    rows = rows.assign(band_gap_experiment=measured, formation_energy_per_atom=energy, split=split)
    storage.write(rows, folder / "table.json.gz")
    flags = ["--members", "2", "--epochs", "20", "--batch-size", "16", "--learning-rate", "0.006"]
    run(folder, "--data", "table.json.gz", "--fidelities", "pbe", "experiment", *flags)
    return folder


def test_fidelities_are_learnt_together(levels: Path) -> None:
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


def test_each_fidelity_is_compared_with_its_own_mean(levels: Path) -> None:
    rows = storage.read(levels / "table.json.gz")
    train, test = (rows[rows["split"] == part] for part in ("train", "test"))
    scores = json.loads((levels / "data/metrics/structure.json").read_text())
    for fidelity, column in (("pbe", "band_gap"), ("experiment", "band_gap_experiment")):
        expected = (test[column] - train[column].mean()).abs().mean()
        assert scores["fidelities"][fidelity]["mean_guess_mae"] == pytest.approx(expected)
    assert scores["mean_guess_mae"] == scores["fidelities"]["pbe"]["mean_guess_mae"]
    about = model_files.load(levels / "data/models/megnet-band_gap").card["trained_on"]
    assert about["gaps"] == {"pbe": len(train), "experiment": train["band_gap_experiment"].notna().sum()}


def test_rows_that_are_for_nothing_else_calibrate_sigma(levels: Path) -> None:
    model = model_files.load(levels / "data/models/megnet-band_gap")
    rows = storage.read(levels / "table.json.gz")
    rows = rows[rows["split"] == "calibration"]
    assert model.formulas is not None and not model.has_seen(rows["formula"]).any()
    built = neighbors.build(list(rows["structure"]), 4.0)
    for fidelity, column in (("pbe", "band_gap"), ("experiment", "band_gap_experiment")):
        known = rows[column].notna().to_numpy()
        gap, spread = model.mean_and_spread(built.select(known), fidelity)
        assert (gap > 0).all()
        found = calibration.fit(gap - rows[column].to_numpy()[known], spread, rows["formula"][known].to_numpy())
        used = model.calibrations[fidelity]
        assert used.compositions == found.compositions == known.sum()
        assert (used.floor, used.scale, used.wide) == pytest.approx((found.floor, found.scale, found.wide), rel=1e-3)


def test_compositions_are_seen_however_they_are_spelled(levels: Path) -> None:
    model = model_files.load(levels / "data/models/megnet-band_gap")
    model = replace(model, formulas=np.array(["SiGe", "AlGaN2"]))
    formulas = ["GeSi", "Si2Ge2", "Al0.5Ga0.5N", "Si", "GaN"]
    assert model.has_seen(formulas).tolist() == [True, True, True, False, False]
    assert not replace(model, formulas=None).has_seen(formulas).any()


def test_one_fidelity_can_be_scored_alone(levels: Path, tmp_path: Path) -> None:
    model = levels / "data/models/megnet-band_gap"
    run(tmp_path, "--data", levels / "table.json.gz", "--weights", model, "--fidelity", "experiment")
    one = json.loads((tmp_path / "data/metrics/structure.json").read_text())
    all_levels = json.loads((levels / "data/metrics/structure.json").read_text())
    assert one["fidelity"] == "experiment"
    assert one["all"] == all_levels["fidelities"]["experiment"]["all"]
    with pytest.raises(InputError, match=r"--fidelity hse: not known to this model; it knows pbe, experiment"):
        run(tmp_path, "--data", levels / "table.json.gz", "--weights", model, "--fidelity", "hse")


def test_pseudo_labels_are_learnt_as_measured_gaps_but_with_less_weight(levels: Path) -> None:
    rows = storage.read_records(levels / "table.json.gz")
    rows = rows.assign(band_gap_experiment_estimate=(rows["band_gap"] * 3).where(rows["band_gap_experiment"].isna()))
    built = neighbors.build([Structure.from_dict(record) for record in rows["structure"]], 4.0)
    estimates = rows[rows["band_gap_experiment_estimate"].notna()]
    columns, known = ["band_gap", "band_gap_experiment"], ["pbe", "experiment"]
    fitted = training_set.training_rows(rows, built, columns, known)
    assert len(fitted.targets) == len(fitted.graphs) == 2 * len(rows)
    assert fitted.sampling_weights is not None and fitted.auxiliary is not None
    measured, estimated = fitted.fidelities == 1, np.arange(2 * len(rows)) >= 2 * len(rows) - len(estimates)
    assert measured[estimated].all()
    assert fitted.targets[estimated].tolist() == estimates["band_gap_experiment_estimate"].tolist()
    assert fitted.auxiliary[estimated].tolist() == estimates["formation_energy_per_atom"].tolist()
    assert fitted.sampling_weights[estimated].max() < fitted.sampling_weights[measured & ~estimated].min() / 2

    alone = training_set.training_rows(rows, built, ["band_gap"], [])
    assert alone.targets.tolist() == rows["band_gap"].tolist()


def test_a_fidelity_that_the_table_lacks_is_named(levels: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"table\.json\.gz: no column band_gap_hse"):
        run(tmp_path, "--data", levels / "table.json.gz", "--fidelities", "pbe", "hse")
