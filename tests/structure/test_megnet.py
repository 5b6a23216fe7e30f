from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import orjson
import pytest
from helpers import SAMPLE, SHARED, first_rows, needs_shared
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure, SymmOp

from bandgaps import files, model_folders
from bandgaps.errors import InputError
from bandgaps.structure import batches, graphs, model_files, neighbors, network
from bandgaps.structure.ensemble import Model
from bandgaps.structure.network import Hyperparameters
from bandgaps.table import cleaning, storage

WEIGHTS = SHARED / "megnet-weights"
PBE_2018 = WEIGHTS / "mp-2018.6.1" / "band_gap_regression.hdf5"
MULTI = WEIGHTS / "mf_2020" / "pbe_gllb_hse_exp"
DISORDER = WEIGHTS / "mf_2020" / "pbe_gllb_hse_exp_disorder"
OF_DISORDER = DISORDER / "2" / "best_model.hdf5"
FIDELITIES = ("pbe", "gllbsc", "hse", "experiment")
Oracle = dict[Path, tuple[list[Structure], np.ndarray]]
SEVERAL = Hyperparameters(cutoff=5.0, last_center=6.0, set2set_steps=2, fidelities=FIDELITIES)


def random_model(members: int = 2, architecture: Hyperparameters = Hyperparameters()) -> Model:  # noqa: B008 (frozen)
    """A model with weights large enough that different crystals get different gaps."""
    generator = np.random.default_rng(0)
    weights = [
        {
            name: generator.normal(
                0, {"bias": 0.1, "kernel": (5 / sum(shape)) ** 0.5}.get(name.split("/")[-1], 1), shape
            )
            for name, shape in architecture.weight_shapes().items()
        }
        for _ in range(members)
    ]
    floats = [{name: array.astype(np.float32) for name, array in member.items()} for member in weights]
    return Model(architecture, floats, mean=1.2, std=1.7, card={"name": "random"}, formulas=np.array(["Si", "NaCl"]))


def zincblende(a: float, *elements: str) -> Structure:
    vectors = a / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Structure(Lattice(vectors), elements, np.array([[0, 0, 0], [0.25, 0.25, 0.25]]))


def crystals() -> list[Structure]:
    """Silicon, germanium and salt."""
    salt = Structure(zincblende(5.69, "Na", "Cl").lattice, ["Na", "Cl"], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    return [zincblende(5.431, "Si", "Si"), zincblende(5.658, "Ge", "Ge"), salt]


def predicted(model: Model, structures: list[Structure], fidelity: str | None = None) -> np.ndarray:
    return model.predict(neighbors.build(structures, model.hyperparameters.cutoff), fidelity)[0]


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
    """Every tenth of the first 600 structures."""
    columns, rows = first_rows(600)
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


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """By file of weights, structures and what megnet predicts for them, shape (states, structures).

    The weights are made by megnet itself, and published. 50 structures are ordered; the model of disordered ones gets
    sites that elements share.
    """
    folder = tmp_path_factory.mktemp("oracle")
    everything = materials_project() if SHARED.exists() else list(storage.read(SAMPLE)["structure"])
    ordered = [crystal for crystal in everything if not cleaning.has_isolated_atom(crystal)][:50]
    asked = dict.fromkeys([folder / "zeros.hdf5", folder / "fidelity.hdf5"], ordered)
    if SHARED.exists():
        asked |= dict.fromkeys([PBE_2018, MULTI / "3" / "best_model.hdf5"], ordered)
        asked[OF_DISORDER] = shared_sites()
    command = [sys.executable, str(Path(__file__).with_name("megnet_oracle.py")), str(folder / "gaps.npz")]
    for number, (path, structures) in enumerate(asked.items()):
        records = [structure.as_dict() for structure in structures]
        (folder / f"{number}.json").write_bytes(orjson.dumps(records, option=orjson.OPT_SERIALIZE_NUMPY))
        command += [str(path), str(folder / f"{number}.json")]
    subprocess.run(command, check=True, capture_output=True)
    with np.load(folder / "gaps.npz") as gaps:
        return {path: (asked[path], gaps[str(number)]) for number, path in enumerate(asked)}


def test_predictions_are_those_of_megnet(oracle: Oracle) -> None:
    for path, (structures, gaps) in oracle.items():
        if path == OF_DISORDER:
            continue
        assert len(structures) == 50
        model = model_files.load(path)
        assert len(gaps) == len(model.hyperparameters.fidelities or [None])
        for fidelity, row in zip(model.hyperparameters.fidelities or [None], gaps, strict=True):
            np.testing.assert_allclose(
                predicted(model, structures, fidelity), row, atol=1e-4, err_msg=f"{path} {fidelity}"
            )
            assert np.std(row) > 0.01


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


# --------------------------------------------------------------------------------------------------------- invariance


@given(st.integers(0, 10_000))
@settings(max_examples=10)
def test_a_crystal_turned_moved_or_relabelled_has_the_same_gap(seed: int) -> None:
    model, generator = random_model(1), np.random.default_rng(seed)
    lattice = Lattice.from_parameters(*generator.uniform(3.5, 5, 3), *generator.uniform(75, 105, 3))
    crystal = Structure(lattice, ["Na", "Cl", "Si", "O"], generator.random((4, 3)))
    turned = crystal.copy().apply_operation(
        SymmOp.from_axis_angle_and_translation(generator.normal(size=3), generator.uniform(0, 360))
    )
    moved = crystal.copy().translate_sites(range(4), generator.random(3))
    relabelled = Structure.from_sites([crystal[k] for k in generator.permutation(4)])
    larger = crystal.copy().make_supercell([[2, 0, 0], [1, 1, 0], [0, 0, 1]])
    other = crystal.copy().scale_lattice(1.1 * crystal.volume)
    gap, *gaps, different = predicted(model, [crystal, turned, moved, relabelled, larger, other])
    np.testing.assert_allclose(gaps, gap, atol=1e-3)
    assert abs(different - gap) > 0.01


def test_a_shared_site_goes_from_one_element_to_the_other() -> None:
    model, diamond = random_model(1), zincblende(5.5, "Si", "Si")
    fractions = [0, 1e-7, 0.3, 0.6, 1 - 1e-7, 1]
    shared = [Structure(diamond.lattice, [{"Si": 1 - x, "Ge": x}] * 2, diamond.frac_coords) for x in fractions]
    pure = [zincblende(5.5, element, element) for element in ("Si", "Ge")]
    for one, other in ((shared[0], pure[0]), (shared[5], pure[1])):  # each alone, so that rounding is the same
        np.testing.assert_array_equal(predicted(model, [one]), predicted(model, [other]))
    gaps, ends = predicted(model, shared), predicted(model, pure)
    np.testing.assert_allclose(gaps[[1, 4]], ends, atol=1e-4)
    assert np.ptp(gaps) > 0.01
    doubled = [crystal * (1, 2, 1) for crystal in shared]
    swapped = [Structure(diamond.lattice, [{"Ge": x, "Si": 1 - x}] * 2, diamond.frac_coords) for x in fractions]
    for same in (doubled, swapped, shared[::-1]):
        np.testing.assert_allclose(predicted(model, same), gaps[::-1] if same[0] == shared[-1] else gaps, atol=1e-4)


def test_the_mean_embedding_is_what_a_shared_site_gets() -> None:
    """An element whose embedding is the mean of two others is as good as the two on one site."""
    model = random_model(1)
    table = model.members[0]["element_embedding"]
    table[50] = 0.25 * table[14] + 0.75 * table[32]
    diamond = zincblende(5.5, "Sn", "Sn")
    shared = Structure(diamond.lattice, [{"Si": 0.25, "Ge": 0.75}, "O"], diamond.frac_coords)
    gaps = predicted(model, [shared, Structure(diamond.lattice, ["Sn", "O"], diamond.frac_coords)])
    assert gaps[0] == pytest.approx(gaps[1], abs=1e-5)


def test_a_gap_does_not_depend_on_the_crystals_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model()
    together = predicted(model, crystals() * 3)
    alone = [predicted(model, [crystal])[0] for crystal in crystals() * 3]
    np.testing.assert_allclose(together, alone, atol=1e-4)
    monkeypatch.setattr(network, "BONDS_A_BATCH", 200)
    np.testing.assert_allclose(predicted(model, crystals() * 3), together, atol=1e-4)
    assert predicted(model, []).shape == (0,)


def test_merging_what_is_alike_changes_neither_gaps_nor_gradients() -> None:
    """On crystals with and without symmetry, for all weights together."""
    import keras
    import tensorflow as tf

    some = [
        crystal for crystal in storage.read(SAMPLE)["structure"].iloc[::40] if not cleaning.has_isolated_atom(crystal)
    ]
    whole = neighbors.build([*some, *crystals()], 4.0)
    fewer = graphs.merged(whole)
    assert len(fewer.distances) < len(whole.distances) / 2
    model = random_model(1)
    weights = {name: tf.constant(array) for name, array in model.members[0].items()}
    results = []
    for built in (whole, fewer):
        with tf.GradientTape() as tape:
            tape.watch(list(weights.values()))
            output = network.forward(weights, batches.of(built), model.hyperparameters)
            loss = keras.ops.sum(output**2)
        gradients = tape.gradient(loss, weights)
        results.append((output, gradients))
    (gaps, slopes), (other_gaps, other_slopes) = results
    assert np.std(gaps) > 0.01
    np.testing.assert_allclose(other_gaps, gaps, atol=1e-4)
    for name in weights:
        one, other = (tf.convert_to_tensor(slope[name]).numpy() for slope in (slopes, other_slopes))
        np.testing.assert_allclose(other, one, atol=2e-3 * max(1e-3, np.abs(one).max()), err_msg=name)


def test_the_activation_is_softplus_less_its_value_at_zero() -> None:
    import tensorflow as tf

    x = np.concatenate([np.linspace(-10, 10, 201), [-1000, -100, -60, 59, 60, 61, 88, 100, 1000]]).astype(np.float32)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = network.softplus2(tensor)
    np.testing.assert_allclose(y, np.logaddexp(0, x.astype(float)) - np.log(2), atol=2e-7, rtol=1e-6)
    sigmoid = 1 / (1 + np.exp(np.minimum(-x.astype(float), 700.0)))
    np.testing.assert_allclose(tape.gradient(y, tensor), sigmoid, atol=1e-6)
    assert network.softplus2(tf.zeros(1))[0] == 0


# ------------------------------------------------------------------------------------------------------- model folders


@pytest.mark.parametrize("architecture", [Hyperparameters(), SEVERAL])
def test_a_saved_model_loads_and_predicts_the_same(tmp_path: Path, architecture: Hyperparameters) -> None:
    model = random_model(3, architecture)
    model_files.save(model, tmp_path / "model")
    loaded = model_files.load(tmp_path / "model")
    assert loaded.hyperparameters == model.hyperparameters
    assert loaded.card == model.card
    assert loaded.formulas is not None
    assert loaded.formulas.tolist() == ["Si", "NaCl"]
    built = neighbors.build(crystals(), model.hyperparameters.cutoff)
    for one, other in zip(model.predict(built), loaded.predict(built), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_that_half_precision_holds_take_half_the_room(tmp_path: Path) -> None:
    model = random_model(1)
    half = [{k: v.astype(np.float16).astype(np.float32) for k, v in weights.items()} for weights in model.members]
    sizes = []
    for each in (model, replace(model, members=half)):
        model_files.save(each, tmp_path / "model")
        sizes.append((tmp_path / "model" / "member-0.npz").stat().st_size)
        for name, array in model_files.load(tmp_path / "model").members[0].items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, each.members[0][name])
    assert sizes[1] < 0.6 * sizes[0]


def test_one_member_has_no_sigma_and_several_have() -> None:
    built = neighbors.build(crystals(), 4.0)
    assert np.isnan(random_model(1).predict(built)[1]).all()
    mean, std = random_model(2).predict(built)
    each = np.array(
        [Model(m.hyperparameters, [w], m.mean, m.std).predict(built)[0] for m in [random_model(2)] for w in m.members]
    )
    np.testing.assert_allclose(mean, each.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(std, abs(each[0] - each[1]) / np.sqrt(2), atol=1e-6)


def resave(folder: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> None:
    """Change one member and its checksum with it, as someone would who means harm."""
    card, groups = model_folders.load(folder, "megnet")
    model_folders.save(folder, card, {**groups, "member-1": change(groups["member-1"])})


def edit_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, **changes}))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


HYPER = {"cutoff": 4.0, "gaussians": 100, "last_center": 5.0, "width": 0.5, "units": [64, 32, 16]}
DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": lambda folder: flip(folder / "member-1.npz"),
    "half a file": lambda folder: (folder / "member-0.npz").write_bytes((folder / "member-0.npz").read_bytes()[:999]),
    "a missing member": lambda folder: (folder / "member-0.npz").unlink(),
    "half a card": lambda folder: (folder / "model.json").write_text("{"),
    "a missing layer": lambda folder: resave(folder, lambda w: {k: v for k, v in w.items() if "readout/1" not in k}),
    "a layer too many": lambda folder: resave(folder, lambda w: {**w, "readout/3/kernel": np.zeros((1, 1))}),
    "another shape": lambda folder: resave(folder, lambda w: {**w, "readout/0/bias": np.zeros(3)}),
    "no number": lambda folder: resave(folder, lambda w: {**w, "readout/0/bias": np.full(32, np.nan)}),
    "other blocks": lambda folder: edit_card(folder, hyperparameters={**HYPER, "blocks": 2}),
    "endless blocks": lambda folder: edit_card(folder, hyperparameters={**HYPER, "blocks": 10**12}),
    "no blocks": lambda folder: edit_card(folder, hyperparameters={**HYPER, "blocks": "three"}),
    "unknown hyperparameters": lambda folder: edit_card(folder, hyperparameters={**HYPER, "magic": 1}),
    "no mean": lambda folder: edit_card(folder, mean=None),
    "a mean of NaN": lambda folder: edit_card(folder, mean=float("nan")),
    "no members": lambda folder: edit_card(folder, sha256={}),
    "another kind": lambda folder: edit_card(folder, kind="forest"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_models_are_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    model_files.save(random_model(), folder)
    model_files.load(folder)
    DAMAGES[damage](folder)
    with pytest.raises(InputError, match="model"):
        model_files.load(folder)


def test_pickled_code_in_a_model_does_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model_files.save(random_model(), folder)
    np.savez(folder / "member-0.npz", bad=np.array([Bomb(tmp_path)], dtype=object))
    edit_card(folder, sha256={"member-0.npz": files.sha256(folder / "member-0.npz")})
    with pytest.raises(InputError, match="model"):
        model_files.load(folder)
    assert not (tmp_path / "boom").exists()


class Bomb:
    """Pickles to something that makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.mkdir, (self.folder / "boom",)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such file or folder.*Bandgap_MP_2018.*structure\.py"):
        model_files.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"neither model\.json nor a \.hdf5"):
        model_files.load(tmp_path)


def test_other_cutoffs_elements_and_fidelities_are_refused() -> None:
    model = random_model(1)
    with pytest.raises(InputError, match="cutoff of 5 Å, the model one of 4 Å"):
        model.predict(neighbors.build(crystals(), 5.0))
    heavy = zincblende(6.0, "Cm", "O")
    shared = Structure(heavy.lattice, [{"Am": 0.5, "U": 0.5}, "O"], heavy.frac_coords)
    for crystal, number in ((heavy, 96), (shared, 95)):
        with pytest.raises(InputError, match=f"structure 3: element {number} is not known"):
            model.predict(neighbors.build([*crystals(), crystal], 4.0))
    with pytest.raises(InputError, match=r"^fidelity hse: .*only one"):
        predicted(model, crystals(), "hse")
    with pytest.raises(InputError, match=r"^fidelity magic: .*pbe, gllbsc, hse, experiment"):
        predicted(random_model(1, SEVERAL), crystals(), "magic")


def test_fidelities_differ_and_the_first_is_the_default() -> None:
    model = random_model(1, SEVERAL)
    gaps = np.array([predicted(model, crystals(), fidelity) for fidelity in FIDELITIES])
    np.testing.assert_array_equal(predicted(model, crystals()), gaps[0])
    assert (np.abs(np.diff(gaps, axis=0)) > 1e-3).all()
