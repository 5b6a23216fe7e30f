"""bandgaps.alloy.ends: the crystals at both ends, bundled or from files."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from bandgaps.alloy import ends, lattice_constants
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
from bandgaps.errors import InputError


def lengths(alloy: PseudobinaryAlloy) -> list[float]:
    """Longest length of the first cell and of the second, Å."""
    return [max(crystal.lattice.abc) for crystal in alloy.ends]


def test_an_alloy_has_the_structure_it_was_measured_in_else_the_stable_one() -> None:
    assert lengths(ends.of_system(("CdS", "CdSe"))) == pytest.approx([6.713, 7.011])  # wurtzite
    assert len(ends.of_system(("CdTe", "MgTe")).first) == 2  # MgTe's stable crystal is another
    assert len(ends.of_system(("MgO", "CaO")).first) == 2
    assert len(ends.of_system(("GaN", "AlN"), "zincblende").first) == 2
    with pytest.raises(InputError, match="GaAs-AlAs: no bundled crystals of both with the structure wurtzite"):
        ends.of_system(("GaAs", "AlAs"), "wurtzite")


def test_lattice_constants_are_measured_where_they_are_known() -> None:
    gallium, aluminium = (crystal.volume for crystal in ends.of_system(("GaAs", "AlAs")).ends)
    assert (gallium, aluminium) == pytest.approx((5.65325**3 / 4, 5.6611**3 / 4))
    halide = ends.of_system(("CsPbI3", "CsPbBr3"))
    assert halide.first.composition.reduced_formula == "CsPbI3"
    assert lattice_constants.measured("CsPbI3", "perovskite") is None  # so it has the calculated one
    assert lengths(halide) == pytest.approx([6.361, 6.001], abs=1e-3)


def test_stable_crystals_of_different_structures_are_an_error_that_offers_pairs() -> None:
    with pytest.raises(ends.NoCommonStructureError) as caught:
        ends.of_system(("ZnO", "MgO"))
    text = str(caught.value)
    assert "ZnO is wurtzite (P6_3mc with 4 atoms a cell)" in text and "MgO is rocksalt (Fm-3m with 2 atoms" in text
    assert ("wurtzite-Zn-O", "wurtzite-Mg-O") in caught.value.choices
    for pair in caught.value.choices:
        assert ends.of_files(pair).names == ("ZnO", "MgO")


def test_ends_from_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.cif" for name in ("one", "other")]
    for path, anion, a in zip(paths, ("S", "Se"), (5.936, 6.117), strict=True):
        Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Pb", anion], [[0] * 3, [0.5] * 3]).to(str(path))
    alloy = ends.of_files((str(paths[0]), str(paths[1])))
    assert (alloy.names, alloy.elements) == (("PbS", "PbSe"), ("S", "Se"))
    assert alloy.volume(0.5) == pytest.approx(((5.936 + 6.117) / 2) ** 3 / 4, rel=1e-6)
    mixed = ends.of_files((str(paths[0]), "rocksalt-Pb-Se"))
    assert mixed.names == ("PbS", "PbSe")


@pytest.mark.parametrize(
    ("sources", "wanted"),
    [
        (("nothing.cif", "rocksalt-Pb-Se"), "nothing.cif: no such file"),
        (("rocksalt-Pb-Se", "rocksalt-Pb-Se"), "do not differ in one element"),
        (("wurtzite-Cd-Se", "zincblende-Cd-Te"), "CdSe P6_3mc with 4 atoms a cell, CdTe F-43m with 2 atoms a cell"),
        (("wurtzite-Cd-Se", "zincblende-Cd-Se"), "do not differ in one element"),
    ],
)
def test_what_cannot_be_an_alloy_is_named(sources: tuple[str, str], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        ends.of_files(sources)


def test_a_compound_that_is_not_bundled_is_named() -> None:
    with pytest.raises(InputError, match=r"MnTe is none of the \d+ bundled crystals; give both ends as files"):
        ends.of_system(("CdTe", "MnTe"))
