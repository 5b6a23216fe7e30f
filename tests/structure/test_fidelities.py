"""structure.py with gaps of two levels of theory, which it learns together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import SAMPLE, call

import structure
from bandgaps.errors import InputError
from bandgaps.formulas import composition_keys
from bandgaps.structure import calibration, model_files, neighbors
from bandgaps.table import cleaning, storage


def run(folder: Path, *arguments: object) -> None:
    call(structure.main, *arguments, cwd=folder)


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the script has learnt PBE gaps and, of half of them, HSE ones that are twice as large."""
    folder = tmp_path_factory.mktemp("levels")
    rows = cleaning.clean(storage.read(SAMPLE), "band_gap")[0]
    rows = rows[rows["band_gap"] > 0].iloc[:260].reset_index(drop=True)
    hse = rows["band_gap"].where(rows.index % 2 == 0) * 2  # of 20 compositions to calibrate on
    energy = rows["band_gap"] - 3
    split = np.array(["test", "validation", "calibration", "train", "train"])[rows.index % 5]
    apart = rows.index >= 200
    measured = (1 + 3 * rows["band_gap"]).where(apart & (rows.index % 3 > 0), 0.0).where(apart)
    rows = rows.assign(band_gap_hse=hse, formation_energy_per_atom=energy, split=np.where(apart, "measured", split))
    rows = rows.assign(band_gap_experiment=measured, band_gap_experiment_std=0.1)
    storage.write(rows, folder / "table.json.gz")
    flags = ["--members", "2", "--epochs", "20", "--batch-size", "16", "--learning-rate", "0.006"]
    run(folder, "--data", "table.json.gz", "--fidelities", "pbe", "hse", *flags)
    return folder


def test_fidelities_are_learnt_together(levels: Path) -> None:
    model = model_files.load(levels / "data/models/megnet-band_gap")
    assert model.hyperparameters.fidelities == ("pbe", "hse")
    assert set(model.calibrations) == {"pbe", "hse"}
    rows = storage.read(levels / "table.json.gz")
    test = rows[rows["split"] == "test"]
    built = neighbors.build(list(test["structure"]), 4.0)
    pbe, hse = (model.predict(built, level) for level in ("pbe", "hse"))
    assert hse[0].mean() / pbe[0].mean() == pytest.approx(2, abs=0.4)

    scores = json.loads((levels / "data/metrics/structure.json").read_text())
    assert scores["fidelity"] == "pbe"
    assert set(scores["fidelities"]) == {"pbe", "hse"}
    known = test["band_gap_hse"].notna().to_numpy()
    found = scores["fidelities"]["hse"]["all"]
    error = np.abs(hse[0] - test["band_gap_hse"].to_numpy())[known]
    assert found["n"] == known.sum()
    assert found["mae"] == pytest.approx(error.mean(), abs=1e-4)
    assert found["within_68"] == pytest.approx(np.mean(error <= hse[1][known]))
    wide = model.calibration("hse").wide
    assert found["within_95"] == pytest.approx(np.mean(error <= wide * hse[1][known]))
    assert found["within_68"] < found["within_95"]


def test_each_fidelity_is_compared_with_its_own_mean(levels: Path) -> None:
    rows = storage.read(levels / "table.json.gz")
    train, test = (rows[rows["split"] == part] for part in ("train", "test"))
    scores = json.loads((levels / "data/metrics/structure.json").read_text())
    for fidelity, column in (("pbe", "band_gap"), ("hse", "band_gap_hse")):
        expected = (test[column] - train[column].mean()).abs().mean()
        assert scores["fidelities"][fidelity]["mean_guess_mae"] == pytest.approx(expected)
    assert scores["mean_guess_mae"] == scores["fidelities"]["pbe"]["mean_guess_mae"]
    about = model_files.load(levels / "data/models/megnet-band_gap").card["trained_on"]
    assert about["gaps"] == {"pbe": len(train), "hse": train["band_gap_hse"].notna().sum()}


def test_rows_that_are_for_nothing_else_calibrate_sigma(levels: Path) -> None:
    model = model_files.load(levels / "data/models/megnet-band_gap")
    rows = storage.read(levels / "table.json.gz")
    rows = rows[rows["split"] == "calibration"]
    assert model.formulas is not None and not model.has_seen(rows["formula"]).any()
    built = neighbors.build(list(rows["structure"]), 4.0)
    for fidelity, column in (("pbe", "band_gap"), ("hse", "band_gap_hse")):
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
    run(tmp_path, "--data", levels / "table.json.gz", "--weights", model, "--fidelity", "hse")
    one = json.loads((tmp_path / "data/metrics/structure.json").read_text())
    all_levels = json.loads((levels / "data/metrics/structure.json").read_text())
    assert one["fidelity"] == "hse"
    assert one["all"] == all_levels["fidelities"]["hse"]["all"]
    with pytest.raises(InputError, match=r"--fidelity snumat: megnet-band_gap does not know it; it knows pbe, hse"):
        run(tmp_path, "--data", levels / "table.json.gz", "--weights", model, "--fidelity", "snumat")


def test_measured_gaps_are_learnt_on_top_of_calculated_ones(levels: Path) -> None:
    rows = storage.read(levels / "table.json.gz")
    rows = rows[rows["split"] == "measured"]
    model = model_files.load(levels / "data/models/megnet-band_gap")
    assert model.fidelities == ("pbe", "hse", "experiment") and model.measured is not None
    assert not model.has_seen(rows["formula"]).any()
    assert sorted(model.measured.composition) == sorted(composition_keys(rows["formula"]))
    known = rows["band_gap_experiment"].to_numpy()
    found = model.distribution(neighbors.build(list(rows["structure"]), 4.0))
    np.testing.assert_allclose(found.median[known > 0], known[known > 0], atol=0.4)
    assert (found.median == 0)[known == 0].mean() > 0.8
    scores = json.loads((levels / "data/metrics/structure.json").read_text())["measured"]
    assert scores["all"]["n"] == len(rows) and scores["non-metals"]["n"] == (known > 0).sum() < len(rows)
    assert scores["non-metals"]["mae"] > 2 * np.abs(found.median - known)[known > 0].mean()  # harder when left out


def test_a_fidelity_that_the_table_lacks_is_named(levels: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"table\.json\.gz: no column band_gap_hse_snumat"):
        run(tmp_path, "--data", levels / "table.json.gz", "--fidelities", "pbe", "snumat")


def test_measured_metals_alone_are_refused_before_the_training(levels: Path, tmp_path: Path) -> None:
    rows = storage.read(levels / "table.json.gz")
    storage.write(rows.assign(band_gap_experiment=rows["band_gap_experiment"] * 0), tmp_path / "table.json.gz")
    with pytest.raises(InputError, match=r"table\.json\.gz: fewer than two compositions have a measured gap above 0"):
        run(tmp_path, "--data", "table.json.gz", "--fidelities", "pbe", "hse")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [("band_gap_experiment", "wide"), ("band_gap_experiment", -1.0), ("band_gap_experiment_std", 0.0)],
)
def test_a_measured_gap_that_cannot_be_learnt_is_said_before_the_training(
    levels: Path, tmp_path: Path, column: str, value: object
) -> None:
    rows = storage.read(levels / "table.json.gz").astype({column: object})
    row = rows.index[rows["split"] == "measured"][3]
    rows.loc[row, column] = value
    storage.write(rows, tmp_path / "table.json.gz")
    found = repr(value)
    with pytest.raises(
        InputError, match=rf"table\.json\.gz: row {row} \(\w+\): {column} is {found}, not a number from"
    ):
        run(tmp_path, "--data", "table.json.gz", "--fidelities", "pbe", "hse")
    assert not (tmp_path / "data").exists()
