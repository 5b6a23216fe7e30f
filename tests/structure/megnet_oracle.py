"""The megnet package itself, in a process of its own, for it needs another Keras than this project does.

    python -m tests.structure.megnet_oracle FOLDER

Does what `benchmarks.megnet_peer` does, and predicts. FOLDER/asked.json pairs files of weights with structures
(pymatgen dictionaries). For the Kth pair and each state that its model knows, gaps.npz gets the gap of each structure,
eV, as array K of shape (states, structures). A file of weights that does not exist is written first: a model as megnet
makes it, with random weights, of two zeros as state or, if its name has "fidelity" in it, of four fidelities.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pymatgen.core import Structure

from benchmarks.measure import timed
from benchmarks.megnet_peer import CrystalGraph, GaussianDistance, MEGNetModel, Peer, StandardScaler, answer


class Oracle(Peer):
    """megnet with the rows in a folder, and with models and structures of each pair that is asked for."""

    def gaps(self) -> float:
        """Predict with every model: gaps.npz."""
        seconds, gaps = timed(self._gaps)
        np.savez(self.folder / "gaps.npz", **gaps)
        return seconds

    def _gaps(self) -> dict[str, np.ndarray]:
        found = {}
        for number, (weights, structures) in enumerate(orjson.loads((self.folder / "asked.json").read_bytes())):
            model = MEGNetModel.from_file(weights) if Path(weights).exists() else write_random(weights)
            found[str(number)] = predict(model, list(map(Structure.from_dict, structures)))
        return found


def predict(model: Any, structures: list[Structure]) -> np.ndarray:
    """Gaps at every state, shape (states, structures)."""
    model.model.run_eagerly = True  # to compile the model takes longer than its few calls
    graphs = [model.graph_converter.convert(structure) for structure in structures]
    fidelities = model.model.inputs[2].dtype == "int32"
    shared = any(isinstance(atom, dict) for graph in graphs for atom in graph["atom"])  # those megnet does one by one
    gaps = []
    for state in [[[k]] for k in range(4)] if fidelities else [[[0.0, 0.0]]]:
        for graph in graphs:
            graph["state"] = state
        gaps.append(
            np.ravel([model.predict_graph(graph) for graph in graphs] if shared else model.predict_graphs(graphs))
        )
    return np.array(gaps)


def write_random(path: str) -> Any:
    """Write a model with random weights, biases included, and a scaled target; megnet cannot reload what it saves."""
    fidelities = {"ngvocal": 4, "global_embedding_dim": 16} if "fidelity" in Path(path).name else {"nfeat_global": 2}
    model = MEGNetModel(
        nfeat_edge=100,
        **fidelities,
        npass=2 if "fidelity" in Path(path).name else 3,
        graph_converter=CrystalGraph(cutoff=4.5, bond_converter=GaussianDistance(np.linspace(0, 5.5, 100), 0.4)),
        target_scaler=StandardScaler(1.5, 2.0),
    )
    generator = np.random.default_rng(0)
    weights = [array + 0.1 * generator.standard_normal(array.shape) for array in model.model.get_weights()]
    model.model.set_weights(weights)
    model.save_model(path)
    return model


if __name__ == "__main__":
    answer(Oracle(Path(sys.argv[1])))
