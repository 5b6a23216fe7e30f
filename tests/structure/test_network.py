"""What a network says of a crystal: the same however it is written down, alone or beside others."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import SAMPLE
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure, SymmOp
from some_crystals import FIDELITIES, SEVERAL, crystals, predicted, random_model, zincblende

from bandgaps.errors import InputError
from bandgaps.structure import batches, graphs, neighbors, network
from bandgaps.structure.ensemble import Model
from bandgaps.table import cleaning, storage


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


def test_one_member_has_no_sigma_and_several_have() -> None:
    built = neighbors.build(crystals(), 4.0)
    assert np.isnan(random_model(1).predict(built)[1]).all()
    mean, std = random_model(2).predict(built)
    each = np.array(
        [Model(m.hyperparameters, [w], m.mean, m.std).predict(built)[0] for m in [random_model(2)] for w in m.members]
    )
    np.testing.assert_allclose(mean, each.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(std, abs(each[0] - each[1]) / np.sqrt(2), atol=1e-6)


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
