"""What explore_structure.py refuses, and how it says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from explored import save_models
from helpers import assert_failed, run_here

import explore_structure
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models."""
    folder = tmp_path_factory.mktemp("models")
    save_models(folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--system", "Na-Cl"], ["--system", "Na-Cl", "C, Si, Ge, Sn"]),
        (["--system", "GaAs"], ["--system", "'GaAs'", "GaAs-AlAs"]),
        (["--system", "GaAs-InP"], ["--system", "do not differ in one element", "Ga, As", "In, P"]),
        (["--system", "Ga2O3-GaN"], ["--system", "different amounts of Ga"]),
        (["--system", "CdTe-MnTe"], ["--system", "MnTe is none of the", "give both ends as files"]),
        (
            ["--system", "ZnO-MgO"],
            ["ZnO is wurtzite", "MgO is rocksalt", "--ends wurtzite-Zn-O wurtzite-Mg-O", "A.cif"],
        ),
        (["--ends", "none.cif", "rocksalt-Zn-O"], ["--ends: none.cif", "no such file"]),
        (["--ends", "wurtzite-Zn-O", "rocksalt-Mg-O"], ["--ends", "different structures", "P6_3mc", "Fm-3m"]),
        (["--ends", "shared.cif", "rocksalt-Zn-O"], ["--ends: ", "partial occupancies"]),
        (["--ends", "wurtzite-Zn-O", "wurtzite-Mg-O", "--max-atoms", "3"], ["--max-atoms", "parent cell has 4"]),
        (["--system", "GaAs-AlAs", "--composition", "Al0.3Ga0.7"], ["--composition", "'Al0.3Ga0.7'", "(GaAs)1(AlAs)3"]),
        (["--composition", "Si1Ge10000"], ["--composition: ", "20,002 Si and Ge atoms"]),
        (["--composition", "Si1e400"], ["--composition: ", "Si1e400"]),
        (["--max-atoms", "128"], ["--max-atoms: ", "10^", "orderings", "at most 16 atoms"]),
        (["--max-atoms", "1"], ["--max-atoms", "1"]),
        (["--max-atoms", "30"], ["--max-atoms: ", "560,569,225,908 labelings", "at most 16 atoms"]),
        (["--model", "single", "--fidelity", "pbe", "--max-atoms", "2"], ["--fidelity pbe", "knows only one"]),
        (["--composition", "Si49Sn51", "--max-atoms", "2"], ["--composition", "Si49Sn51"]),
        (["--composition", "Xx3", "--max-atoms", "2"], ["--composition", "Xx3"]),
        (["--enumerator", "pymatgen"], ["enum.x", "makestr.x", "PATH"]),
        (["--anchor", "--system", "Ge-Sn"], ["--anchor", "Ge-Sn", "Si-Ge", "GaAs-AlAs"]),
    ],
)
def test_what_cannot_be_done_is_named(models: Path, arguments: list[str], wanted: list[str]) -> None:
    PseudobinaryAlloy.of_elements(("Si", "Ge")).shared_site(0.5).to(str(models / "shared.cif"))
    result = run_here(explore_structure.main, "--figures", "none", *arguments, cwd=models)
    assert_failed(result, 2, *wanted)


@pytest.mark.parametrize(("flag", "value"), [("--max-atoms", 10**30), ("--seed", -1), ("--seed", 2**32)])
def test_numbers_out_of_range_are_refused(flag: str, value: int) -> None:
    with pytest.raises(SystemExit) as ended:
        explore_structure.parser().parse_args([flag, str(value)])
    assert ended.value.code == 2


def test_without_a_model_the_way_to_one_is_named(tmp_path: Path) -> None:
    result = run_here(explore_structure.main, "--model", "megnet-own", "--max-atoms", 2, cwd=tmp_path)
    assert_failed(result, 2, "megnet-own: no such ", "structure.py")
