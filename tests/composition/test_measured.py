from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from gap_models import calculated, fitted, measured_gaps
from helpers import ROOT, SAMPLE, assert_failed, run_here
from pdf import words
from spellings import COMPOSITIONS

import composition
from bandgaps.composition import features, forest, gap_model, measured
from bandgaps.composition.measured import Gaps
from bandgaps.errors import InputError
from bandgaps.formulas import elements
from bandgaps.intervals import Distribution
from bandgaps.table import storage

LIST = ROOT / "data" / "semiconductors.csv"


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_no_teacher_knew_the_composition_that_it_is_asked_about(name: str) -> None:
    known = Gaps.of(list(COMPOSITIONS), np.where(np.array(list(COMPOSITIONS)) == name, 9.0, 5.0))
    asked = Gaps.of([f"({formula})3" for formula in COMPOSITIONS], np.zeros(len(COMPOSITIONS)))
    mean, std, median, votes = measured.answers_without(known, asked, seed=0, jobs=1).T
    row = list(COMPOSITIONS).index(name)
    assert (mean[row], std[row], median[row], votes[row]) == (5, 0, 5, 0)


def test_a_teacher_knows_all_but_its_half() -> None:
    found = measured.answers_without(calculated(), measured_gaps(), seed=0, jobs=1)
    half = measured_gaps().hashes % np.uint64(2)
    for number in (0, 1):
        hidden = np.isin(calculated().hashes, measured_gaps().hashes[half == number])
        assert 10 < hidden.sum() < 40
        teacher = forest.new(0, 1).set_params(**measured.OF_TEACHER)
        teacher.fit(calculated().X[~hidden], calculated().y[~hidden])
        expected = Distribution(*teacher.distribution(measured_gaps().X[half == number]))
        np.testing.assert_array_equal(found[half == number], gap_model.answers(expected))


def test_a_pupil_sees_what_was_calculated_with_both_answers() -> None:
    model, out = fitted()
    assert model.teacher
    taught = measured.lessons(calculated(), measured_gaps(), model.teacher, seed=0, jobs=1)
    known = np.isin(measured_gaps().hashes, calculated().hashes)
    assert known.sum() == 50 and taught.calculated.tolist() == [False] * 100 + [True] * 50
    np.testing.assert_array_equal(taught.y, [*measured_gaps().y, *measured_gaps().y[known]])
    np.testing.assert_array_equal(taught.hashes, [*measured_gaps().hashes, *measured_gaps().hashes[known]])
    np.testing.assert_array_equal(taught.X[:, :258], np.concatenate([measured_gaps().X, measured_gaps().X[known]]))
    guessed = measured.answers_without(calculated(), measured_gaps(), seed=0, jobs=1)
    answered = gap_model.answers(model.teacher.distribution(measured_gaps().X[known]))
    np.testing.assert_array_equal(taught.X[:, 258:], np.concatenate([guessed, answered]))
    assert sorted(out.y) == sorted(taught.y) and out.calculated.sum() == 50


def test_scores_are_of_kinds_apart() -> None:
    model, out = fitted()
    found = measured.scores(model, out)
    error = np.abs(out.found.median - out.y)
    for name, part in (
        ("non-metals", ~out.calculated & (out.y > 0)),
        ("metals", ~out.calculated & (out.y == 0)),
        ("all", ~out.calculated),
        ("calculated", out.calculated),
    ):
        assert (found[name]["n"], found[name]["mae"]) == (part.sum(), pytest.approx(error[part].mean()))
    assert found["non-metals"]["n"] + found["metals"]["n"] == found["all"]["n"] == 100
    assert all(0.6 < found[name]["roc_auc"] <= 1 for name in ("all", "calculated"))
    assert 0.5 < found["non-metals"]["within_68"] < 0.9 and found["non-metals"]["within_95"] > 0.85
    lines = measured.told(found).splitlines()
    assert lines[0] == f"non-metals: MAE {found['non-metals']['mae']:.3f} eV, {found['non-metals']['n']} measured gaps"
    assert lines[2].endswith(f"area under the ROC curve (metal or not) {found['all']['roc_auc']:.3f}")


def many(path: Path, gap: float, formulas: list[str]) -> Path:
    pd.DataFrame({"formula": formulas, "band_gap": gap}).to_csv(path, index=False)
    return path


BINARIES = [f"{metal}{other}{n}" for metal in ("Na", "K", "Mg", "Si") for other in ("O", "S", "N") for n in range(1, 6)]


def test_later_lists_replace_what_earlier_ones_say_and_systems_are_left_out(tmp_path: Path) -> None:
    first = many(tmp_path / "first.csv", 1.0, [*BINARIES, "SiGe", "Ge3SiO8", "Si", "Ge"])
    later = many(tmp_path / "later.csv", 2.0, ["O2Na2", "Si2Ge2"])
    gaps = measured.from_lists([first, later], ["Ge-Si"])
    found = dict(zip(gaps.formulas, gaps.y, strict=True))
    assert len(gaps.y) == 62 and found["Si"] == found["Ge"] == 1
    assert not any(elements(formula) >= {"Si", "Ge"} for formula in found)
    assert gaps.y[gaps.hashes == features.composition_hashes(["NaO"])].tolist() == [2]
    np.testing.assert_array_equal(gaps.X, features.features(list(gaps.formulas)))


def test_few_gaps_are_too_few(tmp_path: Path) -> None:
    path = many(tmp_path / "few.csv", 1.0, BINARIES[:51])
    assert len(measured.from_lists([path]).y) == 51
    with pytest.raises(InputError, match=r"few\.csv: 46 measured gaps; a forest needs at least 50"):
        measured.from_lists([path], ["Na-O"])


def test_a_table_without_a_system() -> None:
    table = storage.read(SAMPLE, structures=False)
    without = measured.from_table(table, "band_gap", ["O", "As-Ga"])
    kept = [not elements(f) >= {"O"} and not elements(f) >= {"As", "Ga"} for f in table["formula"]]
    assert 0 < len(without.y) < len(table)
    assert (
        without.formulas == table["formula"][kept].tolist() and without.y.tolist() == table["band_gap"][kept].tolist()
    )
    with pytest.raises(InputError, match="0 calculated gaps; a teacher needs at least 50"):
        measured.from_table(table[table["formula"] == "Si"], "band_gap", ["Si"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a model of the semiconductors' measured gaps was trained beside the sample."""
    folder = tmp_path_factory.mktemp("trained")
    flags = ["--measured", LIST, "--leave-out", "Ga-As", "--data", SAMPLE, "--jobs", "1"]
    result = run_here(composition.main, "--fidelity", "experiment", *flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "output.txt").write_text(result.stdout)
    return folder


OWN = Path("data/models/own")


def test_the_model_of_a_list_is_written_with_what_it_was_trained_on(trained: Path) -> None:
    listed, table = pd.read_csv(LIST), storage.read(SAMPLE, structures=False)
    model = gap_model.load(trained / OWN / measured.PUPIL)
    scores = json.loads((trained / "data" / "metrics" / "composition-experiment.json").read_text())
    assert model.teacher and "target" not in model.training and "target" not in model.teacher.training
    for each, rows in ((model, listed), (model.teacher, table)):
        assert not any(elements(formula) >= {"Ga", "As"} for formula in each.training["formula"])
        kept = [formula for formula in rows["formula"] if not elements(formula) >= {"Ga", "As"}]
        assert len(kept) < len(rows)
        assert set(features.composition_hashes(kept)) == set(
            features.composition_hashes(each.training["formula"].tolist())
        )
        assert each.card["left_out"] == ["As-Ga"]
    assert model.card["trained_on"][0]["list"] == "semiconductors.csv"
    assert model.teacher.card["trained_on"]["table"] == "sample.json.gz"
    assert model.card["scores"]["all"] == scores["all"] and scores["all"]["n"] == len(model.training["formula"])
    told = (trained / "output.txt").read_text()
    assert f"all: MAE {scores['all']['mae']:.3f} eV, {scores['all']['n']} measured gaps" in told
    assert f"wrote {OWN}/composition-pbe, {OWN}/composition-experiment" in told


def test_its_figures_show_the_numbers(trained: Path) -> None:
    scores = json.loads((trained / "data" / "metrics" / "composition-experiment.json").read_text())
    rows = scores["all"]["n"]  # with teachers that did not know them
    tables = {}
    for name, text in (
        ("parity", f"{rows} measured gaps"),
        ("coverage", "share of measured gaps in it"),
        ("reliability", "predicted probability of a metal"),
        ("roc", "area 0."),
    ):
        path = trained / "figures" / f"composition-experiment-{name}.pdf"
        assert text in words(path)
        assert path.with_suffix(".png").stat().st_size > 5000
        tables[name] = pd.read_csv(path.with_suffix(".csv"))
        assert tables[name].notna().all(axis=None)
    parity = tables["parity"]
    assert len(parity) == rows and (parity["low_68"] <= parity["band_gap_predicted"]).all()
    error = (parity["band_gap"] - parity["band_gap_predicted"]).abs().sum()
    assert error == pytest.approx(scores["all"]["mae"] * rows, rel=1e-3)
    gapped = parity[parity["band_gap"] > 0]
    held = gapped["band_gap"].between(gapped["low_68"], gapped["high_68"]).mean()
    coverage = tables["coverage"].set_index("nominal")
    assert coverage.loc[0.68, "non_metals"] == pytest.approx(held, abs=0.03)  # the CSV's digits are fewer
    expected = [scores["non-metals"][f"within_{share}"] for share in (68, 95)]
    assert coverage["non_metals"].tolist() == pytest.approx(expected, abs=1e-4)
    assert expected == pytest.approx([0.68, 0.95], abs=0.1)
    reliability = tables["reliability"]
    assert reliability["gaps"].sum() == rows
    metals = (reliability["gaps"] * reliability["share_metals"]).sum()
    assert metals == pytest.approx((parity["band_gap"] == 0).sum())
    assert tables["roc"].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]


def test_it_answers_where_it_is_asked_for(trained: Path) -> None:
    result = run_here(composition.main, "--models", OWN, "--predict", "GaP", "GaAs", cwd=trained)
    assert result.returncode == 0, result.stderr
    heading, _, phosphide, arsenide = result.stdout.splitlines()
    assert heading == f"composition-experiment (band_gap_experiment), {OWN}"
    assert phosphide.endswith("measured") and arsenide.endswith("no")
    gap = pd.read_csv(LIST).set_index("formula").loc["GaP", "band_gap"]
    assert float(phosphide.split()[1]) == pytest.approx(gap, abs=0.5)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ([], "--fidelity experiment: needs --measured FILE"),
        (["--measured", "few.csv"], "--measured: few.csv: 3 measured gaps; a forest needs at least 50"),
        (["--measured", "none.csv"], "--measured: none.csv"),
        (["--measured", LIST, "--leave-out", "Si-Xx"], "--leave-out: 'Xx' is no element"),
        (["--measured", LIST, "--leave-out", "Si", "--data", "silicon.json.gz"], "--data: 0 calculated gaps"),
        (["--measured", LIST, "--cv", "5"], "--cv, --tune and --baselines go with --fidelity pbe"),
        (["--measured", LIST, "--tune", "5"], "--cv, --tune and --baselines go with --fidelity pbe"),
        (["--measured", LIST, "--baselines"], "--cv, --tune and --baselines go with --fidelity pbe"),
    ],
)
def test_what_a_model_of_measured_gaps_lacks_is_said(tmp_path: Path, flags: list[object], line: str) -> None:
    many(tmp_path / "few.csv", 1.0, BINARIES[:3])
    storage.write(pd.DataFrame({"formula": ["Si", "SiC"], "band_gap": [0.6, 1.4]}), tmp_path / "silicon.json.gz")
    result = run_here(composition.main, "--fidelity", "experiment", "--data", SAMPLE, *flags, cwd=tmp_path)
    assert_failed(result, 2, line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.csv", "silicon.json.gz"]


def test_lists_are_for_measured_gaps(tmp_path: Path) -> None:
    for flags in (["--measured", LIST], ["--leave-out", "Si-Ge"]):
        result = run_here(composition.main, *flags, cwd=tmp_path)
        assert_failed(result, 2, "--measured and --leave-out go with --fidelity experiment")
