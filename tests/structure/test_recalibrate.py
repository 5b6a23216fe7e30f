"""Calibrating a trained model anew, as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import SAMPLE

from bandgaps.errors import InputError
from bandgaps.formulas import composition_keys
from bandgaps.structure import calibration, model_files, neighbors, network, recalibrate, training_set
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.ensemble import Model
from bandgaps.table import cleaning, storage

SMALL = network.Hyperparameters(blocks=1, units=(8, 8, 4), set2set_steps=1)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Crystals with a split that has no part for calibration, and a second polymorph of some test rows."""
    rows = cleaning.clean(storage.read(SAMPLE), "band_gap")[0].iloc[:240].reset_index(drop=True)
    rows = rows.assign(split=np.array(["train", "validation", "test", "test"])[rows.index % 4])
    again = rows[rows["split"] == "test"].iloc[:30]
    strained = [crystal.copy().scale_lattice(1.02 * crystal.volume) for crystal in again["structure"]]
    return pd.concat([rows, again.assign(structure=strained)], ignore_index=True)


@pytest.fixture
def folder(table: pd.DataFrame, tmp_path: Path) -> Path:
    """A folder with the table and a model that might have been trained on it, but for its weights."""
    storage.write(table, tmp_path / "table.json.gz")
    generator = np.random.default_rng(0)
    members = [
        {name: generator.normal(0, 0.3, shape).astype(np.float32) for name, shape in SMALL.weight_shapes().items()}
        for _ in range(3)
    ]
    learnt = table[table["split"] == "train"]["band_gap"]
    seen = table[table["split"].isin(["train", "validation"])]["formula"].to_numpy(dtype=str)
    seen = np.append(seen, table[table["split"] == "test"]["formula"].iloc[0])
    mean, std = float(learnt.mean()), float(learnt.std(ddof=0))
    card = {"target": "band_gap", "trained_on": {"sha256": "kept"}, "bowing": {"kept": 1}}
    model = Model(SMALL, members, mean, std, card, seen, 0.0, {"": Calibration(1.0, 2.0, 3.0)})
    model_files.save(model, tmp_path / "model")
    return tmp_path


def run(folder: Path, *arguments: object) -> dict[str, object]:
    """Recalibrate the model, and return its card."""
    paths = ["--figures", folder / "figures", "--metrics", folder / "metrics"]
    recalibrate.main([str(each) for each in (folder / "model", folder / "table.json.gz", *paths, *arguments)])
    return json.loads((folder / "model/model.json").read_text())


def test_half_of_the_unseen_test_compositions_calibrate_and_the_others_are_scored(
    folder: Path, table: pd.DataFrame
) -> None:
    before = json.loads((folder / "model/model.json").read_text())
    model = model_files.load(folder / "model")
    parts = recalibrate.divided(table, model, 0)
    keys = composition_keys(table["formula"])
    own = {part: set(keys[parts == part]) for part in ("train", "validation", "seen", "calibration", "test")}
    assert all(not own["calibration"] & own[part] for part in own if part != "calibration")
    assert abs(len(own["calibration"]) - len(own["test"])) <= 1
    assert own["calibration"] | own["test"] | own["seen"] == set(keys[table["split"] == "test"])
    assert (parts == "seen").any()
    assert (recalibrate.divided(table, model, 1) != parts).any()

    card = run(folder)
    rows = table[parts == "calibration"]
    gap, spread = model.mean_and_spread(neighbors.build(list(rows["structure"]), 4.0))
    seen_gap = gap > 0
    found = calibration.fit(
        (gap - rows["band_gap"].to_numpy())[seen_gap], spread[seen_gap], keys[parts == "calibration"][seen_gap]
    )
    assert card["calibrations"][""]["scale"] == pytest.approx(found.scale, rel=1e-4)  # type: ignore[index]
    assert card["calibrations"][""]["compositions"] == found.compositions  # type: ignore[index]
    scores = json.loads((folder / "metrics/structure.json").read_text())
    assert scores["all"]["n"] == (parts == "test").sum()
    assert scores["all"]["compositions"] == len(own["test"])
    test = table[parts == "test"]
    gap, std = model_files.load(folder / "model").predict(neighbors.build(list(test["structure"]), 4.0))
    error = np.abs(gap - test["band_gap"].to_numpy())
    assert scores["all"]["mae"] == pytest.approx(error.mean(), rel=1e-4)
    shares = pd.Series(error <= std).groupby(keys[parts == "test"]).mean()
    assert scores["all"]["within_68"] == pytest.approx(shares.mean())
    assert card["test"]["all"] == scores["all"]  # type: ignore[index]
    assert (folder / "figures/structure-parity.pdf").exists()

    assert {name: card[name] for name in ("sha256", "bowing", "mean")} == {
        n: before[n] for n in ("sha256", "bowing", "mean")
    }
    known = training_set.summary(table[table["split"] == "train"], ["band_gap"], [])
    assert card["trained_on"] == {"sha256": "kept", **known}


def test_the_rows_that_a_table_has_for_calibration_calibrate(folder: Path, table: pd.DataFrame) -> None:
    model = model_files.load(folder / "model")
    split = table["split"].to_numpy(dtype=object).copy()
    keys = composition_keys(table["formula"])
    chosen = np.isin(keys, np.unique(keys[split == "test"])[::3])
    split[chosen] = "calibration"
    parts = recalibrate.divided(table.assign(split=split), model, 0)
    assert set(parts[split == "calibration"]) <= {"calibration", "seen"}
    assert set(parts[split == "test"]) <= {"test", "seen"}


def test_another_table_says_nothing_of_the_training(folder: Path, table: pd.DataFrame) -> None:
    storage.write(table.assign(band_gap=table["band_gap"] + 0.1), folder / "table.json.gz")
    card = run(folder)
    assert card["trained_on"] == {"sha256": "kept"}
    assert "validation_mae" not in card
    assert card["calibrations"][""]["compositions"] > 0  # type: ignore[index]


def test_a_table_with_nothing_unseen_leaves_sigma_alone(folder: Path, table: pd.DataFrame) -> None:
    before = (folder / "model/model.json").read_bytes()
    for rows, message in ((table[table["split"] != "test"], "no test row"), (table.iloc[:60], "too few compositions")):
        storage.write(rows, folder / "table.json.gz")
        with pytest.raises(InputError, match=rf"table\.json\.gz: .*{message}"):
            run(folder)
    assert (folder / "model/model.json").read_bytes() == before


def test_what_is_no_model_of_our_own_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "model")
    with pytest.raises(InputError, match="model: no such file or folder"):
        run(folder)
