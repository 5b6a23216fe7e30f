from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandgaps import files, model_folders
from bandgaps.array_files import Wanted
from bandgaps.errors import InputError

ARRAYS = {"member": {"kernel": np.arange(6.0).reshape(2, 3)}, "training": {"formula": np.array([b"Si", b"Ge"])}}


def saved(folder: Path) -> Path:
    model_folders.save(folder, {"kind": "test", "unit": "eV"}, ARRAYS)
    return folder


def test_a_folder_comes_back(tmp_path: Path) -> None:
    card, members = model_folders.load(saved(tmp_path / "model"), "test")
    assert card["unit"] == "eV"
    assert {name: {key: each.tolist() for key, each in arrays.items()} for name, arrays in members.items()} == {
        name: {key: each.tolist() for key, each in arrays.items()} for name, arrays in ARRAYS.items()
    }


def test_a_folder_that_a_killed_process_moved_aside_is_found_again(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    folder.rename(tmp_path / ".model.replaced")
    assert model_folders.load(folder, "test")[0]["unit"] == "eV"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_another_kind_of_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.json: found 'test', wanted a 'megnet'"):
        model_folders.load(saved(tmp_path / "model"), "megnet")
    with pytest.raises(InputError, match="no model there"):
        model_folders.load(tmp_path / "nowhere", "test")


@given(st.data())
def test_a_changed_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = saved(tmp_path_factory.mktemp("models") / "model")
    path = folder / "member.npz"
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"member\.npz: its checksum is not the one in model\.json"):
        model_folders.load(folder, "test")


def forged(folder: Path, **arrays: Any) -> Path:
    """A model whose member has other arrays."""
    np.savez_compressed(saved(folder) / "member.npz", **arrays)
    return with_checksum(folder)


def with_checksum(folder: Path) -> Path:
    """The model with the checksum that its member has now."""
    card = json.loads((folder / "model.json").read_text())
    card["sha256"]["member.npz"] = files.sha256(folder / "member.npz")
    (folder / "model.json").write_text(json.dumps(card))
    return folder


KERNEL = {"kernel": Wanted("f", (2, None)), "bias": Wanted("f", (3,), optional=True)}


def wanted(card: model_folders.Content, member: str) -> dict[str, Wanted] | None:
    return KERNEL if member == "member" else None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "no array kernel"),
        (
            {"kernel": np.ones((3, 2))},
            r"kernel is float64 of shape \(3, 2\), not floating-point .* \(2, any",
        ),
        ({"kernel": np.ones((2, 2)), "bias": np.ones(2)}, r"bias is float64 of shape \(2,\)"),
        ({"kernel": np.array([["a"], ["b"]])}, "kernel is <U1"),
        ({"kernel": np.ones((2, 2), complex)}, "kernel is complex128"),
        ({"kernel": np.ones((2, 2), "datetime64[s]")}, "kernel is datetime64"),
        ({"kernel": np.ones((2, 2), [("a", "f4")])}, "kernel is "),
        ({"kernel": np.ones((2, 2), np.longdouble)}, "kernel is float128"),
    ],
)
def test_arrays_are_what_the_model_wants(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    folder = forged(tmp_path / "model", **arrays)
    with pytest.raises(InputError, match=rf"member\.npz: {message}"):
        model_folders.load(folder, "test", wanted=wanted)
    sound = model_folders.load(saved(tmp_path / "model"), "test", wanted=wanted)[1]
    assert sound["member"]["kernel"].shape == (2, 3)


def test_what_would_fill_the_memory_is_not_unpacked(tmp_path: Path) -> None:
    folder = forged(tmp_path / "model", kernel=np.zeros(30_000_000, np.int8))  # packed a thousand times
    with pytest.raises(InputError, match="its arrays would take 30,000,000 bytes, more than such a file can hold"):
        model_folders.load(folder, "test")


@pytest.mark.parametrize("header", [{"shape": (2**40,)}, {"shape": (2**62, 4)}, {"shape": (-1,)}])
def test_a_header_that_promises_more_than_there_is_is_not_believed(tmp_path: Path, header: dict[str, object]) -> None:
    folder = saved(tmp_path / "model")
    with zipfile.ZipFile(folder / "member.npz", "w") as archive, archive.open("kernel.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, **header})
    with_checksum(folder)
    with pytest.raises(InputError, match=r"member\.npz: not readable as arrays"):
        model_folders.load(folder, "test")


def test_links_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for target in (Path("/dev/zero"), tmp_path / "fifo", tmp_path / "nowhere", Path("/etc/passwd")):
        folder = saved(tmp_path / f"to-{target.name}")
        (folder / "member.npz").unlink()
        (folder / "member.npz").symlink_to(target)
        with pytest.raises(InputError, match="not a regular file of this folder"):
            model_folders.load(folder, "test")


@given(st.data())
def test_any_byte_of_arrays_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = forged(tmp_path_factory.mktemp("models") / "model", kernel=np.arange(600.0).reshape(2, 300))
    path = folder / "member.npz"
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with_checksum(folder)
    try:
        kernel = model_folders.load(folder, "test", wanted=wanted)[1]["member"]["kernel"]
    except InputError as error:
        assert "member.npz: " in str(error)
    else:
        np.testing.assert_array_equal(kernel, np.arange(600.0).reshape(2, 300))


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        model_folders.save(tmp_path / "model", {"kind": "test"}, {"member": {"any": np.array([print], dtype=object)}})
    assert list(tmp_path.iterdir()) == []
