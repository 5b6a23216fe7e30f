"""What training changes: one vector of numbers, which holds all weights of a network.

Elements are embedded by a linear map of their properties, so that elements which are alike are so for the network too,
and what is learnt of one holds for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from bandgaps import elements
from bandgaps.structure.backend import tf
from bandgaps.structure.network import Hyperparameters


def shapes(settings: Hyperparameters) -> dict[str, tuple[int, ...]]:
    """Name and shape of all that is trained: the weights, but for the matrix that makes embeddings of properties."""
    weights = settings.weight_shapes()
    return {**weights, "element_embedding": (element_properties(settings.elements).shape[1], settings.embedding)}


def named(vector: Any, settings: Hyperparameters) -> dict[str, Any]:
    """The weights by name, cut out of one tensor, on which Adam's step is a handful of operations."""
    return _weights(tf.split(vector, _sizes(settings)), settings, tf)


def arrays(vector: np.ndarray, settings: Hyperparameters) -> dict[str, np.ndarray]:
    """The weights by name, cut out of one array; arrays cost a fraction of as many tensors."""
    return _weights(np.split(vector, np.cumsum(_sizes(settings))[:-1]), settings, np)


def _sizes(settings: Hyperparameters) -> list[int]:
    return [int(np.prod(shape)) for shape in shapes(settings).values()]


def _weights(parts: Sequence[Any], settings: Hyperparameters, library: Any) -> dict[str, Any]:
    trained = zip(shapes(settings).items(), parts, strict=True)
    weights = {name: library.reshape(part, shape) for (name, shape), part in trained}
    properties = element_properties(settings.elements)
    return {**weights, "element_embedding": library.matmul(properties, weights["element_embedding"])}


@cache
def element_properties(count: int) -> np.ndarray:
    """The properties that elements are embedded by, standardised; the row is the atomic number.

    They are Magpie's with two changes, by which an element is near those above and below it in the periodic table. A
    site shared by two such elements is then embedded between them. Full d and f shells below the valence shell belong
    to the core: Magpie gives silicon 4 valence electrons and germanium 14. The number of the space group is left out,
    for it is a label and no quantity.
    """
    table = elements.elemental_table()[: count - 1].copy()
    place = {name: k for k, name in enumerate(elements.PROPERTIES)}
    for shell, full, first_column in (("NdValence", 10, 13), ("NfValence", 14, 4)):
        core = (table[:, place[shell]] == full) & (table[:, place["Column"]] >= first_column)
        table[core, place[shell]] = 0
        table[core, place["NValence"]] -= full
    table = np.delete(table, place["SpaceGroupNumber"], axis=1)
    standardised = (table - table.mean(axis=0)) / np.where(table.std(axis=0) > 0, table.std(axis=0), 1)
    rows = np.zeros((count, table.shape[1]), np.float32)
    rows[1 : 1 + len(table)] = standardised
    return rows


def initial(settings: Hyperparameters, generator: np.random.Generator) -> np.ndarray:
    """Initial weights as one vector."""
    return np.concatenate([_initial(name, shape, generator).ravel() for name, shape in shapes(settings).items()])


def _initial(name: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Embeddings of fidelities that differ, kernels after Glorot & Bengio (AISTATS 2010), biases of zero."""
    if name.endswith("bias"):
        return np.zeros(shape)
    limit = 0.5 if name == "fidelity_embedding" else np.sqrt(6 / sum(shape))
    return generator.uniform(-limit, limit, shape)
