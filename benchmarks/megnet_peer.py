"""The megnet package at work, in a process of its own, for it needs another Keras than this project does.

    python -m benchmarks.megnet_peer FOLDER

Reads structures.json (pymatgen dictionaries) and targets.npy in FOLDER and leaves model.hdf5 there, its own model with
the weights it starts from. Then does what each line on its input asks for, a method of `Peer`, and prints the seconds
that took.
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

from benchmarks.measure import timed  # noqa: E402
from benchmarks.peer import BATCH_SIZE, CUTOFF  # noqa: E402


class Peer:
    """megnet with the rows in a folder; each method returns the seconds that its work took, and leaves the results."""

    def __init__(self, folder: Path) -> None:
        records = orjson.loads((folder / "structures.json").read_bytes())
        self.folder = folder
        self.structures = [Structure.from_dict(record) for record in records]
        self.targets = np.load(folder / "targets.npy")
        self.converted: list[dict[str, Any]] = []
        bonds = GaussianDistance(np.linspace(0, CUTOFF + 1, 100), 0.5)
        self.converter = CrystalGraph(cutoff=CUTOFF, bond_converter=bonds)
        tf.keras.utils.set_random_seed(0)
        self.model = MEGNetModel(
            nfeat_edge=100,
            nfeat_global=2,
            graph_converter=self.converter,
            target_scaler=StandardScaler(0.0, 1.0),
            loss="mae",
        )
        self._draw_biases()
        self.model.save_model(str(folder / "model.hdf5"))

    def _draw_biases(self) -> None:
        """Set biases at random, for at 0, where they start, gradients differ.

        megnet writes its activation with |x|, whose derivative at 0 is 0 to TensorFlow. That of the activation is then
        0 instead of 1/2, and the biases that the state, which is 0, is led through have none.
        """
        generator = np.random.default_rng(0)
        arrays = self.model.model.get_weights()
        drawn = [generator.normal(0, 0.1, array.shape) if array.ndim == 1 else array for array in arrays]
        self.model.model.set_weights(drawn)

    def graphs(self) -> float:
        """Convert the structures: graphs.npz."""
        seconds, self.converted = timed(lambda: [self.converter.convert(structure) for structure in self.structures])
        columns = {"first": "index1", "second": "index2", "distances": "bond"}
        arrays = {name: np.concatenate([graph[key] for graph in self.converted]) for name, key in columns.items()}
        counts = np.array([len(graph["bond"]) for graph in self.converted])
        np.savez(self.folder / "graphs.npz", allow_pickle=False, counts=counts, **arrays)
        return seconds

    def predict(self) -> float:
        """Predict all gaps, eV: predict.npz."""
        seconds, gaps = timed(lambda: self.model.predict_graphs(self.converted))
        np.savez(self.folder / "predict.npz", gaps=np.ravel(gaps))
        return seconds

    def gradient(self) -> float:
        """Derive the loss of the first batch: gradient.npz has it, gradient.hdf5 its gradient in place of weights."""
        seconds, (loss, gradient) = timed(self._first_step)
        np.savez(self.folder / "gradient.npz", loss=loss)
        own = self.model.model.get_weights()
        self.model.model.set_weights(gradient)
        self.model.save_model(str(self.folder / "gradient.hdf5"))
        self.model.model.set_weights(own)
        return seconds

    def _first_step(self) -> tuple[float, list[np.ndarray]]:
        """Loss of the first batch and its derivatives with respect to the weights, in their order."""
        model = self.model.model
        arrays = self.converter.get_flat_data(self.converted[:BATCH_SIZE], self.targets[:BATCH_SIZE])
        inputs, wanted = self.model._create_generator(*arrays, batch_size=BATCH_SIZE, is_shuffle=False)[0]
        tensors = [tf.convert_to_tensor(each) for each in inputs]
        with tf.GradientTape() as tape:
            loss = model.compute_loss(tensors, tf.constant(wanted, tf.float32), model(tensors, training=True))
        gradient = tape.gradient(loss, model.weights)
        return float(loss), [tf.convert_to_tensor(each).numpy() for each in gradient]

    def epoch(self) -> float:
        """Pass over all rows once; the model is trained on."""
        stopwatch = Stopwatch()
        settings = {"epochs": 1, "batch_size": BATCH_SIZE, "verbose": 0, "save_checkpoint": False}
        self.model.train_from_graphs(
            self.converted, self.targets, callbacks=[stopwatch], dirname=str(self.folder), **settings
        )
        return stopwatch.seconds


class Stopwatch(tf.keras.callbacks.Callback):
    """Times an epoch, without megnet's preparations."""

    def on_epoch_begin(self, _epoch: int, _logs: Any = None) -> None:
        """Start."""
        self.start = time.perf_counter()

    def on_epoch_end(self, _epoch: int, _logs: Any = None) -> None:
        """Stop."""
        self.seconds = time.perf_counter() - self.start


def answer(peer: Peer) -> None:
    """Answer one line after the other."""
    for line in sys.stdin:
        print("seconds", getattr(peer, line.strip())(), flush=True)


if __name__ == "__main__":
    answer(Peer(Path(sys.argv[1])))
