"""The megnet package itself, in a process of its own, for it needs another Keras than this project does.

    python megnet_oracle.py OUTPUT.npz WEIGHTS.hdf5 STRUCTURES.json WEIGHTS.hdf5 STRUCTURES.json ...

Reads structures (pymatgen dictionaries) and writes, for the Kth file of weights and each state that its model knows,
the gap of each structure, eV, as array K of shape (states, structures). A file of weights that does not exist is
written first: a model as megnet makes it, with random weights, of two zeros as state or, if its name has "fidelity" in
it, of four fidelities.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import numpy as np
import orjson
from pymatgen.analysis import local_env
from pymatgen.core import Structure

for kind in ("real", "reciprocal", "relative"):  # names that pymatgen has changed since megnet's last release
    setattr(local_env, f"BrunnerNN_{kind}", getattr(local_env, f"BrunnerNN{kind.capitalize()}"))

from megnet.data.crystal import CrystalGraph  # noqa: E402
from megnet.data.graph import GaussianDistance  # noqa: E402
from megnet.models import MEGNetModel  # noqa: E402
from megnet.utils.preprocessing import StandardScaler  # noqa: E402


def main(output: str, *files: str) -> None:
    """Predict with megnet."""
    gaps = {}
    for number, (weights, structures) in enumerate(zip(files[::2], files[1::2], strict=True)):
        crystals = [Structure.from_dict(content) for content in orjson.loads(Path(structures).read_bytes())]
        model = MEGNetModel.from_file(weights) if Path(weights).exists() else write_random(weights)
        gaps[str(number)] = predict(model, crystals)
    np.savez(output, **gaps)  # type: ignore[arg-type]


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
    main(*sys.argv[1:])
