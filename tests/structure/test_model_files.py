"""Models on disk: what is saved is loaded, and what is damaged or forged is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from some_crystals import SEVERAL, crystals, random_model

from bandgaps import files, model_folders
from bandgaps.errors import InputError
from bandgaps.structure import measured, model_files, neighbors
from bandgaps.structure.measured import MeasuredLevel
from bandgaps.structure.network import Hyperparameters


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


def resave(
    folder: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], member: str = "member-1"
) -> None:
    """Change one member and its checksum with it, as someone would who means harm."""
    card, groups = model_folders.load(folder, "megnet")
    model_folders.save(folder, card, {**groups, member: change(groups[member])})


def edit_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, **changes}))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def hyper(**changes: object) -> Callable[[Path], object]:
    """Another architecture on the card."""
    settings = {"cutoff": 4.0, "gaussians": 100, "last_center": 5.0, "width": 0.5, "units": [64, 32, 16]}
    settings |= {"blocks": 3, "set2set_steps": 3, "elements": 95, "embedding": 16}
    return lambda folder: edit_card(folder, hyperparameters={**settings, **changes})


def card(**changes: object) -> Callable[[Path], object]:
    return lambda folder: edit_card(folder, **changes)


def bias(array: np.ndarray) -> Callable[[Path], object]:
    """Another array in the place of one of the weights."""
    return lambda folder: resave(folder, lambda weights: {**weights, "readout/0/bias": array})


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (lambda folder: flip(folder / "member-1.npz"), r"member-1\.npz: its checksum"),
    "half a file": (
        lambda folder: (folder / "member-0.npz").write_bytes((folder / "member-0.npz").read_bytes()[:999]),
        r"member-0\.npz: its checksum",
    ),
    "a missing member": (lambda folder: (folder / "member-0.npz").unlink(), r"member-0\.npz: missing"),
    "half a card": (lambda folder: (folder / "model.json").write_text("{"), r"model\.json: not valid JSON"),
    "a missing layer": (
        lambda folder: resave(folder, lambda w: {k: v for k, v in w.items() if "readout/1" not in k}),
        r"member-1\.npz: no array readout/1",
    ),
    "a layer too many": (
        lambda folder: resave(folder, lambda w: {**w, "readout/3/kernel": np.zeros((1, 1))}),
        r"member-1\.npz: weights that do not fit the architecture \(readout/3/kernel",
    ),
    "another shape": (bias(np.zeros(3)), r"member-1\.npz: readout/0/bias is float64 of shape \(3,\)"),
    "no number": (bias(np.full(32, np.nan)), r"member-1\.npz: weights that are not finite"),
    "words": (bias(np.full(32, "0.1")), r"member-1\.npz: readout/0/bias is <U3"),
    "complex numbers": (bias(np.zeros(32, complex)), r"member-1\.npz: readout/0/bias is complex128"),
    "dates": (bias(np.zeros(32, "datetime64[s]")), r"member-1\.npz: readout/0/bias is datetime64"),
    "records": (bias(np.zeros(32, [("a", "f4")])), r"member-1\.npz: readout/0/bias is \[\('a', '<f4'\)\]"),
    "formulas that are no text": (
        lambda folder: resave(folder, lambda _: {"formula": np.array([b"\xff"])}, "training"),
        r"training\.npz: not text",
    ),
    "other blocks": (hyper(blocks=2), "weights that do not fit the architecture"),
    "endless blocks": (hyper(blocks=10**12), "hyperparameters.blocks: "),
    "endless steps": (hyper(set2set_steps=10_000), "hyperparameters.set2set_steps: "),
    "no blocks": (hyper(blocks="three"), "hyperparameters.blocks: "),
    "a probability that is an object": (hyper(probability={"metal": 1}), "hyperparameters.probability: "),
    "unknown hyperparameters": (hyper(magic=1), "magic"),
    "no mean": (card(mean=None), "mean: "),
    "a mean of NaN": (card(mean=float("nan")), "mean: "),
    "a mean beyond all gaps": (card(mean=1e308), "mean: "),
    "an infinite std": (card(std=float("inf")), "std: "),
    "a std beyond all gaps": (card(std=1e308), "std: "),
    "a lowest value beyond all gaps": (card(lowest=-1e308), "lowest: "),
    "a list of calibrations": (card(calibrations=[1]), "calibrations: "),
    "a calibration of nothing": (card(calibrations={"pbe": None}), "calibrations.pbe: "),
    "a calibration in words": (card(calibrations={"pbe": {"scale": "wide"}}), "calibrations.pbe.scale: "),
    "trained on text": (card(trained_on="a table"), "trained_on: "),
    "trained on many rows": (card(trained_on={"rows": "many"}), "trained_on.rows: "),
    "trained on no means": (card(trained_on={"means": {"pbe": "low"}}), "trained_on.means.pbe: "),
    "no members": (card(sha256={}), "no members"),
    "another kind": (card(kind="forest"), "found 'forest', wanted a 'megnet'"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_models_are_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    model_files.save(random_model(), folder)
    model_files.load(folder)
    change, message = DAMAGES[damage]
    change(folder)
    with pytest.raises(InputError, match=rf"/model[/:].*{message}"):
        model_files.load(folder)


KNOWN = 40  # crystals whose gap was measured
WITH_METALS = np.arange(KNOWN) % 3.0


def known(**changes: np.ndarray) -> MeasuredLevel:
    """A model of measured gaps with these arrays."""
    inputs = np.random.default_rng(0).normal(size=(KNOWN, measured.width(len(SEVERAL.fidelities))))
    names = np.array([f"Si{row}" for row in range(KNOWN)])
    arrays = {"inputs": inputs, "gaps": WITH_METALS, "uncertainty": np.full(KNOWN, 0.1), "composition": names}
    return replace(MeasuredLevel(**arrays), **changes)  # type: ignore[arg-type]


def put(value: float, array: np.ndarray) -> np.ndarray:
    """The array with another first number."""
    changed = array.copy()
    changed.flat[0] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uncertainty": put(np.inf, np.ones(KNOWN))}, "uncertainty that are not from 0.001 to 100"),
        ({"uncertainty": put(1e308, np.ones(KNOWN))}, "uncertainty that are not"),
        ({"uncertainty": put(0.0, np.ones(KNOWN))}, "uncertainty that are not"),
        ({"gaps": put(1e308, WITH_METALS)}, "gaps that are not from 0 to 100"),
        ({"gaps": put(-1.0, WITH_METALS)}, "gaps that are not"),
        ({"gaps": put(np.nan, WITH_METALS)}, "gaps that are not"),
        ({"gaps": np.zeros(KNOWN)}, "metals alone"),
        ({"gaps": np.ones(KNOWN - 1)}, "different lengths"),
        ({"inputs": put(1e308, known().inputs)}, "inputs that are not"),
        ({"inputs": known().inputs[:, :-1]}, r"inputs is float64 of shape \(40, \d+\)"),
    ],
)
def test_damaged_models_of_measured_gaps_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray], message: str
) -> None:
    folder, network = tmp_path / "model", random_model(1, SEVERAL)
    model_files.save(replace(network, measured=known()), folder)
    assert model_files.load(folder).measured is not None
    model_files.save(replace(network, measured=known(**changes)), folder)
    with pytest.raises(InputError, match=rf"measured\.npz: .*{message}"):
        model_files.load(folder)


def test_formulas_of_training_that_are_none_are_named() -> None:
    forged = replace(random_model(), formulas=np.array(["Si", "Qq9"]))
    with pytest.raises(InputError, match=r"training rows have a formula that is none \(Qq: no such element\)"):
        forged.has_seen(["Si"])


def test_more_measured_gaps_than_can_be_fitted_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "MOST_KNOWN", KNOWN - 1)
    with pytest.raises(ValueError, match="40 gaps; the most is 39"):
        known().check()


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
