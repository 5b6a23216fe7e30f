"""The MEGNet weights that their authors publish: where they come from and how their files are read.

The archive and the names are those of the `megnet` package (Chen et al., Chem. Mater. 31, 3564), BSD 3-clause.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from bandgaps.errors import InputError, RunError
from bandgaps.files import read_json, replacing

if TYPE_CHECKING:
    import h5py

URL = "https://ndownloader.figshare.com/files/22291785"
FOLDER = Path("data/models/published")
MODELS = {
    "Bandgap_MP_2018": "mp-2018.6.1/band_gap_regression.hdf5",
    "Bandgap_classifier_MP_2018": "mp-2018.6.1/band_classification.hdf5",
    "Eform_MP_2018": "mp-2018.6.1/formation_energy.hdf5",
    "Eform_MP_2019": "mp-2019.4.1/formation_energy.hdf5",
    "Efermi_MP_2019": "mp-2019.4.1/efermi.hdf5",
    "logK_MP_2018": "mp-2018.6.1/log10K.hdf5",
    "logK_MP_2019": "mp-2019.4.1/log10K.hdf5",
    "logG_MP_2018": "mp-2018.6.1/log10G.hdf5",
    "logG_MP_2019": "mp-2019.4.1/log10G.hdf5",
}
LARGEST_FILE = 100_000_000  # bytes; the models have under 1 MB each
TIMEOUT = 60.0  # s without a byte


def fetch(name: str, folder: Path | str = FOLDER, url: str = URL) -> Path:
    """The `.hdf5` file of a published model; downloads the archive of all of them where it is not in `folder` yet.

    Raises:
        InputError: there is no published model of this name.
        RunError: the archive could not be downloaded, or is damaged.
    """
    if name not in MODELS:
        raise InputError(
            f"{name}: no file, no folder and no published model; the published ones are {', '.join(MODELS)}"
        )
    path = Path(folder) / MODELS[name]
    if not (path.is_file() and config_path(path).is_file()):
        by_hand = f"put {path.name} and {path.name}.json from it into {path.parent} by hand"
        with tempfile.TemporaryFile() as archive:
            _download(url, archive, by_hand)
            _unpack(archive, Path(folder), url, by_hand)
        if not path.is_file():
            raise RunError(f"{url}: the archive holds no {MODELS[name]}; {by_hand}")
    return path


def config_path(path: Path) -> Path:
    """Where the settings of a published model lie: `model.hdf5` has `model.hdf5.json`."""
    return path.with_name(path.name + ".json")


def _download(url: str, file: BinaryIO, by_hand: str) -> None:
    import requests
    from tqdm import tqdm

    try:
        with requests.get(url, stream=True, timeout=TIMEOUT) as answer:
            answer.raise_for_status()
            size = int(answer.headers.get("Content-Length", 0)) or None
            with tqdm(total=size, unit="B", unit_scale=True, desc="published MEGNet models") as progress:
                for chunk in answer.iter_content(1 << 16):
                    file.write(chunk)
                    progress.update(len(chunk))
    except requests.RequestException as error:
        reason = type(error).__name__ if error.response is None else f"HTTP {error.response.status_code}"
        raise RunError(f"{url}: could not be downloaded ({reason}); try again, or {by_hand}") from None


def _unpack(archive: BinaryIO, folder: Path, url: str, by_hand: str) -> None:
    """Take the known files out of the archive, and nothing else, so that no name in it decides where a file goes."""
    wanted = [f"{path}{suffix}" for path, suffix in product(MODELS.values(), ("", ".json"))]
    try:
        with zipfile.ZipFile(archive) as content:
            for name, info in product(wanted, content.infolist()):
                if info.filename.endswith("/" + name) and info.file_size <= LARGEST_FILE:
                    with content.open(info) as source, replacing(folder / name) as temporary:
                        temporary.write_bytes(source.read())
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise RunError(f"{url}: a damaged archive ({error}); try again, or {by_hand}") from None


@dataclass(frozen=True)
class Published:
    """What a published file says, in the words of `bandgaps.structure.network`."""

    hyperparameters: dict[str, Any]
    weights: dict[str, np.ndarray]
    mean: float
    std: float
    metadata: dict[str, Any]


def read(path: Path | str) -> Published:
    """Read a published model: a Keras 2 `.hdf5` file and the `.hdf5.json` with its settings beside it.

    Raises:
        InputError: a file is missing, damaged, or holds no MEGNet that can be read.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    settings = read_json(config_path(path))
    try:
        with h5py.File(path) as file:
            layers = json.loads(file.attrs["model_config"])["config"]["layers"]
            weights = dict(_weights(file["model_weights"]))
        converter = settings["graph_converter"]
        if "element_embedding" not in weights:  # the models of disordered crystals carry it in their settings
            weights["element_embedding"] = _embedding(converter["atom_converter"]["embedding_dict"])
        mean, std = _scale(settings.get("target_scaler") or {})
        metadata = settings.get("metadata") or {}
        return Published(_hyperparameters(layers, converter, weights, metadata), weights, mean, std, metadata)
    except (OSError, KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise InputError(
            f"{path}: not a MEGNet model of crystals, or damaged ({error!r}); fetch it and its .json again"
        ) from None


def _weights(group: h5py.Group) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays under our names, which follow from the order in which Keras has written them."""
    names = {"e": "bond", "v": "atom", "u": "state", "weight": "kernel", "bias": "bias"}
    blocks: list[str] = []
    memories: list[str] = []
    dense: list[tuple[np.ndarray, np.ndarray]] = []
    for layer in _texts(group.attrs["layer_names"]):
        arrays = {
            name.removesuffix(":0"): group[layer][name][()] for name in _texts(group[layer].attrs["weight_names"])
        }
        short = {name.rpartition("/")[2]: array for name, array in arrays.items()}
        if "embeddings" in short:
            rows = len(short["embeddings"])
            yield ("element_embedding" if rows > 50 else "fidelity_embedding"), short["embeddings"]
        elif "kernel" in short:
            dense.append((short["kernel"], short["bias"]))
        elif "x_to_m_weight" in short:
            part = ("atom", "bond")[len(memories)]
            memories.append(layer)
            yield f"set2set/{part}/memory/kernel", short["x_to_m_weight"]
            yield f"set2set/{part}/memory/bias", short["x_to_m_bias"]
            yield f"set2set/{part}/recurrent/kernel", short["recurrent_kernel"]
            yield f"set2set/{part}/recurrent/bias", short["recurrent_bias"]
        elif short:
            for name, array in short.items():
                kind, part, depth = name.split("_")
                yield f"block{len(blocks)}/{names[part]}/phi/{depth}/{names[kind]}", array
            blocks.append(layer)
    stages = ["input", *(f"block{block}" for block in range(1, len(blocks)))]
    order = [
        f"{stage}/{part}{'' if stage == 'input' else '/ff'}/{depth}"
        for stage, depth, part in product(stages, (0, 1), ("atom", "bond", "state"))
    ]
    order += ["readout/0", "readout/1", "readout/2"]
    for name, (kernel, bias) in zip(order, dense, strict=True):
        yield f"{name}/kernel", kernel
        yield f"{name}/bias", bias


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _embedding(vectors: dict[str, list[float]]) -> np.ndarray:
    from pymatgen.core import Element

    numbers = {Element(symbol).Z: vector for symbol, vector in vectors.items()}
    embedding = np.zeros((max(numbers) + 1, len(next(iter(numbers.values())))), dtype=np.float32)
    for number, vector in numbers.items():
        embedding[number] = vector
    return embedding


def _scale(scaler: dict[str, Any]) -> tuple[float, float]:
    if scaler.get("@class") != "StandardScaler":
        return 0.0, 1.0
    if not scaler.get("is_intensive", True):
        raise ValueError("its target grows with the number of atoms")
    return float(scaler["mean"]), float(scaler["std"])


def _hyperparameters(
    layers: list[dict[str, Any]], converter: dict[str, Any], weights: dict[str, np.ndarray], metadata: dict[str, Any]
) -> dict[str, Any]:
    set2set = next(layer["config"] for layer in layers if layer["class_name"] == "Set2Set")
    last = [layer["config"] for layer in layers if layer["class_name"] == "Dense"][-1]
    bonds = converter["bond_converter"]
    centers = np.array(bonds["centers"]["data"] if isinstance(bonds["centers"], dict) else bonds["centers"])
    if not np.allclose(centers, np.linspace(0, centers[-1], len(centers))):
        raise ValueError("its Gaussian centres are not equally spaced from 0")
    fidelities = metadata.get("fidelities") or range(len(weights.get("fidelity_embedding", ())))
    return {
        "cutoff": float(converter["cutoff"]),
        "gaussians": len(centers),
        "last_center": float(centers[-1]),
        "width": float(bonds["width"]),
        "blocks": sum(layer["class_name"] == "MEGNetLayer" for layer in layers),
        "units": (
            *(array.shape[1] for array in (weights["input/atom/0/kernel"], weights["input/atom/1/kernel"])),
            int(set2set["n_hidden"]),
        ),
        "set2set_steps": int(set2set["T"]),
        "elements": len(weights["element_embedding"]),
        "embedding": weights["element_embedding"].shape[1],
        "fidelities": tuple(re.sub("[^a-z0-9]", "", str(name).lower()) for name in fidelities)
        if "fidelity_embedding" in weights
        else (),
        "probability": last["activation"] == "sigmoid",
    }
