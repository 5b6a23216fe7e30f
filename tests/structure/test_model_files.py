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
from bandgaps.structure import model_files, neighbors
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
