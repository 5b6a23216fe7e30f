"""structure.py --tune, on a few crystals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import SAMPLE, assert_failed, call, run_here

import structure
from bandgaps.files import read_json
from bandgaps.structure import training, tuning
from bandgaps.table import cleaning, storage

FLAGS = ["--data", "table.json.gz", "--epochs", "4", "--tune", "2", "--cutoff", "4"]


def test_rungs_double_and_end_in_full_training() -> None:
    assert tuning.rungs(8, 40) == [5, 10, 20, 40]
    assert tuning.rungs(1, 40) == [40]
    assert tuning.rungs(64, 8) == [2, 4, 8]
    assert tuning.rungs(4, 1) == [1]


def test_trials_are_drawn_by_the_seed() -> None:
    first, *others = tuning.drawn(20, 3)
    assert first == {} and tuning.drawn(20, 3)[1:] == others != tuning.drawn(20, 4)[1:]
    for name, values in tuning.TRIED.items():
        assert {trial[name] for trial in others} <= set(values)
        assert len({trial[name] for trial in others}) > 1


def test_the_better_half_goes_on_and_what_is_done_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = cleaning.clean(storage.read(SAMPLE), "band_gap")[0].iloc[:40].reset_index(drop=True)
    split = np.array(["train", "train", "validation", "test"])[rows.index % 4]
    storage.write(rows.assign(split=split), tmp_path / "table.json.gz")
    monkeypatch.setitem(tuning.TRIED, "units", ((8, 4, 2), (12, 6, 3)))
    call(structure.main, *FLAGS, cwd=tmp_path)
    found = pd.read_csv(tmp_path / "data/metrics/structure-tuning.csv")
    assert found["epochs"].tolist() == [4, 2]
    assert (found["validation_mae"] > 0).all()
    folder = tmp_path / "data/models/megnet-band_gap.trials"
    trials = {path.name for path in folder.glob("*.json")}
    assert trials == {"trial-0-2.json", "trial-1-2.json", f"trial-{found['trial'][0]}-4.json"}
    short = {number: read_json(folder / f"trial-{number}-2.json")["validation_mae"] for number in (0, 1)}
    assert found["trial"][0] == min(short, key=lambda number: short[number])

    monkeypatch.setattr(training, "fit", lambda *_, **__: pytest.fail("a trial was trained again"))
    call(structure.main, *FLAGS, cwd=tmp_path)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "data/metrics/structure-tuning.csv"), found)
    stored = next((tmp_path / "data/models/megnet-band_gap.trials").glob("trial-0-2.json"))
    stored.write_text(json.dumps({"of": {}, "validation_mae": 0.0}))
    assert_failed(run_here(structure.main, *FLAGS, cwd=tmp_path), 2, "trial-0-2.json", "begin anew")
