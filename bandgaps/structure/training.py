"""Training MEGNet: members of an ensemble one after the other, stopped early, kept on disk after every epoch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np

from bandgaps.errors import InputError
from bandgaps.progress import Clock
from bandgaps.structure import backend, ensemble, threads
from bandgaps.structure.checkpoints import claim, identity, locked
from bandgaps.structure.ensemble import Model
from bandgaps.structure.network import Hyperparameters
from bandgaps.structure.trainer import History, Trainer, Training
from bandgaps.structure.training_set import Rows


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
    restart: bool = False,
) -> tuple[Model, History]:
    """Train an ensemble; of each member the weights with the lowest validation error are kept.

    Args:
        train: rows to fit.
        validation: rows that decide when to stop.
        settings: the architecture.
        training: how to train.
        members: how many networks, snapshots among them; they differ in initial weights and in the order of rows.
        checkpoints: folder that keeps the state after each epoch; a later call with the same arguments goes on from
            there and ends as if it had not been interrupted. One run at a time can use it.
        report: takes a line of progress an epoch, but at most one in a few seconds.
        devices: how many GPUs, or else logical CPUs, share each batch; by default all GPUs there are.
        jobs: how many processes share the networks, each with its snapshots; where it is more than one they print their
            progress themselves.
        restart: whether to begin anew, whatever checkpoints there are.

    Raises:
        InputError: no rows, an element the model has no embedding for, checkpoints of another training, or fewer
            devices than asked for.
        RunError: the loss is no longer a number, or another run uses the folder of the checkpoints.
    """
    for name, rows in (("training", train), ("validation", validation)):
        if not len(rows.graphs):
            raise InputError(f"no {name} rows; use a larger table")
        ensemble.check_elements(rows.graphs, settings)
    mean, std = float(train.targets.mean()), float(train.targets.std()) or 1.0
    if train.auxiliary is not None:
        settings = replace(settings, properties=2)
    folder = Path(checkpoints) if checkpoints is not None else None
    whole = _Task(train, validation, settings, training, mean, std, tuple(range(members)), members, folder, devices)
    with locked(folder) if folder else nullcontext():
        if folder and claim(folder, identity(train, validation, settings, training), restart):
            report(f"going on with the interrupted training in {folder}")
        results = whole.run(report) if jobs == 1 else _in_processes(whole, jobs)
    history = [row for _, each in results for row in each]
    kept = [{name: _rounded(array, training) for name, array in weights.items()} for weights, _ in results]
    return Model(settings, kept, mean, std, lowest=training.lowest), history


def _rounded(array: np.ndarray, training: Training) -> np.ndarray:
    """Kernels to half precision, which halves the model's folder and moves its gaps by less than 0.005 eV.

    Embeddings and biases, which are small and on which much depends, stay as they are.
    """
    return array.astype(np.float16).astype(np.float32) if array.size > training.rounded_from else array


@dataclass(frozen=True)
class _Task:
    """Some networks of an ensemble, and their snapshots, to be trained one after the other in one process."""

    train: Rows
    validation: Rows
    settings: Hyperparameters
    training: Training
    mean: float
    std: float
    members: tuple[int, ...]
    total: int  # networks of the ensemble
    folder: Path | None
    devices: int | None

    def run(self, report: Callable[[str], None]) -> list[tuple[dict[str, np.ndarray], History]]:
        """The weights and the history of each network."""
        backend.use_threads(threads.count(), 1)
        trained = [(member, *divmod(member, self.training.snapshots + 1)) for member in self.members]
        after, own = self.training.of_snapshot, self.training
        clock = Clock(sum((after if generation else own).epochs for _, _, generation in trained))
        results: list[tuple[dict[str, np.ndarray], History]] = []
        trainer, best = None, None
        for member, start, generation in trained:
            wanted = after if generation else own
            if trainer is None or trainer.training != wanted:
                trainer = None  # what it has compiled serves the next
                trainer = self._trainer(wanted)
            trainer.begin(member, start + generation, best if generation else None)
            results.append(self._train(trainer, clock, report))
            best = trainer.best
        return results

    def _trainer(self, training: Training) -> Trainer:
        return Trainer(self.train, self.validation, self.settings, training, self.mean, self.std, self.devices)

    def _train(
        self, trainer: Trainer, clock: Clock, report: Callable[[str], None]
    ) -> tuple[dict[str, np.ndarray], History]:
        checkpoint = self.folder / f"member-{trainer.member}.npz" if self.folder else None
        if checkpoint and checkpoint.exists():
            trainer.restore(checkpoint)
            clock.skip(len(trainer.history))
        while not trainer.finished:
            _end_with_parent()
            trainer.run_epoch()
            _end_with_parent()
            if checkpoint:
                trainer.store(checkpoint)
            clock.tick()
            if clock.due() or trainer.finished:
                report(f"member {trainer.member + 1}/{self.total}  {trainer.progress()}{clock.left()}")
        clock.skip(trainer.training.epochs - len(trainer.history))
        return trainer.named(trainer.best), trainer.history


def _in_processes(whole: _Task, jobs: int) -> list[tuple[dict[str, np.ndarray], History]]:
    """The same as `whole.run`, shared by processes; on a CPU one network a core is quicker than one on all cores."""
    chain = whole.training.snapshots + 1
    own = [tuple(member for member in whole.members if member // chain % jobs == k) for k in range(jobs)]
    shares = [replace(whole, members=members) for members in own if members]
    with ProcessPoolExecutor(len(shares), get_context("spawn"), _begin_process, (len(shares),)) as pool:
        tasks = list(pool.map(_run_and_print, shares))
    results = {
        number: result
        for share, done in zip(shares, tasks, strict=True)
        for number, result in zip(share.members, done, strict=True)
    }
    return [results[member] for member in whole.members]


def _begin_process(processes: int) -> None:
    """Set up a process: an interruption ends it silently, and it leaves the other cores to other processes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threads.share(processes)


def _run_and_print(task: _Task) -> list[tuple[dict[str, np.ndarray], History]]:
    return task.run(_print_now)


def _print_now(line: str) -> None:
    print(line, flush=True)


def _end_with_parent() -> None:
    """Stop a process whose parent was killed, for then the checkpoints are free for another run."""
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)
