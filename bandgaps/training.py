"""Training MEGNet: members of an ensemble one after the other, stopped early, kept on disk after every epoch."""

from __future__ import annotations

import hashlib
import os
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps import magpie, megnet  # before keras, for which it names the backend
from bandgaps.errors import InputError, RunError
from bandgaps.files import read_json, replacing, write_json
from bandgaps.graphs import Graphs, merged
from bandgaps.megnet import Hyperparameters, Model

import keras  # isort: skip
from keras import ops  # isort: skip

History = list[dict[str, float]]  # one entry an epoch: member, epoch, loss, train_mae and validation_mae
LINE_EVERY = 5.0  # s, between lines of progress
WARM_UP = 300  # steps
SMALL = 2_000  # numbers; arrays of more are kept in half precision
STEEPEST = 2.0  # norm that gradients are cut to; steps beyond it are rare and would undo many others
Share = tuple[megnet.Batch, np.ndarray, np.ndarray]  # crystals, their standardised properties, what each counts
COLUMNS = ("member", "epoch", "loss", "train_mae", "validation_mae")


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes:
        epochs: passes over the training rows, at most.
        batch_size: crystals a step.
        learning_rate: of Adam at its highest; it rises over `WARM_UP` steps, then falls to 0 along half a cosine.
        patience: epochs without a lower validation error after which training stops.
        loss: `mae` or `huber`, of the standardised target.
        lowest: what no target can be below, eV; a prediction below it is as good as one that is equal to it, which
            leaves the network free to tell metals whose bands touch from metals whose bands overlap. None: no limit.
        companion_weight: what the error of the companion property counts beside that of the target, both standardised.
        seed: decides initial weights and the order of rows, both other in each member.
    """

    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 1e-3
    patience: int = 20
    loss: str = "mae"
    lowest: float | None = None
    companion_weight: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class Rows:
    """Rows to train or to validate on.

    Attributes:
        graphs: of the crystals.
        targets: eV for a band gap, shape (crystals,).
        fidelity: index of each target's level of theory, shape (crystals,); None: all are of the first.
        companion: another property of each crystal that is learnt beside the target, in any unit, shape (crystals,).
            One that is known of all crystals, as the formation energy is, teaches the network chemistry at no cost.
        passes: how often an epoch passes each row, on average, shape (crystals,); None: once. Rows that are rare and
            matter deserve more, large crystals, which cost as much as many small ones, less.
        shrinkage: by how much of their lengths each crystal is shrunk at most when it is passed, shape (crystals,);
            None: not at all. For gaps that belong to a somewhat smaller crystal than the one at hand.
    """

    graphs: Graphs
    targets: np.ndarray
    fidelity: np.ndarray | None = None
    companion: np.ndarray | None = None
    passes: np.ndarray | None = None
    shrinkage: np.ndarray | None = None

    @property
    def levels(self) -> np.ndarray:
        """The level of theory of each row, shape (crystals,)."""
        return np.zeros(len(self.graphs), dtype=np.int32) if self.fidelity is None else np.asarray(self.fidelity)


def fit(
    train: Rows,
    validation: Rows,
    settings: Hyperparameters,
    training: Training,
    members: int = 1,
    checkpoints: Path | str | None = None,
    report: Callable[[str], None] = print,
    devices: int | None = None,
    jobs: int = 1,
) -> tuple[Model, History]:
    """Train an ensemble; of each member the weights with the lowest validation error are kept.

    Args:
        train: rows to fit.
        validation: rows that decide when to stop.
        settings: the architecture.
        training: how to train.
        members: how many networks; they differ in initial weights and in the order of rows.
        checkpoints: folder that keeps the state after each epoch; a later call with the same arguments goes on from
            there and ends as if it had not been interrupted.
        report: takes a line of progress an epoch, but at most one in a few seconds.
        devices: how many GPUs, or else logical CPUs, share each batch; by default all GPUs there are.
        jobs: how many processes share the members; where it is more than one they print their progress themselves.

    Raises:
        InputError: no rows, an element the model has no embedding for, checkpoints of another training, or fewer
            devices than asked for.
        RunError: the loss is no longer a number.
    """
    for name, rows in (("training", train), ("validation", validation)):
        if not len(rows.graphs):
            raise InputError(f"no {name} rows; use a larger table")
        megnet.check_elements(rows.graphs, settings)
    mean, std = float(train.targets.mean()), float(train.targets.std()) or 1.0
    if train.companion is not None:
        settings = replace(settings, properties=2)
    folder = Path(checkpoints) if checkpoints is not None else None
    if folder:
        _claim(folder, _identity(train, validation, settings, training))
    whole = _Task(train, validation, settings, training, mean, std, tuple(range(members)), members, folder, devices)
    results = whole.run(report) if jobs == 1 else _in_processes(whole, jobs)
    history = [row for _, each in results for row in each]
    kept = [{name: _rounded(array) for name, array in weights.items()} for weights, _ in results]
    return Model(settings, kept, mean, std, lowest=training.lowest), history


def _rounded(array: np.ndarray) -> np.ndarray:
    """Kernels to half precision, which halves the model's folder and moves its gaps by less than 0.005 eV.

    Embeddings and biases, which are small and on which much depends, stay as they are.
    """
    return array.astype(np.float16).astype(np.float32) if array.size > SMALL else array


@dataclass(frozen=True)
class _Task:
    """Some members of an ensemble, to be trained one after the other in one process."""

    train: Rows
    validation: Rows
    settings: Hyperparameters
    training: Training
    mean: float
    std: float
    members: tuple[int, ...]
    total: int  # members of the ensemble
    folder: Path | None
    devices: int | None

    def run(self, report: Callable[[str], None]) -> list[tuple[dict[str, np.ndarray], History]]:
        """The weights and the history of each member."""
        trainer = _Trainer(self.train, self.validation, self.settings, self.training, self.mean, self.std, self.devices)
        clock = _Clock(self.training.epochs * len(self.members))
        return [self._train(trainer, member, clock, report) for member in self.members]

    def _train(
        self, trainer: _Trainer, member: int, clock: _Clock, report: Callable[[str], None]
    ) -> tuple[dict[str, np.ndarray], History]:
        trainer.begin(member)
        checkpoint = self.folder / f"member-{member}.npz" if self.folder else None
        if checkpoint and checkpoint.exists():
            trainer.restore(checkpoint)
            clock.skip(len(trainer.history))
        while not trainer.finished:
            _end_with_parent()
            trainer.run_epoch()
            if checkpoint:
                trainer.store(checkpoint)
            clock.tick()
            if clock.due() or trainer.finished:
                report(f"member {member + 1}/{self.total}  {trainer.progress()}{clock.left()}")
        clock.skip(self.training.epochs - len(trainer.history))
        return trainer.named(trainer.best), trainer.history


def _in_processes(whole: _Task, jobs: int) -> list[tuple[dict[str, np.ndarray], History]]:
    """The same as `whole.run`, shared by processes; on a CPU one network a core is quicker than one on all cores."""
    shares = [replace(whole, members=whole.members[k::jobs]) for k in range(min(jobs, len(whole.members)))]
    threads = max(1, (os.cpu_count() or 1) // len(shares))
    with ProcessPoolExecutor(len(shares), get_context("spawn"), _begin_process, (threads,)) as pool:
        tasks = list(pool.map(_run_and_print, shares))
    results = {
        number: result
        for share, done in zip(shares, tasks, strict=True)
        for number, result in zip(share.members, done, strict=True)
    }
    return [results[member] for member in whole.members]


def _begin_process(threads: int) -> None:
    """Let an interruption end a process without a word, and leave the other cores to the other processes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if megnet.TENSORFLOW:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _run_and_print(task: _Task) -> list[tuple[dict[str, np.ndarray], History]]:
    return task.run(_print_now)


def _print_now(line: str) -> None:
    print(line, flush=True)


def _end_with_parent() -> None:
    """Stop a process whose parent was killed: the next run of the same command would work on the same checkpoints."""
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


class _Trainer:
    """One network's training; members follow one another in it, so that its step is compiled once."""

    def __init__(
        self,
        train: Rows,
        validation: Rows,
        settings: Hyperparameters,
        training: Training,
        mean: float,
        std: float,
        devices: int | None = None,
    ) -> None:
        self.settings, self.training = settings, training
        self.train, self.validation = (replace(rows, graphs=merged(rows.graphs)) for rows in (train, validation))
        self.std = std
        self.standardised = _standardised(train, mean, std)
        self.wanted = (validation.targets - mean) / std
        self.lowest = -np.inf if training.lowest is None else (training.lowest - mean) / std
        self.passes = np.ones(len(train.targets)) if train.passes is None else train.passes
        steps = training.epochs * -(-round(self.passes.sum()) // training.batch_size)
        size = sum(np.prod(shape, dtype=int) for shape in _trained_shapes(settings).values())
        warm_up = min(WARM_UP, steps // 2)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warm_up, warmup_target=training.learning_rate, warmup_steps=warm_up
        )
        self.strategy = _strategy(devices)
        with self.strategy.scope():
            self.vector = keras.Variable(np.zeros(size, np.float32), name="weights")
            self.optimizer = keras.optimizers.Adam(schedule, clipnorm=STEEPEST)
            self.optimizer.build([self.vector])
        self.step = _compiled_step(self.vector, self.optimizer, settings, training, self.lowest, self.strategy)
        self.begin(0)

    def begin(self, member: int) -> None:
        """Set all back to the state before the first epoch of a member."""
        generator = np.random.default_rng([self.training.seed, member])
        shapes = _trained_shapes(self.settings)
        self.vector.assign(np.concatenate([_initial(name, shape, generator).ravel() for name, shape in shapes.items()]))
        for variable in self.optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        self.member = member
        self.best = self.now()
        self.history: History = []

    @property
    def finished(self) -> bool:
        errors = [row["validation_mae"] for row in self.history]
        stale = len(errors) - 1 - int(np.argmin(errors)) if errors else 0
        return len(errors) >= self.training.epochs or stale >= self.training.patience

    def run_epoch(self) -> None:
        """Pass over the training rows once, or as often as they say, in an order that seed, member and epoch decide."""
        epoch = len(self.history)
        generator = np.random.default_rng([self.training.seed, self.member, epoch])
        passes = np.floor(self.passes + generator.random(len(self.passes))).astype(int)
        order = generator.permutation(np.repeat(np.arange(len(passes)), passes))
        sums = np.zeros(2)
        for rows in _slices(order, self.training.batch_size):
            loss, error = self.step([self._share(part, len(rows), generator) for part in self._parts(rows)])
            sums += np.array([float(loss), float(error)]) * len(rows)
        loss, error = sums / len(order)
        predicted = megnet.outputs(
            self.settings, self.named(self.now()), self.validation.graphs, self.validation.levels
        )
        wrong = float(np.mean(np.abs(np.maximum(predicted, self.lowest) - self.wanted)))
        if not np.isfinite([loss, wrong]).all():
            raise RunError(f"training diverged in epoch {epoch + 1}: the loss is {loss}; use a lower --learning-rate")
        if wrong * self.std < min((row["validation_mae"] for row in self.history), default=np.inf):
            self.best = self.now()
        values = (self.member, epoch + 1, loss, error * self.std, wrong * self.std)
        self.history.append(dict(zip(COLUMNS, map(float, values), strict=True)))

    def _parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows for each device."""
        return np.array_split(rows, self.strategy.num_replicas_in_sync)

    def _share(self, rows: np.ndarray, total: int, generator: np.random.Generator) -> Share:
        """What one device does of a batch of so many rows; one without rows does another, which does not count."""
        weight = 1 / total if len(rows) else 0.0
        rows = rows if len(rows) else np.zeros(1, dtype=int)
        graphs = self.train.graphs.select(rows)
        if self.train.shrinkage is not None:
            graphs = graphs.scaled(1 - self.train.shrinkage[rows] * generator.random(len(rows)))
        batch = megnet.batch_of(graphs, self.train.levels[rows])
        return batch, self.standardised[rows], np.full(len(rows), weight, np.float32)

    def progress(self) -> str:
        """What the last epoch brought, on one line."""
        last = self.history[-1]
        return (
            f"epoch {last['epoch']:.0f}/{self.training.epochs}  loss {last['loss']:.4f}  "
            f"train MAE {last['train_mae']:.3f} eV  validation MAE {last['validation_mae']:.3f} eV"
        )

    def now(self) -> np.ndarray:
        """A copy of the weights as they are now, as one vector."""
        return np.array(ops.convert_to_numpy(self.vector))

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The weights in a vector by their names."""
        return _named(vector, self.settings, np)

    def store(self, path: Path) -> None:
        """Write all that the rest of the training depends on, atomically."""
        arrays = {f"optimizer-{k}": ops.convert_to_numpy(v) for k, v in enumerate(self.optimizer.variables)}
        history = np.array([[row[column] for column in COLUMNS] for row in self.history])
        with replacing(path) as temporary:
            np.savez(temporary, allow_pickle=False, now=self.now(), best=self.best, history=history, **arrays)

    def restore(self, path: Path) -> None:
        """Go back to what `store` has written.

        Raises:
            InputError: the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self.vector.assign(arrays["now"])
                for k, variable in enumerate(self.optimizer.variables):
                    variable.assign(arrays[f"optimizer-{k}"])
                self.best = arrays["best"]
                self.history = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in arrays["history"]]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: a damaged checkpoint ({error}); begin anew with --restart") from None


def _trained_shapes(settings: Hyperparameters) -> dict[str, tuple[int, ...]]:
    """Name and shape of all that is trained: the weights, but for the matrix that makes embeddings of properties."""
    shapes = settings.weight_shapes()
    return {**shapes, "element_embedding": (_element_properties(settings.elements).shape[1], settings.embedding)}


def _named(vector: Any, settings: Hyperparameters, library: Any = ops) -> dict[str, Any]:
    """The weights by name, cut out of one vector, on which the optimiser's step is a handful of operations.

    With numpy as the library they are arrays, which cost a fraction of as many tensors.

    Elements are embedded by a linear map of their properties, so that elements which are alike are so for the network
    too, and what is learnt of one holds for the other.
    """
    shapes = _trained_shapes(settings)
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes.values()])[:-1].tolist()
    parts = zip(shapes.items(), library.split(vector, ends), strict=True)
    weights = {name: library.reshape(part, shape) for (name, shape), part in parts}
    properties = _element_properties(settings.elements)
    return {**weights, "element_embedding": library.matmul(properties, weights["element_embedding"])}


@cache
def _element_properties(elements: int) -> np.ndarray:
    """What elements are embedded by, each property with mean 0 and standard deviation 1; row: atomic number.

    These are Magpie's, with two changes that make an element a neighbour of those above and below it in the periodic
    table, so that a site shared by two of them is embedded in between as well. Full d and f shells below the valence
    shell belong to the core (Magpie gives silicon 4 valence electrons and germanium 14), and the number of the space
    group, which is a label and no quantity, is left out.
    """
    table = magpie.elemental_table()[: elements - 1].copy()
    place = {name: k for k, name in enumerate(magpie.PROPERTIES)}
    for shell, full, first_column in (("NdValence", 10, 13), ("NfValence", 14, 4)):
        core = (table[:, place[shell]] == full) & (table[:, place["Column"]] >= first_column)
        table[core, place[shell]] = 0
        table[core, place["NValence"]] -= full
    table = np.delete(table, place["SpaceGroupNumber"], axis=1)
    standardised = (table - table.mean(axis=0)) / np.where(table.std(axis=0) > 0, table.std(axis=0), 1)
    rows = np.zeros((elements, table.shape[1]), np.float32)
    rows[1 : 1 + len(table)] = standardised
    return rows


def _standardised(rows: Rows, mean: float, std: float) -> np.ndarray:
    """The target and perhaps its companion, each with mean 0 and standard deviation 1, shape (rows, properties)."""
    columns = [(rows.targets - mean) / std]
    if rows.companion is not None:
        columns.append((rows.companion - rows.companion.mean()) / (rows.companion.std() or 1.0))
    return np.stack(columns, axis=1).astype(np.float32)


def _strategy(devices: int | None) -> Any:
    """TensorFlow's way of sharing work between devices: all have the same weights and sum their gradients."""
    if not megnet.TENSORFLOW:
        raise RunError(f"KERAS_BACKEND={keras.backend.backend()}: training needs tensorflow; unset KERAS_BACKEND")
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    known = gpus or tf.config.list_logical_devices("CPU")
    count = devices or max(len(gpus), 1)
    if count > len(known):
        raise InputError(f"--devices {count}: TensorFlow sees {len(known)} ({known[0].device_type}); ask for fewer")
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in known[:count]])


def _compiled_step(
    vector: Any, optimizer: Any, settings: Hyperparameters, training: Training, lowest: float, strategy: Any
) -> Callable[[list[Share]], tuple[Any, Any]]:
    """One step of the optimiser on one batch, a share for each device; returns the loss and the mean absolute error."""
    import tensorflow as tf

    companions = settings.properties - 1
    floors = np.array([lowest, *[-np.inf] * companions], np.float32)
    counts = np.array([1, *[training.companion_weight] * companions], np.float32)

    def step(batch: megnet.Batch, targets: Any, weights: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            output = megnet.forward(_named(vector, settings), batch, settings)
            below = ops.logical_and(targets <= floors, output < floors)
            error = ops.where(below, 0.0, ops.abs(output - targets))
            cost = error if training.loss == "mae" else ops.where(error < 1, error**2 / 2, error - 0.5)
            value = ops.sum(weights[:, None] * counts * cost)
        optimizer.apply_gradients([(tape.gradient(value, vector), vector)])
        return value, ops.sum(weights * error[:, 0])

    def together(shares: list[Share]) -> tuple[Any, ...]:
        def own() -> tuple[Any, Any]:
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            return step(*shares[int(tf.get_static_value(device))])

        values = strategy.run(own)
        return tuple(strategy.reduce("SUM", value, axis=None) for value in values)

    real = tf.TensorSpec([None], tf.float32)
    share = (megnet.signature(), tf.TensorSpec([None, settings.properties], tf.float32), real)
    return tf.function(together, input_signature=[[share] * strategy.num_replicas_in_sync], autograph=False)


def _initial(name: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Levels of theory such that they differ, kernels after Glorot & Bengio (AISTATS 2010), biases zero."""
    if name.endswith("bias"):
        return np.zeros(shape)
    limit = 0.5 if name == "fidelity_embedding" else np.sqrt(6 / sum(shape))
    return generator.uniform(-limit, limit, shape)


def _slices(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _identity(train: Rows, validation: Rows, settings: Hyperparameters, training: Training) -> dict[str, Any]:
    """What has to be the same for a training to go on from a checkpoint, as JSON has it."""
    digest = hashlib.sha256()
    for rows in (train, validation):
        graphs = rows.graphs
        arrays = (
            graphs.atomic_numbers,
            graphs.distances,
            graphs.first,
            graphs.second,
            graphs.atom_offsets,
            graphs.mixtures,
        )
        given = (rows.companion, rows.passes, rows.shrinkage)
        optional = (np.zeros(0) if array is None else array for array in given)
        for array in (*arrays, rows.targets, rows.levels, *optional):
            digest.update(np.ascontiguousarray(array).tobytes())
    architecture = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
    return {**architecture, **asdict(training), "rows": digest.hexdigest()}


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Note whose checkpoints these are, or make sure that they are this training's."""
    path = folder / "training.json"
    if not path.exists():
        write_json(identity, path)
        return
    found = read_json(path)
    other = [key for key in identity if not isinstance(found, dict) or found.get(key) != identity[key]]
    if other:
        raise InputError(
            f"{folder}: checkpoints of another training (other {', '.join(other)}); "
            "go on with the same table and flags, or begin anew with --restart"
        )


class _Clock:
    """Time left, from the epochs done in this process; the first, which compiles the network, is left out."""

    def __init__(self, epochs: int) -> None:
        self.remaining, self.done, self.start = epochs, -1, time.monotonic()
        self.told = self.start

    def tick(self) -> None:
        self.done, self.remaining = self.done + 1, self.remaining - 1
        if self.done == 0:
            self.start = time.monotonic()

    def skip(self, epochs: int) -> None:
        self.remaining -= epochs

    def due(self) -> bool:
        """Whether a line of progress is due, which it is once in a while however short epochs are."""
        now = time.monotonic()
        if now - self.told < LINE_EVERY:
            return False
        self.told = now
        return True

    def left(self) -> str:
        if self.done < 1:
            return ""
        seconds = round((time.monotonic() - self.start) / self.done * self.remaining)
        hours, minutes = seconds // 3600, seconds // 60 % 60
        clock = f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"
        return f"  at most {clock} left"
