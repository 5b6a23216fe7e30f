"""The megnet package at work, in a process of its own, for it needs another Keras than this project does.

    python -m benchmarks.megnet_peer FOLDER

Reads structures.json (pymatgen dictionaries) and targets.npy in FOLDER and leaves model.hdf5 there, its own model with
the weights it starts from. Then does what each line on its input asks for, prints the seconds that took, and leaves the
results as graphs.npz, epoch.npz (the mean absolute error in the epoch) or predict.npz (eV).
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import numpy as np
import orjson
import tensorflow as tf
from pymatgen.analysis import local_env
from pymatgen.core import Structure

for kind in ("real", "reciprocal", "relative"):  # names that pymatgen has changed since megnet's last release
    setattr(local_env, f"BrunnerNN_{kind}", getattr(local_env, f"BrunnerNN{kind.capitalize()}"))

from megnet.data.crystal import CrystalGraph  # noqa: E402
from megnet.data.graph import GaussianDistance  # noqa: E402
from megnet.models import MEGNetModel  # noqa: E402
from megnet.utils.preprocessing import StandardScaler  # noqa: E402

CUTOFF = 5.0
BATCH_SIZE = 128


class Stopwatch(tf.keras.callbacks.Callback):
    """Times epochs and keeps their losses."""

    def on_epoch_begin(self, _epoch: int, _logs: Any = None) -> None:
        """Start."""
        self.start = time.perf_counter()

    def on_epoch_end(self, _epoch: int, logs: Any = None) -> None:
        """Stop."""
        self.seconds, self.loss = time.perf_counter() - self.start, logs["loss"]


def main(folder: Path) -> None:
    """Answer one line after the other."""
    structures = [Structure.from_dict(record) for record in orjson.loads((folder / "structures.json").read_bytes())]
    targets = np.load(folder / "targets.npy")
    converter = CrystalGraph(cutoff=CUTOFF, bond_converter=GaussianDistance(np.linspace(0, CUTOFF + 1, 100), 0.5))
    model = MEGNetModel(
        nfeat_edge=100, nfeat_global=2, graph_converter=converter, target_scaler=StandardScaler(0.0, 1.0), loss="mae"
    )
    model.save_model(str(folder / "model.hdf5"))
    graphs: list[dict[str, Any]] = []
    stopwatch = Stopwatch()
    for line in sys.stdin:
        start = time.perf_counter()
        match line.strip():
            case "graphs":
                graphs = [converter.convert(structure) for structure in structures]
                seconds = time.perf_counter() - start
                columns = {"first": "index1", "second": "index2", "distances": "bond"}
                arrays = {name: np.concatenate([graph[key] for graph in graphs]) for name, key in columns.items()}
                counts = np.array([len(graph["bond"]) for graph in graphs])
                np.savez(folder / "graphs.npz", allow_pickle=False, counts=counts, **arrays)
            case "predict":
                gaps = np.ravel(model.predict_graphs(graphs))
                seconds = time.perf_counter() - start
                np.savez(folder / "predict.npz", gaps=gaps)
            case "epoch":
                settings = {"epochs": 1, "batch_size": BATCH_SIZE, "verbose": 0, "save_checkpoint": False}
                model.train_from_graphs(graphs, targets, callbacks=[stopwatch], **settings)
                seconds = stopwatch.seconds
                np.savez(folder / "epoch.npz", loss=stopwatch.loss)
        print("seconds", seconds, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
