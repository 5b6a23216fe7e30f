"""Structure models on disk: folders of our own, and the weights that the authors of MEGNet publish."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps import model_folders
from bandgaps.errors import InputError
from bandgaps.files import DATA, restore, write_json
from bandgaps.intervals import Intervals
from bandgaps.structure import cards, published
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.ensemble import Model
from bandgaps.structure.measured import AlloyUncertainty, MeasuredLevel
from bandgaps.structure.network import Hyperparameters, Weights

KIND = "megnet"
BUNDLED = DATA / "models" / "megnet-multifidelity"
KNOWN = ("inputs", "gaps", "uncertainty")  # arrays of numbers of a model of measured gaps


def save(model: Model, folder: Path | str) -> None:
    """Write a model as a folder, atomically: `model.json` and the weights of each member as `member-K.npz`.

    The formulas it has seen go to `training.npz`, what the model of measured gaps knows to `measured.npz`. Weights that
    half precision can hold take half the room.
    """
    groups = {
        f"member-{number}": {name: _compact(array) for name, array in weights.items()}
        for number, weights in enumerate(model.members)
    }
    if model.formulas is not None:
        groups["training"] = {"formula": model.formulas.astype(bytes)}
    if model.measured is not None:
        groups["measured"] = {name: getattr(model.measured, name) for name in KNOWN}
        groups["measured"] |= {"composition": model.measured.composition.astype(bytes)}
    model_folders.save(folder, _content(model), groups)


def save_card(model: Model, folder: Path | str) -> None:
    """Write the card of a model that is in a folder, and leave its arrays as they are.

    Raises:
        InputError: there is no model of ours in the folder.
    """
    content = model_folders.read_card(folder, KIND)
    write_json({**content, **_content(model)}, Path(folder) / model_folders.CARD)


def _content(model: Model) -> dict[str, Any]:
    """What `model.json` holds, but for checksums."""
    own = {"kind": KIND, "hyperparameters": asdict(model.hyperparameters), "mean": model.mean, "std": model.std}
    own |= {"lowest": model.lowest, "calibrations": {name: asdict(each) for name, each in model.calibrations.items()}}
    if model.measured is not None:
        own |= {"intervals": asdict(model.measured.intervals), "mixed": asdict(model.measured.mixed)}
    return {**own, **model.card}


def _compact(array: np.ndarray) -> np.ndarray:
    """The array in half precision if that holds all its numbers, else as it is."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half, array) else array


def load(path_or_name: Path | str, downloads: Path | str = published.FOLDER, url: str | None = None) -> Model:
    """Load a model.

    Args:
        path_or_name: a folder written by `save`; a published `.hdf5` with its `.hdf5.json` beside it; a folder of
            such, which is an ensemble; or the name of a published model, which is downloaded once into `downloads`.
        downloads: where published models are kept.
        url: where the archive of published models is; by default where their authors keep it.

    Raises:
        InputError: nothing is there, or files are missing, damaged, or do not belong together.
        RunError: a published model could not be downloaded.
    """
    path = Path(path_or_name)
    restore(path)
    if not path.exists() and str(path_or_name) in published.MODELS:
        path = published.fetch(str(path_or_name), downloads, url or published.URL)
    if path.is_file():
        return from_published([path])
    if (path / model_folders.CARD).is_file():
        return _load_own(path)
    files = sorted(path.rglob("*.hdf5"))
    if files:
        return from_published(files)
    if path.is_dir():
        raise InputError(
            f"{path}: neither {model_folders.CARD} nor a .hdf5 file in this folder; name a model's own folder"
        )
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
    content, groups = model_folders.load(folder, KIND, cards.Card, cards.wanted)
    path = folder / model_folders.CARD
    try:
        settings = cards.hyperparameters(content)
        mean, std = float(content["mean"]), float(content["std"])
        lowest = None if content.get("lowest") is None else float(content["lowest"])
        calibrations = {name: Calibration(**each) for name, each in content.get("calibrations", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged or of another version ({error!r}); train the model again") from None
    on_top = _measured(content, groups.pop("measured", None), folder / "measured.npz")
    formulas = _text(groups.pop("training", {}).get("formula"), folder / "training.npz")
    if not groups or not np.isfinite([mean, std]).all():
        raise InputError(f"{path}: no members, or a mean or std that is not a number; train the model again")
    members = [_checked(weights, settings, folder / f"{name}.npz") for name, weights in groups.items()]
    own = {"kind", "hyperparameters", "mean", "std", "lowest", "calibrations", "intervals", "mixed", "sha256"}
    card = {key: value for key, value in content.items() if key not in own}
    return Model(settings, members, mean, std, card, formulas, lowest, calibrations, on_top)


def _text(array: np.ndarray | None, path: Path) -> np.ndarray | None:
    """An array of text or bytes as text."""
    try:
        return None if array is None else array.astype(str)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text ({error}); train the model again") from None


def _measured(content: dict[str, Any], arrays: dict[str, np.ndarray] | None, path: Path) -> MeasuredLevel | None:
    """The model of measured gaps on top, if there is one."""
    if arrays is None:
        return None
    try:
        inputs, gaps, uncertainty = (arrays[name].astype(float) for name in KNOWN)
        composition, intervals = arrays["composition"].astype(str), Intervals.of(content)
        mixed = AlloyUncertainty(float(content["mixed"]["bowing"]), Calibration(**content["mixed"]["calibration"]))
        level = MeasuredLevel(inputs, gaps, uncertainty, composition, intervals, mixed)
        level.check()
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged or of another version ({error}); train the model again") from None
    return level


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
