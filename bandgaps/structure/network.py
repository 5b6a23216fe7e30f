"""MEGNet, a graph network for crystals, in TensorFlow.

Chen et al., Chem. Mater. 31, 3564 (2019); with several fidelities Chen et al., Nat. Comput. Sci. 1, 46 (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from bandgaps.structure import batches, threads
from bandgaps.structure.backend import tf
from bandgaps.structure.batches import Batch
from bandgaps.structure.compositions import ELECTRONS, electron_counts
from bandgaps.structure.graphs import FIRST_MIXTURE, Graphs, offsets_of

LOG_2 = np.float32(np.log(2))
BONDS_A_BATCH = 12_000  # in prediction; small enough for the processor's cache, large enough to keep it busy
FEW_BONDS = 0.1  # an atom with so few, as the envelope counts them, has half of their mean: it fades before they do
PARTS = ("atom", "bond", "state")
Weights = Mapping[str, Any]  # name -> array or tensor


@dataclass(frozen=True)
class Hyperparameters:
    """Architecture of a MEGNet; the defaults are those of the published 2018 models.

    Attributes:
        cutoff: atoms closer than this share a bond, Å.
        gaussians: number of Gaussians that a distance is expanded in, with centres from 0 to `last_center` Å.
        last_center: centre of the last Gaussian, Å.
        width: width of each Gaussian, Å.
        blocks: number of MEGNet blocks.
        units: widths n1, n2, n3 of the paper: of hidden layers, of what blocks pass on, and of Set2Set.
        set2set_steps: number of steps that Set2Set takes.
        elements: number of rows of the element embedding; atomic numbers run up to one less.
        embedding: number of columns of the element embedding.
        fidelities: names of the fidelities, which the state input tells apart; with none, the state starts as zeros.
        probability: whether the last layer ends in a sigmoid, as in classifiers, or is linear.
        properties: how many numbers the last layer gives for each crystal. The first is the one that the model is for.
        envelope: whether a bond counts less the longer it is, and nothing at the cutoff, so that the output is smooth.
        electrons: whether the state also starts from what counting electrons says of the composition.
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
    envelope: bool = False
    electrons: bool = False

    @property
    def state_inputs(self) -> int:
        """How many numbers the state of a crystal starts from; zeros stand for no input."""
        given = self.embedding * bool(self.fidelities) + ELECTRONS * self.electrons
        return given or 2

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

        inputs = (self.embedding, self.gaussians, self.state_inputs)
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


@tf.custom_gradient
def softplus2(x: Any) -> Any:
    """The activation of MEGNet: softplus, shifted so that 0 stays 0."""
    # TensorFlow's own softplus takes twice as long, its gradient does not.
    y = tf.maximum(tf.math.log(0.5 + 0.5 * tf.exp(tf.minimum(x, 60.0))), x - LOG_2)
    return y, lambda dy: tf.raw_ops.SoftplusGrad(gradients=dy, features=x)


def _spread(x: Any, segments: Any) -> Any:
    """Each segment's row of x to all its members; segments ascend, and none is empty."""

    @tf.custom_gradient
    def gather(x: Any) -> Any:
        return tf.gather(x, segments), lambda dy: tf.math.segment_sum(dy, segments)

    return gather(x)


def forward(weights: Weights, batch: Batch, settings: Hyperparameters) -> Any:
    """The network's outputs for each crystal (standardised properties), shape (crystals, properties)."""
    crystals = tf.shape(batch.fidelity)[0]
    crystal_of_bond = tf.gather(batch.crystal, batch.first)
    counts = batch.bond_copies
    if settings.envelope:
        counts = counts * tf.gather(envelope(batch.distances / np.float32(settings.cutoff)), batch.length)
    bonds_of_atom = tf.math.segment_sum(counts, batch.first)
    spare = np.float32(FEW_BONDS if settings.envelope else 0)
    in_atom = (counts / _spread(bonds_of_atom + spare, batch.first))[:, None]
    in_crystal = _shares(batch.atom_copies, batch.crystal)
    bonds_in_crystal = _shares(batch.atom_copies * bonds_of_atom, batch.crystal)
    copies_of_bond = _spread(batch.atom_copies, batch.first) * counts

    centers = np.linspace(0, settings.last_center, settings.gaussians, dtype=np.float32)
    elements = min(settings.elements, FIRST_MIXTURE)
    atom = tf.matmul(batch.occupancies[:, :elements], weights["element_embedding"][:elements])
    length = tf.exp(-(((batch.distances[:, None] - centers) / np.float32(settings.width)) ** 2))
    state = _initial_state(weights, batch, settings)

    atom, length, state = (
        _layers(weights, f"input/{part}", x) for part, x in zip(PARTS, (atom, length, state), strict=True)
    )
    atom, bond = tf.gather(atom, batch.kind), tf.gather(length, batch.length)
    for block in range(settings.blocks):
        name = f"block{block}"
        v, e, u = atom, bond, state
        if block > 0:
            v, e, u = (_layers(weights, f"{name}/{part}/ff", x) for part, x in zip(PARTS, (v, e, u), strict=True))
        e = _bond_update(weights, f"{name}/bond/phi", v, e, u, batch)
        mean_bond = tf.math.segment_sum(e * in_atom, batch.first)
        u_of_atom = _spread(u, batch.crystal)
        v = _layers(weights, f"{name}/atom/phi", tf.concat([mean_bond, v, u_of_atom], -1), linear_end=True)
        mean_bond = tf.math.segment_sum(mean_bond * bonds_in_crystal, batch.crystal)
        mean_atom = tf.math.segment_sum(v * in_crystal, batch.crystal)
        u = _layers(weights, f"{name}/state/phi", tf.concat([mean_bond, mean_atom, u], -1), linear_end=True)
        atom, bond, state = atom + v, bond + e, state + u

    steps = settings.set2set_steps
    readout = [
        _set2set(weights, "set2set/atom", atom, batch.atom_copies, batch.crystal, crystals, steps),
        _set2set(weights, "set2set/bond", bond, copies_of_bond, crystal_of_bond, crystals, steps),
        state,
    ]
    output = _layers(weights, "readout", tf.concat(readout, -1), linear_end=True)
    return tf.sigmoid(output) if settings.probability else output


def envelope(x: Any) -> Any:
    """How much a bond counts: from 1 at length 0 to 0 at the cutoff, there with two derivatives of 0.

    Gasteiger et al., arXiv 2003.03123, eq. 8 without the 1/x, with p = 6.

    Args:
        x: length over cutoff, at most 1.
    """
    return 1 - 28 * x**6 + 48 * x**7 - 21 * x**8


def _initial_state(weights: Weights, batch: Batch, settings: Hyperparameters) -> Any:
    """What is known of a crystal as a whole, shape (crystals, inputs)."""
    known = [tf.gather(weights["fidelity_embedding"], batch.fidelity)] if settings.fidelities else []
    known += [batch.electrons] if settings.electrons else []
    return tf.concat(known, -1) if known else tf.zeros((tf.shape(batch.fidelity)[0], settings.state_inputs))


def _layers(weights: Weights, name: str, x: Any, linear_end: bool = False, start: int = 0) -> Any:
    """Dense layers `name`/0, 1, …, each but perhaps the last with its activation."""
    depth = start
    while f"{name}/{depth}/kernel" in weights:
        x = tf.matmul(x, weights[f"{name}/{depth}/kernel"]) + weights[f"{name}/{depth}/bias"]
        depth += 1
        if not linear_end or f"{name}/{depth}/kernel" in weights:
            x = softplus2(x)
    return x


def _bond_update(weights: Weights, name: str, v: Any, e: Any, u: Any, batch: Batch) -> Any:
    """phi_e of [v_i, v_j, e_ij, u]; its first layer is a sum over the four, so atoms are multiplied, then gathered."""
    of_first, of_second, of_bond, of_state = tf.split(weights[f"{name}/0/kernel"], 4)
    shared = tf.matmul(u, of_state) + weights[f"{name}/0/bias"]
    first = tf.matmul(v, of_first) + _spread(shared, batch.crystal)
    second = tf.matmul(v, of_second)
    hidden = _spread(first, batch.first) + tf.gather(second, batch.second) + tf.matmul(e, of_bond)
    return _layers(weights, name, softplus2(hidden), linear_end=True, start=1)


def _shares(copies: Any, segments: Any) -> Any:
    """The part that each row has in its segment, shape (rows, 1): what turns sums into means."""
    total = tf.math.segment_sum(copies, segments)
    return (copies / _spread(total, segments))[:, None]


def _set2set(weights: Weights, name: str, x: Any, copies: Any, segments: Any, count: Any, steps: int) -> Any:
    """Summary of the rows of each segment, whatever their order, each with its copies, shape (count, 2 n3).

    Vinyals et al., arXiv 1511.06391, as megnet has it: the cell state does not pass from one step to the next, and the
    gates are Keras 1's hard sigmoid.
    """

    def gate(z: Any) -> Any:
        return tf.clip_by_value(0.2 * z + 0.5, 0.0, 1.0)

    memory = tf.matmul(x, weights[f"{name}/memory/kernel"]) + weights[f"{name}/memory/bias"]
    kernel, bias = weights[f"{name}/recurrent/kernel"], weights[f"{name}/recurrent/bias"]
    query = tf.zeros((count, kernel.shape[0]))
    for _ in range(steps):
        enter, _forget, cell, leave = tf.split(tf.matmul(query, kernel) + bias, 4, axis=-1)
        hidden = gate(leave) * tf.tanh(gate(enter) * tf.tanh(cell))
        energy = tf.reduce_sum(memory * _spread(hidden, segments), -1)
        highest = tf.math.segment_max(tf.stop_gradient(energy), segments)
        attention = copies * tf.exp(energy - tf.gather(highest, segments))
        total = tf.math.segment_sum(attention, segments)
        weighted = tf.math.segment_sum(memory * attention[:, None], segments)
        query = tf.concat([hidden, weighted / total[:, None]], -1)
    return query


@lru_cache(maxsize=8)
def _compiled(settings: Hyperparameters, fidelities: int) -> Callable[[Weights, Batch, Any], Any]:
    """`forward` for one architecture at several fidelities, compiled; what they have in common is computed once."""

    def run(weights: Weights, batch: Batch, fidelity: Any) -> Any:
        each = (batch._replace(fidelity=fidelity[k]) for k in range(fidelities))
        return tf.stack([forward(weights, one, settings)[:, 0] for one in each])

    weights = {name: tf.TensorSpec(shape, tf.float32) for name, shape in settings.weight_shapes().items()}
    signature = [weights, batches.signature(), tf.TensorSpec([fidelities, None], tf.int32)]
    return tf.function(run, input_signature=signature, autograph=False)


def outputs(settings: Hyperparameters, weights: Weights, graphs: Graphs, fidelity: np.ndarray) -> np.ndarray:
    """The standardised target for all crystals, each at its fidelity, shape (crystals,)."""
    return outputs_of(settings, [weights], graphs, fidelity[None])[0, 0]


def outputs_of(
    settings: Hyperparameters, members: Sequence[Weights], graphs: Graphs, fidelities: np.ndarray
) -> np.ndarray:
    """The standardised target by several networks at several fidelities, shape (members, fidelities, crystals).

    Args:
        settings: the architecture.
        members: the weights of each network.
        graphs: the crystals.
        fidelities: indices, shape (fidelities, crystals).
    """
    run = _compiled(settings, len(fidelities))
    tensors = [{name: tf.constant(array, tf.float32) for name, array in weights.items()} for weights in members]
    counted = electron_counts(graphs) if settings.electrons else None

    def of(part: Graphs, own: slice) -> np.ndarray:
        batch = batches.of(part, None, None if counted is None else counted[own])
        indices = fidelities[:, own].astype(np.int32)
        return np.stack([run(weights, batch, indices).numpy() for weights in tensors])

    parts = list(graphs.batches(BONDS_A_BATCH))
    ends = offsets_of(list(map(len, parts))).tolist()
    # A thread a batch: TensorFlow's own threads, which share each operation, take longer.
    with ThreadPoolExecutor(threads.count()) as pool:
        values = list(pool.map(of, parts, map(slice, ends[:-1], ends[1:])))
    return np.concatenate([np.zeros((len(members), len(fidelities), 0)), *values], axis=-1)
