"""A few crystals, and a network of random weights that tells them apart."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from bandgaps.structure import neighbors
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import Graphs
from bandgaps.structure.network import Hyperparameters

CUTOFF = 4.0  # Å
FIDELITIES = ("pbe", "gllbsc", "hse", "experiment")
SEVERAL = Hyperparameters(cutoff=5.0, last_center=6.0, set2set_steps=2, fidelities=FIDELITIES)


def random_model(members: int = 2, architecture: Hyperparameters = Hyperparameters()) -> Model:  # noqa: B008 (frozen)
    """A model with weights large enough that different crystals get different gaps."""
    generator = np.random.default_rng(0)
    weights = [
        {
            name: generator.normal(
                0, {"bias": 0.1, "kernel": (5 / sum(shape)) ** 0.5}.get(name.split("/")[-1], 1), shape
            )
            for name, shape in architecture.weight_shapes().items()
        }
        for _ in range(members)
    ]
    floats = [{name: array.astype(np.float32) for name, array in member.items()} for member in weights]
    return Model(architecture, floats, mean=1.2, std=1.7, card={"name": "random"}, formulas=np.array(["Si", "NaCl"]))


def zincblende(a: float, *elements: str) -> Structure:
    vectors = a / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Structure(Lattice(vectors), elements, np.array([[0, 0, 0], [0.25, 0.25, 0.25]]))


def diamond(element: str = "Si", a: float = 5.431) -> Structure:
    return zincblende(a, element, element)


def alloy(**parts: float) -> Structure:
    """Diamond sites shared by elements."""
    return Structure(diamond().lattice, [parts] * 2, diamond().frac_coords)


def crystals() -> list[Structure]:
    """Silicon, germanium and salt."""
    salt = Structure(zincblende(5.69, "Na", "Cl").lattice, ["Na", "Cl"], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    return [zincblende(5.431, "Si", "Si"), zincblende(5.658, "Ge", "Ge"), salt]


def predicted(model: Model, structures: list[Structure], fidelity: str | None = None) -> np.ndarray:
    return model.predict(neighbors.build(structures, model.hyperparameters.cutoff), fidelity)[0]


def assert_same(one: Graphs, other: Graphs) -> None:
    for name in ("atomic_numbers", "distances", "first", "second", "atom_offsets", "bond_offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ("atom_copies", "bond_copies", "mixtures"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
