"""MEGNet, a graph network for crystals, in Keras 3: the network, its weights on disk (published ones too), predictions.

Chen et al., Chem. Mater. 31, 3564 (2019); with several fidelities Chen et al., Nat. Comput. Sci. 1, 46 (2021). A model
is an ensemble of one or more members, networks of one architecture with weights of their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bandgaps import models, published
from bandgaps.calibration import Calibration
from bandgaps.errors import InputError
from bandgaps.graphs import FIRST_MIXTURE, Graphs, merged


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Silence what compiled code writes there; TensorFlow's notes on starting up come before it can be told not to."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors and nothing less
with _no_stderr():
    import keras
    from keras import ops

KIND = "megnet"
TENSORFLOW = keras.backend.backend() == "tensorflow"
LOG_2 = np.float32(np.log(2))
BONDS_A_BATCH = 20_000  # in prediction; small enough for the processor's cache, large enough to keep it busy
PARTS = ("atom", "bond", "state")

Weights = Mapping[str, Any]  # name -> array or tensor


@dataclass(frozen=True)
class Hyperparameters:
    """Architecture of a MEGNet; the defaults are those of the published 2018 models.

    Attributes:
        cutoff: atoms closer than this share a bond, Å.
        gaussians: number of Gaussians that a distance is expanded in, with centres from 0 to `last_center` Å.
        width: of each Gaussian, Å.
        blocks: number of MEGNet blocks.
        units: widths n1, n2, n3 of the paper: hidden layers, what blocks pass on, Set2Set.
        set2set_steps: passes of Set2Set.
        elements: rows of the element embedding; atomic numbers run up to one less.
        embedding: its columns.
        fidelities: names of the levels of theory between which the state input tells; none: the state starts as zeros.
        probability: whether the last layer ends in a sigmoid (classifiers) or is linear.
        properties: numbers that the last layer gives for each crystal; the first is the one that the model is for.
    """

    cutoff: float = 4.0
    gaussians: int = 100
    last_center: float = 5.0
    width: float = 0.5
    blocks: int = 3
    units: tuple[int, int, int] = (64, 32, 16)
    set2set_steps: int = 3
    elements: int = 95
    embedding: int = 16
    fidelities: tuple[str, ...] = ()
    probability: bool = False
    properties: int = 1

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight, in order."""
        n1, n2, n3 = self.units
        shapes: dict[str, tuple[int, ...]] = {"element_embedding": (self.elements, self.embedding)}
        if self.fidelities:
            shapes["fidelity_embedding"] = (len(self.fidelities), self.embedding)

        def layers(name: str, *sizes: int) -> None:
            for depth, (inputs, outputs) in enumerate(pairwise(sizes)):
                shapes[f"{name}/{depth}/kernel"] = (inputs, outputs)
                shapes[f"{name}/{depth}/bias"] = (outputs,)

        inputs = (self.embedding, self.gaussians, self.embedding if self.fidelities else 2)
        for part, size in zip(PARTS, inputs, strict=True):
            layers(f"input/{part}", size, n1, n2)
        for block in range(self.blocks):
            if block > 0:
                for part in PARTS:
                    layers(f"block{block}/{part}/ff", n2, n1, n2)
            for part, vectors in zip(PARTS, (3, 4, 3), strict=True):
                layers(f"block{block}/{part}/phi", vectors * n2, n1, n1, n2)
        for part in ("atom", "bond"):
            for name, (size, outputs) in {"memory": (n2, n3), "recurrent": (2 * n3, 4 * n3)}.items():
                shapes[f"set2set/{part}/{name}/kernel"] = (size, outputs)
                shapes[f"set2set/{part}/{name}/bias"] = (outputs,)
        layers("readout", 4 * n3 + n2, n2, n3, self.properties)
        return shapes


# --------------------------------------------------------------------------------------------------------- the network


class Batch(NamedTuple):
    """Crystals as one graph without bonds between them."""

    occupancies: Any  # parts of the elements (columns: atomic numbers) in each kind of site, (kinds, FIRST_MIXTURE)
    kind: Any  # of each atom, an index of occupancies, (atoms,)
    atom_copies: Any  # how many atoms of its crystal each stands for, (atoms,)
    crystal: Any  # of each atom, (atoms,)
    distances: Any  # all lengths of bonds, each once, Å, (lengths,)
    length: Any  # of each bond, an index of distances, (bonds,)
    bond_copies: Any  # how many bonds of its first atom each stands for, (bonds,)
    first: Any  # atom at which a bond starts, ascending, (bonds,)
    second: Any  # atom at which it ends, (bonds,)
    fidelity: Any  # (crystals,)


def batch_of(graphs: Graphs, fidelity: np.ndarray | None = None) -> Batch:
    """One batch of all crystals; `fidelity` is the index of each crystal's level of theory, shape (crystals,)."""
    shift = np.repeat(graphs.atom_offsets[:-1], graphs.bond_counts).astype(np.int32)
    distances, length = np.unique(graphs.distances, return_inverse=True)
    numbers, kind = np.unique(graphs.atomic_numbers, return_inverse=True)
    return Batch(
        _occupancies(numbers, graphs.mixtures),
        kind.astype(np.int32),
        graphs.atom_copies.astype(np.float32),
        np.repeat(np.arange(len(graphs), dtype=np.int32), graphs.atom_counts),
        distances,
        length.astype(np.int32),
        graphs.bond_copies.astype(np.float32),
        graphs.first + shift,
        graphs.second + shift,
        np.zeros(len(graphs), dtype=np.int32) if fidelity is None else np.asarray(fidelity, dtype=np.int32),
    )


def _occupancies(numbers: np.ndarray, mixtures: np.ndarray) -> np.ndarray:
    """The parts of the elements in sites of these numbers, shape (numbers, FIRST_MIXTURE)."""
    parts = (numbers[:, None] == np.arange(FIRST_MIXTURE)).astype(np.float32)
    shared = numbers >= FIRST_MIXTURE
    parts[shared] = mixtures[numbers[shared] - FIRST_MIXTURE]
    return parts


def softplus2(x: Any) -> Any:
    """The activation of MEGNet: softplus, shifted so that 0 stays 0."""
    if not TENSORFLOW:
        return ops.softplus(x) - LOG_2
    import tensorflow as tf

    @tf.custom_gradient
    def activation(x: Any) -> Any:  # TensorFlow's own softplus takes twice as long, its gradient does not
        y = tf.maximum(tf.math.log(0.5 + 0.5 * tf.exp(tf.minimum(x, 60.0))), x - LOG_2)
        return y, lambda dy: tf.raw_ops.SoftplusGrad(gradients=dy, features=x)

    return activation(x)


def _sum_of(x: Any, segments: Any, count: Any) -> Any:
    """The sum of each segment's rows; segments ascend, and none is empty."""
    if not TENSORFLOW:
        return ops.segment_sum(x, segments, num_segments=count, sorted=True)
    import tensorflow as tf

    return tf.math.segment_sum(x, segments)  # six times as fast as what takes them in any order


def _spread(x: Any, segments: Any) -> Any:
    """Each segment's row of x to all its members; segments ascend, and none is empty."""
    if not TENSORFLOW:
        return ops.take(x, segments, axis=0)
    import tensorflow as tf

    @tf.custom_gradient
    def gather(x: Any) -> Any:
        return tf.gather(x, segments), lambda dy: tf.math.segment_sum(dy, segments)

    return gather(x)


def forward(weights: Weights, batch: Batch, settings: Hyperparameters) -> Any:
    """The network's outputs for each crystal (standardised properties), shape (crystals, properties)."""
    crystals, atoms = ops.shape(batch.fidelity)[0], ops.shape(batch.kind)[0]
    crystal_of_bond = ops.take(batch.crystal, batch.first, axis=0)
    bonds_of_atom = _sum_of(batch.bond_copies, batch.first, atoms)
    in_atom = (batch.bond_copies / _spread(bonds_of_atom, batch.first))[:, None]
    atom_share, bond_share = batch.atom_copies, batch.atom_copies * bonds_of_atom
    in_crystal = _shares(atom_share, batch.crystal, crystals)
    bonds_in_crystal = _shares(bond_share, batch.crystal, crystals)
    copies_of_bond = _spread(batch.atom_copies, batch.first) * batch.bond_copies

    centers = np.linspace(0, settings.last_center, settings.gaussians, dtype=np.float32)
    elements = min(settings.elements, FIRST_MIXTURE)
    atom = ops.matmul(batch.occupancies[:, :elements], weights["element_embedding"][:elements])
    length = ops.exp(-(((batch.distances[:, None] - centers) / np.float32(settings.width)) ** 2))
    if settings.fidelities:
        state = ops.take(weights["fidelity_embedding"], batch.fidelity, axis=0)
    else:
        state = ops.zeros((crystals, 2))

    atom, length, state = (
        _layers(weights, f"input/{part}", x) for part, x in zip(PARTS, (atom, length, state), strict=True)
    )
    atom, bond = ops.take(atom, batch.kind, axis=0), ops.take(length, batch.length, axis=0)
    for block in range(settings.blocks):
        name = f"block{block}"
        v, e, u = atom, bond, state
        if block > 0:
            v, e, u = (_layers(weights, f"{name}/{part}/ff", x) for part, x in zip(PARTS, (v, e, u), strict=True))
        e = _bond_update(weights, f"{name}/bond/phi", v, e, u, batch)
        mean_bond = _sum_of(e * in_atom, batch.first, atoms)
        u_of_atom = _spread(u, batch.crystal)
        v = _layers(weights, f"{name}/atom/phi", ops.concatenate([mean_bond, v, u_of_atom], -1), linear_end=True)
        mean_bond = _sum_of(mean_bond * bonds_in_crystal, batch.crystal, crystals)
        mean_atom = _sum_of(v * in_crystal, batch.crystal, crystals)
        u = _layers(weights, f"{name}/state/phi", ops.concatenate([mean_bond, mean_atom, u], -1), linear_end=True)
        atom, bond, state = atom + v, bond + e, state + u

    steps = settings.set2set_steps
    readout = [
        _set2set(weights, "set2set/atom", atom, batch.atom_copies, batch.crystal, crystals, steps),
        _set2set(weights, "set2set/bond", bond, copies_of_bond, crystal_of_bond, crystals, steps),
        state,
    ]
    output = _layers(weights, "readout", ops.concatenate(readout, -1), linear_end=True)
    return ops.sigmoid(output) if settings.probability else output


def _layers(weights: Weights, name: str, x: Any, linear_end: bool = False, start: int = 0) -> Any:
    """Dense layers `name`/0, 1, …, each but perhaps the last with its activation."""
    depth = start
    while f"{name}/{depth}/kernel" in weights:
        x = ops.matmul(x, weights[f"{name}/{depth}/kernel"]) + weights[f"{name}/{depth}/bias"]
        depth += 1
        if not linear_end or f"{name}/{depth}/kernel" in weights:
            x = softplus2(x)
    return x


def _bond_update(weights: Weights, name: str, v: Any, e: Any, u: Any, batch: Batch) -> Any:
    """phi_e of [v_i, v_j, e_ij, u]; its first layer is a sum over the four, so atoms are multiplied, then gathered."""
    of_first, of_second, of_bond, of_state = ops.split(weights[f"{name}/0/kernel"], 4)
    shared = ops.matmul(u, of_state) + weights[f"{name}/0/bias"]
    first = ops.matmul(v, of_first) + _spread(shared, batch.crystal)
    second = ops.matmul(v, of_second)
    hidden = _spread(first, batch.first) + ops.take(second, batch.second, axis=0) + ops.matmul(e, of_bond)
    return _layers(weights, name, softplus2(hidden), linear_end=True, start=1)


def _shares(copies: Any, segments: Any, count: Any) -> Any:
    """The part that each row has in its segment, shape (rows, 1): what turns sums into means."""
    total = _sum_of(copies, segments, count)
    return (copies / _spread(total, segments))[:, None]


def _set2set(weights: Weights, name: str, x: Any, copies: Any, segments: Any, count: Any, steps: int) -> Any:
    """Summary of the rows of each segment, whatever their order, each with its copies, shape (count, 2 n3).

    Vinyals et al., arXiv 1511.06391, as megnet has it: the cell state does not pass from one step to the next, and the
    gates are Keras 1's hard sigmoid.
    """

    def gate(z: Any) -> Any:
        return ops.clip(0.2 * z + 0.5, 0.0, 1.0)

    memory = ops.matmul(x, weights[f"{name}/memory/kernel"]) + weights[f"{name}/memory/bias"]
    kernel, bias = weights[f"{name}/recurrent/kernel"], weights[f"{name}/recurrent/bias"]
    query = ops.zeros((count, kernel.shape[0]))
    for _ in range(steps):
        enter, _forget, cell, leave = ops.split(ops.matmul(query, kernel) + bias, 4, axis=-1)
        hidden = gate(leave) * ops.tanh(gate(enter) * ops.tanh(cell))
        energy = ops.sum(memory * _spread(hidden, segments), -1)
        highest = ops.segment_max(ops.stop_gradient(energy), segments, num_segments=count)
        attention = copies * ops.exp(energy - ops.take(highest, segments, axis=0))
        total = _sum_of(attention, segments, count)
        weighted = _sum_of(memory * attention[:, None], segments, count)
        query = ops.concatenate([hidden, weighted / total[:, None]], -1)
    return query


def signature() -> Batch:
    """What a batch looks like to TensorFlow, so that one trace serves batches of every size."""
    import tensorflow as tf

    whole, real = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
    parts = tf.TensorSpec([None, FIRST_MIXTURE], tf.float32)
    return Batch(parts, whole, real, whole, real, whole, real, whole, whole, whole)


@lru_cache(maxsize=8)
def _compiled(settings: Hyperparameters) -> Callable[[Weights, Batch], Any]:
    """`forward` for one architecture, compiled where the backend is TensorFlow."""

    def run(weights: Weights, batch: Batch) -> Any:
        return forward(weights, batch, settings)

    if keras.backend.backend() != "tensorflow":
        return run
    import tensorflow as tf

    weights = {name: tf.TensorSpec(shape, tf.float32) for name, shape in settings.weight_shapes().items()}
    return tf.function(run, input_signature=[weights, signature()], autograph=False)


def outputs(settings: Hyperparameters, weights: Weights, graphs: Graphs, fidelity: np.ndarray) -> np.ndarray:
    """The standardised target for all crystals, each at its fidelity, shape (crystals,)."""
    run = _compiled(settings)
    tensors = {name: ops.convert_to_tensor(array) for name, array in weights.items()}
    values, start = [np.zeros(0)], 0
    for part in graphs.batches(BONDS_A_BATCH):
        batch = batch_of(part, fidelity[start : start + len(part)])
        values.append(ops.convert_to_numpy(run(tensors, batch))[:, 0].astype(float))
        start += len(part)
    return np.concatenate(values)


# ----------------------------------------------------------------------------------------------------------- the model


@dataclass(frozen=True)
class Model:
    """An ensemble of MEGNets of one architecture.

    Attributes:
        hyperparameters: the architecture.
        members: the weights of each member.
        mean: target = mean + std × output of the network, eV.
        std: eV.
        card: what the model was trained on, how, when, under which licence, and how good it is.
        formulas: the formulas it has seen in training or validation, where they are known, shape (rows,).
        lowest: what no target can be below, eV; members that predict less are taken to mean this. None: no limit.
        calibrations: from the members' spread to sigma, for each level of theory ("" where there is but one).
    """

    hyperparameters: Hyperparameters
    members: list[dict[str, np.ndarray]]
    mean: float = 0.0
    std: float = 1.0
    card: dict[str, Any] = field(default_factory=dict)
    formulas: np.ndarray | None = None
    lowest: float | None = None
    calibrations: dict[str, Calibration] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """Unit of the predictions."""
        if self.hyperparameters.probability:
            return "probability"
        unit = self.card.get("unit")
        return unit if isinstance(unit, str) else "eV"

    @property
    def published(self) -> bool:
        """Whether the weights are those that the authors of MEGNet publish."""
        return bool(self.card.get("published"))

    def predict(self, graphs: Graphs, fidelity: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Predict the target of each crystal, eV for a band gap.

        Args:
            graphs: built with this model's cutoff.
            fidelity: level of theory to predict at, the model's first by default, for models that know several.

        Returns:
            Mean over the members and its uncertainty, each of shape (crystals,): the (sample) standard deviation of the
            members, calibrated where the model has been; NaN for a single member that has not.

        Raises:
            InputError: another cutoff, an element or a fidelity that the model does not know.
        """
        self._check(graphs)
        level = np.full(len(graphs), self._fidelity_index(fidelity))
        graphs = merged(graphs)
        values = np.array([outputs(self.hyperparameters, weights, graphs, level) for weights in self.members])
        targets = np.maximum(self.mean + self.std * values, -np.inf if self.lowest is None else self.lowest)
        spread = targets.std(axis=0, ddof=1) if len(targets) > 1 else np.full(len(graphs), np.nan)
        calibrated = bool(self.calibrations)
        return targets.mean(axis=0), self.calibration(fidelity).sigma(np.nan_to_num(spread)) if calibrated else spread

    def calibration(self, fidelity: str | None = None) -> Calibration:
        """From the spread of the members to sigma, and to intervals of 95 %, at a level of theory (default: the first).

        Raises:
            InputError: a fidelity that the model does not know.
        """
        known = self.hyperparameters.fidelities or ("",)
        return self.calibrations.get(known[self._fidelity_index(fidelity)], Calibration())

    def _check(self, graphs: Graphs) -> None:
        check_elements(graphs, self.hyperparameters)
        if not np.isclose(graphs.cutoff, self.hyperparameters.cutoff):
            raise InputError(
                f"graphs have a cutoff of {graphs.cutoff:g} Å, the model one of {self.hyperparameters.cutoff:g} Å; "
                "build them with the model's cutoff"
            )

    def _fidelity_index(self, fidelity: str | None) -> int:
        known = self.hyperparameters.fidelities
        if fidelity is None or (known and fidelity in known):
            return known.index(fidelity) if fidelity else 0
        what = f"it knows {', '.join(known)}" if known else "it knows only one level of theory; leave --fidelity out"
        raise InputError(f"--fidelity {fidelity}: not known to this model; {what}")


def check_elements(graphs: Graphs, settings: Hyperparameters) -> None:
    """Raise InputError if the element embedding has no row for some atom."""
    known = np.arange(FIRST_MIXTURE) < settings.elements
    known[0] = False
    known = np.concatenate([known, ~graphs.mixtures[:, ~known].any(axis=1)])
    unknown = np.flatnonzero(~known[graphs.atomic_numbers])
    if unknown.size:
        row = int(np.searchsorted(graphs.atom_offsets, unknown[0], side="right")) - 1
        parts = _occupancies(graphs.atomic_numbers[unknown[:1]], graphs.mixtures)[0]
        number = np.flatnonzero((parts > 0) & ~known[:FIRST_MIXTURE])[0]
        raise InputError(
            f"structure {row}: element {number} is not known to the model, which has "
            f"elements 1 to {settings.elements - 1}; leave this structure out"
        )


# ------------------------------------------------------------------------------------------------------ save and load


def save(model: Model, folder: Path | str) -> None:
    """Write a model as a folder, atomically: `model.json` and the weights of each member as `member-K.npz`.

    The formulas it has seen go to `training.npz`. Weights that half precision can hold take half the room.
    """
    own = {"kind": KIND, "hyperparameters": asdict(model.hyperparameters), "mean": model.mean, "std": model.std}
    own |= {"lowest": model.lowest, "calibrations": {name: asdict(each) for name, each in model.calibrations.items()}}
    groups = {
        f"member-{number}": {name: _compact(array) for name, array in weights.items()}
        for number, weights in enumerate(model.members)
    }
    if model.formulas is not None:
        groups["training"] = {"formula": model.formulas.astype(bytes)}
    models.save(folder, {**own, **model.card}, groups)


def _compact(array: np.ndarray) -> np.ndarray:
    """The array in half precision if that holds all its numbers, else as it is."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half, array) else array


def load(path_or_name: Path | str, downloads: Path | str = published.FOLDER, url: str = published.URL) -> Model:
    """Load a model.

    Args:
        path_or_name: a folder written by `save`; a published `.hdf5` with its `.hdf5.json` beside it; a folder of
            such, which is an ensemble; or the name of a published model, which is downloaded once into `downloads`.
        downloads: where published models are kept.
        url: where the archive of published models is.

    Raises:
        InputError: nothing is there, or files are missing, damaged, or do not belong together.
        RunError: a published model could not be downloaded.
    """
    path = Path(path_or_name)
    if not path.exists() and str(path_or_name) in published.MODELS:
        path = published.fetch(str(path_or_name), downloads, url)
    if path.is_file():
        return from_published([path])
    if (path / models.CARD).is_file():
        return _load_own(path)
    files = sorted(path.rglob("*.hdf5"))
    if files:
        return from_published(files)
    if path.is_dir():
        raise InputError(f"{path}: neither {models.CARD} nor a .hdf5 file in this folder; name a model's own folder")
    raise InputError(
        f"{path}: no such file or folder, nor a published model ({', '.join(published.MODELS)}); "
        "train one with structure.py, or name another"
    )


def from_published(paths: list[Path]) -> Model:
    """Load published `.hdf5` files, each with its `.hdf5.json` beside it; several make an ensemble.

    Raises:
        InputError: a file is missing, damaged or no MEGNet, or the files are not of one architecture.
    """
    files = [published.read(path) for path in paths]
    first = files[0]
    for path, other in zip(paths, files, strict=True):
        if (other.hyperparameters, other.mean, other.std) != (first.hyperparameters, first.mean, first.std):
            raise InputError(f"{path}: another architecture than {paths[0]}; an ensemble needs one, name a single file")
    settings = Hyperparameters(**first.hyperparameters)
    members = [_checked(file.weights, settings, path) for path, file in zip(paths, files, strict=True)]
    card = {"source": "published by the authors of MEGNet (BSD 3-clause)", "published": True, **first.metadata}
    return Model(settings, members, first.mean, first.std, card)


def _load_own(folder: Path) -> Model:
    content, groups = models.load(folder, KIND)
    path = folder / models.CARD
    try:
        settings = _settings(content["hyperparameters"])
        mean, std = float(content["mean"]), float(content["std"])
        lowest = None if content.get("lowest") is None else float(content["lowest"])
        calibrations = {name: Calibration(**each) for name, each in content.get("calibrations", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged or of another version ({error!r}); train the model again") from None
    formulas = groups.pop("training", {}).get("formula")
    if not groups or not np.isfinite([mean, std]).all():
        raise InputError(f"{path}: no members, or a mean or std that is not a number; train the model again")
    members = [_checked(weights, settings, folder / f"{name}.npz") for name, weights in groups.items()]
    own = {"kind", "hyperparameters", "mean", "std", "lowest", "calibrations", "sha256"}
    card = {key: value for key, value in content.items() if key not in own}
    formulas = None if formulas is None else formulas.astype(str)
    return Model(settings, members, mean, std, card, formulas, lowest, calibrations)


def _settings(values: dict[str, Any]) -> Hyperparameters:
    """Hyperparameters from JSON, which has lists for tuples."""
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    settings = Hyperparameters(**plain)
    counts = (settings.gaussians, settings.blocks, settings.set2set_steps, settings.elements, settings.embedding)
    whole = (*counts, *settings.units, settings.properties)
    if not all(isinstance(n, int) and 0 < n <= 10_000 for n in whole) or len(settings.units) != 3:
        raise ValueError("a size that is not a positive whole number")
    if not all(0 < value < 100 for value in (settings.cutoff, settings.last_center, settings.width)):
        raise ValueError("a length that is not positive")
    return settings


def _checked(weights: Weights, settings: Hyperparameters, path: Path) -> dict[str, np.ndarray]:
    """The weights in their order, as float32, if they fit the architecture."""
    shapes = settings.weight_shapes()
    if {name: np.shape(array) for name, array in weights.items()} != shapes:
        wrong = [n for n in {**shapes, **weights} if n not in weights or np.shape(weights[n]) != shapes.get(n)]
        raise InputError(f"{path}: weights that do not fit the architecture ({', '.join(wrong[:3])} …); train again")
    arrays = {name: np.asarray(weights[name], dtype=np.float32) for name in shapes}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InputError(f"{path}: weights that are not finite numbers; train again")
    return arrays
