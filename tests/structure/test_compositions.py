"""Compositions of crystals: the same features as of their formulas, and linear ones in mixing."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Composition, Element, Lattice, Structure

from bandgaps import electrons, magpie
from bandgaps.structure import compositions, neighbors
from bandgaps.structure.graphs import merged


def zincblende(first: dict[str, float], second: dict[str, float] | str, a: float = 5.6) -> Structure:
    sites = [Composition(first), Composition(second)]
    return Structure.from_spacegroup("F-43m", Lattice.cubic(a), sites, [[0, 0, 0], [0.25] * 3])


def test_features_are_those_of_the_formula() -> None:
    perovskite = Structure(
        Lattice.cubic(3.9),
        ["Sr", "Ti", "O", "O", "O"],
        np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
    )
    crystals = [zincblende({"Ga": 1}, "As"), perovskite, Structure(Lattice.cubic(3), ["Na"], [[0, 0, 0]])]
    built = neighbors.build(crystals, 5.0)
    found = compositions.features(built)
    formulas = ["GaAs", "SrTiO3", "Na"]
    np.testing.assert_allclose(found[:, : len(magpie.LABELS)], magpie.features(formulas), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(compositions.features(merged(built)), found, atol=1e-12)
    counted = found[:, len(magpie.LABELS) :]
    parity = list(compositions.LABELS[len(magpie.LABELS) :]).index("odd electrons")
    assert counted[:, parity].tolist() == [0, 0, 1]
    assert (counted[:2, :3] == 0).all()  # charges balance
    assert counted.min() >= 0 and counted.max() <= 1
    np.testing.assert_allclose(compositions.electron_counts(built), counted, atol=1e-6)
    assert len(electrons.LABELS) == compositions.ELECTRONS + 1


def test_a_mixture_has_the_mean_of_what_it_is_made_of() -> None:
    ends = compositions.features(neighbors.build([zincblende({"Ga": 1}, "As"), zincblende({"Al": 1}, "As")], 5.0))
    x = np.linspace(0.001, 0.999, 7)
    mixed = [zincblende({"Ga": 1 - part, "Al": part}, "As") for part in x]
    found = compositions.features(neighbors.build(mixed, 5.0))
    np.testing.assert_allclose(found, np.outer(1 - x, ends[0]) + np.outer(x, ends[1]), rtol=1e-6, atol=1e-6)


def test_two_shared_sites_are_mixed_independently() -> None:
    built = neighbors.build([zincblende({"Ga": 0.25, "Al": 0.75}, {"As": 0.5, "P": 0.5})], 5.0)
    pure = [zincblende({first: 1}, second) for first in ("Ga", "Al") for second in ("As", "P")]
    ends = compositions.features(neighbors.build(pure, 5.0))
    expected = np.array([0.125, 0.125, 0.375, 0.375]) @ ends
    np.testing.assert_allclose(compositions.features(built)[0], expected, rtol=1e-6, atol=1e-6)


def test_of_very_many_mixtures_the_composition_stands() -> None:
    names = ["Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba"]
    nine = dict.fromkeys(names, 1 / 9)
    other = {name: (2 if name == "Li" else 1) / 10 for name in names}
    (found,) = compositions.features(neighbors.build([zincblende(nine, other)], 5.0))
    formula = "".join(f"{name}{nine[name] + other[name]}" for name in names)
    np.testing.assert_allclose(found[: len(magpie.LABELS)], magpie.features([formula])[0], rtol=1e-6)


def test_size_mismatch_is_that_of_elements_that_share_a_site() -> None:
    mixed = [zincblende({"Ga": 1 - x, "In": x}, "As") for x in (0.25, 0.5, 0.75)]
    found = compositions.size_mismatch(merged(neighbors.build([zincblende({"Ga": 1}, "As"), *mixed], 5.0)))
    ga, in_ = (compositions.RADII[Element(name).Z - 1] for name in ("Ga", "In"))
    assert found[0] == 0
    np.testing.assert_allclose(found[2], ((in_ - ga) / ((in_ + ga) / 2)) ** 2, rtol=1e-6)
    assert (found[[1, 3]] < found[2]).all()
