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
from helpers import ROOT, SAMPLE, assert_failed, call, run_here
from pymatgen.core import Lattice, Structure

import structure
from bandgaps.errors import InputError
from bandgaps.structure import model_files, neighbors
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
    call(structure.main, *arguments, cwd=folder)


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
    learnt = rows["band_gap"][rows["split"] == "train"]
    about = model.card["trained_on"]
    assert (about["rows"], about["gaps"]) == (len(learnt), {"band_gap": len(learnt)})
    assert about["means"] == {"band_gap": pytest.approx(learnt.mean())}
    assert model.formulas is not None
    assert set(model.formulas) == set(rows["formula"][rows["split"].isin(["train", "validation"])])
    validation = rows[rows["split"] == "validation"]
    gaps, _ = model.predict(neighbors.build(list(validation["structure"]), 4.0))
    error = np.abs(gaps - validation["band_gap"].to_numpy()).mean()
    assert model.card["validation_mae"] == {"band_gap": pytest.approx(error, abs=1e-4)}
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


def test_a_training_has_its_checkpoints_alone_and_goes_on_where_it_was_killed(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "table.json.gz").write_bytes((trained / "table.json.gz").read_bytes())
    command = [sys.executable, str(ROOT / "structure.py"), *FLAGS]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    checkpoints = tmp_path / "data/models/megnet-band_gap.checkpoints"
    while not (checkpoints / "member-0.npz").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)  # it is at work still, and comes to no end
    try:
        for more in ([], ["--restart"]):
            second = run_here(structure.main, *FLAGS, *more, cwd=tmp_path)
            assert_failed(second, 1, "megnet-band_gap.checkpoints", "another run is training")
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "data/models/megnet-band_gap").exists()

    with pytest.raises(InputError, match=r"other learning_rate\).*--restart"):  # the folder is free again
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
    assert heading.split()[:3] == ["crystal", "formula", "gap"]
    mean, std = model_files.load(model).predict(neighbors.build([silicon, salt], 4.0))
    for line, name, formula, gap, sigma in zip(lines, ("si.cif", "POSCAR"), ("Si", "NaCl"), mean, std, strict=True):
        found = line.split()
        assert found[:2] == [name, formula]
        assert float(found[2]) == pytest.approx(gap, abs=6e-3)
        assert float(found[4]) == pytest.approx(sigma, abs=6e-3)


def test_structure_files_that_cannot_be_used_are_named(trained: Path, tmp_path: Path) -> None:
    model = trained / "data/models/megnet-band_gap"
    Structure(Lattice.cubic(9), ["Xe"], [[0, 0, 0]]).to(str(tmp_path / "alone.cif"))
    (tmp_path / "text.cif").write_text("no crystal")
    (tmp_path / "empty.cif").write_text("")
    for name, message in {
        "alone.cif": "alone.cif: atom 0 (Xe) has no neighbour",
        "text.cif": "text.cif: not a structure",
        "empty.cif": "empty.cif: not a structure",
        "nowhere.cif": "nowhere.cif: no such file",
    }.items():
        result = run_here(structure.main, "--weights", model, "--predict", name, cwd=tmp_path)
        assert f"error: {message}" in result.stderr
        assert_failed(result, 2, "1 of 1 crystals")


def test_files_that_cannot_be_used_do_not_keep_others_from_being_predicted(trained: Path, tmp_path: Path) -> None:
    Structure(Lattice.cubic(2.7), ["Si"], [[0, 0, 0]]).to(str(tmp_path / "si.cif"))
    Structure(Lattice.cubic(9), ["Xe"], [[0, 0, 0]]).to(str(tmp_path / "alone.cif"))
    Structure(Lattice.cubic(2.9), ["Og"], [[0, 0, 0]]).to(str(tmp_path / "heavy.cif"))
    Structure(Lattice.cubic(2.9), ["Ge"], [[0, 0, 0]]).to(str(tmp_path / "ge.cif"))
    (tmp_path / "text.cif").write_text("no crystal")
    model = trained / "data/models/megnet-band_gap"
    files = ["text.cif", "si.cif", "alone.cif", "ge.cif", "heavy.cif"]
    result = run_here(structure.main, "--weights", model, "--predict", *files, cwd=tmp_path)
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [["si.cif", "Si"], ["ge.cif", "Ge"]]
    errors = result.stderr.splitlines()
    assert errors[0] == "model: megnet-band_gap"
    named = [line.split(": ")[:2] for line in errors[1:4]]
    assert named == [["error", f"{name}.cif"] for name in ("text", "alone", "heavy")]
    assert "element 118 is not known to the model" in errors[3]
    assert_failed(result, 2, "3 of 5 crystals")


def test_rows_that_cannot_be_predicted_are_left_out_of_the_score(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = storage.read(trained / "table.json.gz").drop(columns="split").iloc[:20]
    alone, heavy = (Structure(Lattice.cubic(a), [e], [[0, 0, 0]]) for a, e in ((9, "Xe"), (2.9, "Og")))
    for row, formula, crystal in ((20, "Xe", alone), (21, "Xe", alone), (22, "Og", heavy)):
        rows.loc[row] = {**rows.iloc[0], "formula": formula, "structure": crystal}
    storage.write(rows.sort_index(ascending=False), tmp_path / "other.json.gz")
    storage.write(rows.iloc[:20], tmp_path / "good.json.gz")
    model = trained / "data/models/megnet-band_gap"
    for name in ("good", "other"):
        run(tmp_path, "--weights", model, "--evaluate", f"{name}.json.gz")
    good, other = (json.loads((tmp_path / f"data/metrics/structure-{n}.json").read_text()) for n in ("good", "other"))
    alone_ones, unknown = "an atom that has no neighbour within 4 Å", "an element that the model does not know"
    assert other["left_out"] == {alone_ones: 2, unknown: 1}
    assert "left_out" not in good
    assert other["all"] == pytest.approx(good["all"], rel=1e-4)
    told = capsys.readouterr().out
    assert f"left out 2 with {alone_ones}; the first is other.json.gz: row 21 (Xe): atom 0 (Xe) has" in told
    assert f"left out 1 with {unknown}; the first is other.json.gz: row 22 (Og): element 118" in told

    storage.write(rows.loc[[20, 21]], tmp_path / "none.json.gz")
    with pytest.raises(InputError, match=r"none\.json\.gz: none of the 2 rows"):
        run(tmp_path, "--weights", model, "--evaluate", "none.json.gz")


def test_formulas_that_cannot_be_read_are_named(table: Path, tmp_path: Path) -> None:
    rows = storage.read(table)
    rows.loc[7, "formula"] = "Qq2"
    storage.write(rows, tmp_path / "table.json.gz")
    with pytest.raises(InputError, match=r"table\.json\.gz: row 7: column formula has 'Qq2'"):
        run(tmp_path, "--data", "table.json.gz")


def test_rows_with_an_isolated_atom_are_named(table: Path, tmp_path: Path) -> None:
    rows = storage.read(table)
    alone = Structure(Lattice.cubic(9), ["Xe"], [[0, 0, 0]])
    rows.loc[80] = {**rows.iloc[0], "formula": "Xe", "structure": alone, "split": "train"}
    storage.write(rows, tmp_path / "table.json.gz")
    with pytest.raises(InputError, match=r"table\.json\.gz: row 80 \(Xe\): atom 0 \(Xe\) has no neighbour within 4 Å"):
        run(tmp_path, "--data", "table.json.gz")


def test_a_table_without_test_rows_is_said_before_the_training(table: Path, tmp_path: Path) -> None:
    storage.write(storage.read(table).assign(split="train"), tmp_path / "table.json.gz")
    with pytest.raises(InputError, match=r"table\.json\.gz: no row has the split test"):
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


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--epochs", "0"),
        ("--epochs", str(10**30)),
        ("--cutoff", "-1"),
        ("--learning-rate", "nan"),
        ("--fidelity", "magic"),
        ("--jobs", "0"),
        ("--jobs", "1025"),
        ("--seed", str(2**32)),
    ],
)
def test_wrong_flags_are_bad_usage(tmp_path: Path, flag: str, value: str) -> None:
    result = run_here(structure.main, flag, value, cwd=tmp_path)
    assert result.returncode == 2
    assert f"argument {flag}: " in result.stderr


def test_the_bundled_model_answers_unless_another_is_named(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Structure(Lattice.cubic(3), ["Si"], [[0, 0, 0]]).to(str(trained / "si.cif"))
    run(trained, "--predict", "si.cif")  # beside a model that the script has trained there
    assert capsys.readouterr().err.startswith("model: megnet-multifidelity\n")


def test_a_table_without_training_rows_is_bad_input(table: Path, tmp_path: Path) -> None:
    storage.write(storage.read(table).assign(split="test"), tmp_path / "table.json.gz")
    with pytest.raises(InputError, match="no training rows"):
        run(tmp_path, "--data", "table.json.gz")
