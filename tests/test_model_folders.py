from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandgaps import model_folders
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


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        model_folders.save(tmp_path / "model", {"kind": "test"}, {"member": {"any": np.array([print], dtype=object)}})
    assert list(tmp_path.iterdir()) == []
