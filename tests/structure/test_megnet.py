"""Published weights, and the megnet package as an oracle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import orjson
import pytest
from helpers import SAMPLE, SHARED, first_rows, needs_shared
from pymatgen.core import Structure
from some_crystals import FIDELITIES, crystals, predicted, zincblende

from bandgaps.errors import InputError
from bandgaps.structure import model_files, neighbors, training_set
from bandgaps.structure.network import Hyperparameters
from bandgaps.table import cleaning, storage
from bandgaps.table.records import Record
from benchmarks import data, peer
from benchmarks import megnet as epochs

WEIGHTS = SHARED / "megnet-weights"
PBE_2018 = WEIGHTS / "mp-2018.6.1" / "band_gap_regression.hdf5"
MULTI = WEIGHTS / "mf_2020" / "pbe_gllb_hse_exp"
DISORDER = WEIGHTS / "mf_2020" / "pbe_gllb_hse_exp_disorder"
OF_DISORDER = DISORDER / "2" / "best_model.hdf5"
Oracle = dict[Path, tuple[list[Structure], np.ndarray]]


# --------------------------------------------------------------------------------------------- the published numbers


@needs_shared
def test_published_gaps_of_silicon_germanium_and_salt() -> None:
    np.testing.assert_allclose(
        predicted(model_files.load(PBE_2018), crystals()), [0.97761, 0.05001, 4.88043], atol=1e-4
    )


@needs_shared
def test_a_folder_of_published_files_is_an_ensemble() -> None:
    ensemble = model_files.load(MULTI)
    assert len(ensemble.members) == 6
    assert ensemble.hyperparameters.fidelities == FIDELITIES
    built = neighbors.build(crystals(), ensemble.hyperparameters.cutoff)
    mean, std = ensemble.predict(built, "experiment")
    each = [model_files.load(path).predict(built, "experiment")[0] for path in sorted(MULTI.glob("*/*.hdf5"))]
    np.testing.assert_allclose(mean, np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(std, np.std(each, axis=0, ddof=1), atol=1e-6)
    np.testing.assert_allclose(mean[:2], [0.99, 0.54], atol=0.005)


@needs_shared
def test_files_of_two_architectures_are_no_ensemble() -> None:
    with pytest.raises(InputError, match="another architecture"):
        model_files.from_published([PBE_2018, MULTI / "0" / "best_model.hdf5"])


@needs_shared
def test_the_models_of_disordered_crystals_predict_ordered_ones() -> None:
    model = model_files.load(DISORDER)
    np.testing.assert_allclose(predicted(model, crystals()[:2], "experiment"), [1.24, 0.52], atol=0.01)


# ------------------------------------------------------------------------------------------------- the megnet package


def materials_project() -> list[Structure]:
    """Every tenth of the first 300 structures."""
    columns, rows = first_rows(300)
    return [Structure.from_dict(row[columns.index("structure")]) for row in rows[::10]]


def shared_sites() -> list[Structure]:
    """Crystals with sites that elements share, and ordered ones."""
    lattice, sites = zincblende(5.54, "Si", "Si").lattice, zincblende(5.54, "Si", "Si").frac_coords
    salt = zincblende(5.9, "Na", "Cl").lattice
    return [
        *(Structure(lattice, [{"Si": 1 - x, "Ge": x}] * 2, sites) for x in (0.03, 0.5, 0.9)),
        Structure(
            salt, [{"Na": 0.2, "K": 0.5, "Rb": 0.3}, {"Cl": 0.75, "Br": 0.25}], np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
        ),
        Structure(lattice, ["Ga", {"As": 0.6, "P": 0.4}], sites) * (2, 1, 1),
        *crystals(),
    ]


def first_batch() -> tuple[list[Record], np.ndarray]:
    """Crystals, and what a training is to make of them."""
    crystals = data.repeated(data.connected(storage.read_records(SAMPLE).head(100)), 12)["structure"].tolist()
    return crystals, np.random.default_rng(0).normal(size=len(crystals)).astype(np.float32)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """By file of weights, structures and what megnet predicts for them, shape (states, structures).

    The weights are made by megnet itself, and published. 24 structures are ordered; the model of disordered ones gets
    sites that elements share.
    """
    folder = tmp_path_factory.mktemp("oracle")
    everything = materials_project() if SHARED.exists() else list(storage.read(SAMPLE)["structure"])
    ordered = [crystal for crystal in everything if not cleaning.has_isolated_atom(crystal)][:24]
    asked = dict.fromkeys([folder / "zeros.hdf5", folder / "fidelity.hdf5"], ordered)
    if SHARED.exists():
        asked |= dict.fromkeys([PBE_2018, MULTI / "3" / "best_model.hdf5"], ordered)
        asked[OF_DISORDER] = shared_sites()
    pairs = [(str(path), [structure.as_dict() for structure in structures]) for path, structures in asked.items()]
    (folder / "asked.json").write_bytes(orjson.dumps(pairs, option=orjson.OPT_SERIALIZE_NUMPY))
    crystals, targets = first_batch()
    with peer.megnet(folder, crystals, targets, "tests.structure.megnet_oracle") as ask:
        for task in ("gaps", "graphs", "gradient"):
            ask(task)
    with np.load(folder / "gaps.npz") as gaps:
        return {path: (asked[path], gaps[str(number)]) for number, path in enumerate(asked)}


def test_predictions_are_those_of_megnet(oracle: Oracle) -> None:
    for path, (structures, gaps) in oracle.items():
        if path == OF_DISORDER:
            continue
        assert len(structures) == 24
        model = model_files.load(path)
        assert len(gaps) == len(model.hyperparameters.fidelities or [None])
        for fidelity, row in zip(model.hyperparameters.fidelities or [None], gaps, strict=True):
            np.testing.assert_allclose(
                predicted(model, structures, fidelity), row, atol=1e-4, err_msg=f"{path} {fidelity}"
            )
            assert np.std(row) > 0.01


def test_loss_and_gradient_of_a_batch_are_those_of_megnet(oracle: Oracle) -> None:
    crystals, targets = first_batch()
    folder = next(iter(oracle)).parent
    with epochs.free_embedding():
        rows = training_set.Rows(neighbors.build(crystals, peer.CUTOFF), targets)
        trainer = epochs.trainer_of(model_files.load(folder / "model.hdf5"), rows)
        loss, gradient = epochs.first_step(trainer)
    theirs = epochs.peers_step(folder)
    assert epochs.agree((loss, gradient), theirs)
    assert not epochs.agree((loss * 1.001, gradient), theirs)
    for name in ("readout/2/bias", "block0/bond/phi/0/kernel", "element_embedding", "input/state/0/bias"):
        assert not epochs.agree((loss, {**gradient, name: gradient[name] * 1.001}), theirs), name
    assert not epochs.agree((loss, dict(list(gradient.items())[1:])), theirs)


def test_settings_come_from_the_published_files(oracle: Oracle) -> None:
    zeros, fidelity = (model_files.load(path) for path in list(oracle)[:2])
    assert zeros.hyperparameters == Hyperparameters(cutoff=4.5, last_center=5.5, width=0.4)
    assert fidelity.hyperparameters == replace(
        zeros.hyperparameters, set2set_steps=2, fidelities=fidelity.hyperparameters.fidelities
    )
    assert len(fidelity.hyperparameters.fidelities) == 4
    assert (zeros.mean, zeros.std) == (1.5, 2.0)
    assert zeros.published


@pytest.mark.parametrize("damage", ["truncated", "empty", "no settings", "half settings", "other settings", "no layer"])
def test_damaged_published_files_are_refused(oracle: Oracle, tmp_path: Path, damage: str) -> None:
    source = next(iter(oracle))
    path, config = tmp_path / "model.hdf5", tmp_path / "model.hdf5.json"
    path.write_bytes(source.read_bytes())
    config.write_bytes(source.with_name(source.name + ".json").read_bytes())
    match damage:
        case "truncated":
            path.write_bytes(path.read_bytes()[:100_000])
        case "empty":
            path.write_bytes(b"")
        case "no settings":
            config.unlink()
        case "half settings":
            config.write_bytes(config.read_bytes()[:500])
        case "other settings":
            config.write_text(json.dumps({"graph_converter": {"cutoff": 4}}))
        case "no layer":
            with h5py.File(path, "a") as file:
                del file["model_weights"]["readout_1"]
    with pytest.raises(InputError, match=r"model\.hdf5"):
        model_files.load(path)


@needs_shared
@pytest.mark.parametrize(("level", "fidelity"), enumerate(FIDELITIES))
def test_shared_sites_are_predicted_as_megnet_predicts_them(oracle: Oracle, level: int, fidelity: str) -> None:
    structures, expected = oracle[OF_DISORDER]
    model = model_files.load(OF_DISORDER)
    np.testing.assert_allclose(predicted(model, structures, fidelity), expected[level], atol=2e-5)
    assert np.std(expected[level]) > 0.1
