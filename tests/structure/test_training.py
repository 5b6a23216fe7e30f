from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers import SAMPLE
from pymatgen.core import Element

from bandgaps import elements, progress
from bandgaps.errors import InputError
from bandgaps.structure import batches, neighbors, network, trainer, training
from bandgaps.structure.backend import keras
from bandgaps.structure.ensemble import Model
from bandgaps.structure.network import Hyperparameters
from bandgaps.structure.trainer import History
from bandgaps.structure.training import Training
from bandgaps.structure.training_set import Rows
from bandgaps.table import cleaning, storage

SMALL = Hyperparameters(blocks=1, units=(16, 16, 8), set2set_steps=1)
QUICK = Training(epochs=4, batch_size=16, learning_rate=3e-3)


@cache
def rows() -> Rows:
    """Forty crystals of the sample."""
    table = cleaning.clean(storage.read(SAMPLE), "band_gap")[0].iloc[::4].head(40)
    return Rows(neighbors.build(list(table["structure"]), SMALL.cutoff), table["band_gap"].to_numpy())


def part(start: int, stop: int) -> Rows:
    return Rows(rows().graphs.between(start, stop), rows().targets[start:stop])


def silent(line: str) -> None:
    pass


@cache
def ensemble() -> tuple[Model, History]:
    """Three members, trained on the first thirty crystals."""
    return training.fit(part(0, 30), part(30, 40), SMALL, QUICK, 3, None, silent)


def test_training_learns_its_rows_and_keeps_the_best_weights(tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=100, patience=100)
    model, history = training.fit(rows(), part(0, 10), SMALL, settings, 1, None, silent)
    guess = np.mean(np.abs(rows().targets - rows().targets.mean()))
    predicted, _ = model.predict(rows().graphs)
    assert np.mean(np.abs(predicted - rows().targets)) < guess / 2
    best = min(row["validation_mae"] for row in history)
    assert np.mean(np.abs(predicted - rows().targets)[:10]) == pytest.approx(best, abs=1e-4)
    assert history[-1]["train_mae"] < history[0]["train_mae"] / 2


def test_an_interrupted_ensemble_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        if "member 2/2" in line and "epoch 2/" in line:
            raise StopIteration

    fitted, validated = part(0, 30), part(30, 40)
    whole, history = ensemble()
    whole, history = replace(whole, members=whole.members[:2]), history[: 2 * QUICK.epochs]
    every_line = pytest.MonkeyPatch()
    every_line.setattr(progress, "LINE_EVERY", 0.0)
    with pytest.raises(StopIteration):
        training.fit(fitted, validated, SMALL, QUICK, 2, tmp_path, interrupt)
    every_line.undo()
    lines: list[str] = []
    resumed, other = training.fit(fitted, validated, SMALL, QUICK, 2, tmp_path, lines.append)
    assert [(row["member"], row["epoch"]) for row in other] == [(m, e) for m in (0, 1) for e in (1, 2, 3, 4)]
    assert all("member 1/2" not in line for line in lines)
    np.testing.assert_allclose([r["loss"] for r in other], [r["loss"] for r in history], rtol=1e-3)
    for one, two in zip(whole.predict(rows().graphs), resumed.predict(rows().graphs), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)
    assert resumed.predict(rows().graphs)[1].mean() > 1e-3


def test_members_trained_in_two_processes_are_those_trained_in_one(tmp_path: Path) -> None:
    settings = replace(QUICK, snapshots=1, snapshot_epochs=1)
    one, history = training.fit(part(0, 30), part(30, 40), SMALL, settings, 3, None, silent)
    two, other = training.fit(part(0, 30), part(30, 40), SMALL, settings, 3, tmp_path, jobs=2)
    assert [(row["member"], row["epoch"]) for row in other] == [(row["member"], row["epoch"]) for row in history]
    np.testing.assert_allclose([r["loss"] for r in other], [r["loss"] for r in history], rtol=1e-3)
    for first, second in zip(one.members, two.members, strict=True):
        for name, weights in first.items():
            np.testing.assert_allclose(weights, second[name], atol=1e-3)


def test_networks_are_followed_by_their_snapshots_also_after_an_interruption(tmp_path: Path) -> None:
    settings = replace(QUICK, snapshots=2, snapshot_epochs=2)
    model, history = training.fit(part(0, 30), part(30, 40), SMALL, settings, 4, tmp_path, silent)
    lengths = [(0, 4), (1, 2), (2, 2), (3, 4)]
    assert [(row["member"], row["epoch"]) for row in history] == [
        (member, epoch) for member, length in lengths for epoch in range(1, length + 1)
    ]
    alone = ensemble()[0]

    def apart(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> float:
        name = "block0/bond/phi/0/kernel"
        return float(np.abs(one[name] - two[name]).mean())

    strangers = apart(alone.members[0], alone.members[1])
    assert apart(model.members[0], alone.members[0]) < 1e-3
    assert apart(model.members[3], alone.members[1]) < 1e-3
    for member in (1, 2):
        assert 0 < apart(model.members[member - 1], model.members[member]) < strangers / 3
    (tmp_path / "member-2.npz").unlink()
    again, _ = training.fit(part(0, 30), part(30, 40), SMALL, settings, 4, tmp_path, silent)
    for one, two in zip(model.predict(rows().graphs), again.predict(rows().graphs), strict=True):
        np.testing.assert_allclose(one, two, atol=5e-3)


def test_predicting_less_than_nothing_costs_nothing() -> None:
    metals = Rows(part(0, 20).graphs, np.where(np.arange(20) < 10, 0.0, 2.0))
    model, history = training.fit(
        metals, metals, SMALL, replace(QUICK, epochs=60, patience=60, lowest=0.0), 1, None, silent
    )
    predicted, _ = model.predict(metals.graphs)
    assert predicted.min() == 0.0
    assert (replace(model, lowest=None).predict(metals.graphs)[0] < 0).any()
    best = min(row["validation_mae"] for row in history)
    assert np.mean(np.abs(predicted - metals.targets)) == pytest.approx(best, abs=1e-4)


def test_embeddings_are_linear_in_properties_of_the_elements() -> None:
    model, _ = ensemble()
    table = elements.elemental_table()[: SMALL.elements - 1].copy()
    d, f, valence = (elements.PROPERTIES.index(name) for name in ("NdValence", "NfValence", "NValence"))
    for row, element in zip(table, map(Element.from_Z, range(1, SMALL.elements)), strict=True):
        for shell, core in ((d, element.block == "p"), (f, element.row == 6 and element.Z > 71)):  # full shells
            row[valence] -= row[shell] * core
            row[shell] *= not core
    with_mean = np.hstack([table, np.ones((len(table), 1))])
    for weights in model.members:
        embedding = weights["element_embedding"]
        assert embedding.shape == (SMALL.elements, SMALL.embedding)
        fitted = with_mean @ np.linalg.lstsq(with_mean, embedding[1:], rcond=None)[0]
        np.testing.assert_allclose(fitted, embedding[1:], atol=1e-4)
        spread = embedding[1:].std(axis=0)
        near, far = (np.abs(embedding[14] - embedding[other]).mean() for other in (32, 9))  # Si and Ge, Si and F
        assert near < far / 2 and spread.min() > 0.1
    first, second, _ = (weights["element_embedding"] for weights in model.members)
    assert not np.allclose(first, second, atol=0.1)


def test_large_kernels_are_kept_in_half_precision() -> None:
    settings = replace(SMALL, units=(64, 32, 16))
    model, _ = training.fit(part(0, 30), part(30, 40), settings, QUICK, 1, None, silent)
    fits = {k: np.array_equal(v.astype(np.float16), v) for k, v in model.members[0].items()}
    assert {name for name, fit in fits.items() if "phi/0/kernel" in name and not fit} == set()
    assert not fits["element_embedding"] and not fits["readout/0/bias"]


def test_an_auxiliary_target_is_learnt_where_it_is_known() -> None:
    energy = 3 - 2 * rows().targets
    known = np.where(np.arange(40) % 2 == 0, energy, np.nan)
    settings = replace(QUICK, epochs=100, patience=100)
    half = replace(rows(), auxiliary=known)
    assert half.auxiliary_known == 20
    model, history = training.fit(half, part(0, 10), SMALL, settings, 1, None, silent)
    assert np.isfinite([row["loss"] for row in history]).all()
    output = network.forward(model.members[0], batches.of(rows().graphs), model.hyperparameters).numpy()
    assert np.corrcoef(output[::2, 1], energy[::2])[0, 1] > 0.9


def test_rows_without_an_auxiliary_target_cost_what_their_target_costs() -> None:
    known = np.where(np.arange(40) < 20, rows().targets, np.nan)
    chosen = np.arange(20, 36)
    costs = []
    for auxiliary, weight in ((known, 0.3), (rows().targets, 0.0), (rows().targets, 0.3)):
        settings = replace(QUICK, auxiliary_weight=weight)
        given = replace(rows(), auxiliary=auxiliary)
        run = trainer.Trainer(given, part(0, 10), replace(SMALL, properties=2), settings, 0.0, 1.0)
        costs.append(run.descent.step([run._share(chosen, len(chosen))], 0.0))
    assert costs[0] == pytest.approx(costs[1])
    assert costs[0][0] < costs[2][0] and costs[0][1] == pytest.approx(costs[2][1])


def test_training_stops_when_validation_gets_no_better() -> None:
    settings = replace(QUICK, epochs=50, patience=2, loss="huber")
    opposite = Rows(part(0, 10).graphs, -3 * part(0, 10).targets)
    _, history = training.fit(rows(), opposite, SMALL, settings, 1, None, silent)
    errors = [row["validation_mae"] for row in history]
    assert len(errors) == int(np.argmin(errors)) + 3 < 50


def test_checkpoints_of_another_training_are_refused(tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=1)
    training.fit(part(0, 30), part(30, 40), SMALL, settings, 1, tmp_path, silent)
    with pytest.raises(InputError, match=r"other learning_rate\); go on with the same .*begin anew"):
        training.fit(part(0, 30), part(30, 40), SMALL, replace(settings, learning_rate=0.1), 1, tmp_path, silent)
    for changed in ("warm_up", "largest_gradient", "rounded_from"):
        other = replace(settings, **{changed: 2 * getattr(settings, changed)})
        with pytest.raises(InputError, match=rf"other {changed}\)"):
            training.fit(part(0, 30), part(30, 40), SMALL, other, 1, tmp_path, silent)
    with pytest.raises(InputError, match="other rows"):
        training.fit(part(0, 20), part(30, 40), SMALL, settings, 1, tmp_path, silent)
    checkpoint = tmp_path / "member-0.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"member-0\.npz: a damaged checkpoint.*begin anew"):
        training.fit(part(0, 30), part(30, 40), SMALL, settings, 1, tmp_path, silent)


def test_without_rows_there_is_nothing_to_train() -> None:
    with pytest.raises(InputError, match="no validation rows"):
        training.fit(part(0, 30), part(30, 30), SMALL, QUICK, 1, None, silent)


def test_equal_targets_are_learnt_too() -> None:
    flat = Rows(part(0, 20).graphs, np.full(20, 2.5))
    model, _ = training.fit(flat, flat, SMALL, QUICK, 1, None, silent)
    assert (model.mean, model.std) == (2.5, 1.0)


def test_epochs_leave_nothing_behind() -> None:
    run = trainer.Trainer(rows(), part(0, 10), SMALL, QUICK, 0.0, 1.0)
    for _ in range(3):
        run.run_epoch()
    assert run.descent.compiled.experimental_get_tracing_count() == 1


def test_what_is_compiled_serves_one_training_after_the_other_and_no_two_at_once() -> None:
    one, two = (trainer.Trainer(part(0, 30), part(30, 40), SMALL, QUICK, 0.0, 1.0) for _ in range(2))
    assert one.descent is not two.descent
    one.run_epoch()
    untouched = two.now()
    one.run_epoch()
    np.testing.assert_array_equal(two.now(), untouched)
    slower = replace(QUICK, learning_rate=QUICK.learning_rate / 10, epochs=2)
    compiled, history = one.descent, one.history
    del one
    three = trainer.Trainer(part(0, 30), part(30, 40), SMALL, slower, 0.0, 1.0)
    assert three.descent is compiled
    three.run_epoch()
    three.run_epoch()
    assert abs(three.history[1]["train_mae"] / history[1]["train_mae"] - 1) > 1e-3  # its own learning rate
    del three
    again = trainer.Trainer(part(0, 30), part(30, 40), SMALL, QUICK, 0.0, 1.0)
    assert again.descent is compiled
    again.run_epoch()
    np.testing.assert_allclose(list(again.history[0].values()), list(history[0].values()), rtol=1e-5)
    assert compiled.compiled.experimental_get_tracing_count() == 1


def test_the_learning_rate_rises_then_falls_as_kerass_schedule() -> None:
    settings = replace(QUICK, epochs=5, batch_size=2, warm_up=20)
    run = trainer.Trainer(part(0, 30), part(30, 40), SMALL, settings, 0.0, 1.0)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 75 - 20, warmup_target=3e-3, warmup_steps=20)
    for step in (0, 1, 19, 20, 21, 50, 74):
        run.descent.optimizer.iterations.assign(step)
        assert run._rate() == pytest.approx(float(schedule(step)), rel=1e-5, abs=1e-9)


def test_two_devices_train_as_one_does() -> None:
    """Of the 33 rows the last batch has one, which leaves the second device none."""
    rows = part(0, 33), part(33, 40)
    one, two = (training.fit(*rows, SMALL, QUICK, 1, None, silent, devices)[1] for devices in (1, 2))
    assert len(one) == len(two) == QUICK.epochs
    for name in ("loss", "train_mae", "validation_mae"):
        np.testing.assert_allclose([row[name] for row in two], [row[name] for row in one], rtol=1e-4)
    assert one[0]["loss"] != one[-1]["loss"]
    with pytest.raises(InputError, match=r"3 devices asked for, but TensorFlow sees 2 \(CPU\)"):
        training.fit(*rows, SMALL, QUICK, 1, None, silent, 3)
