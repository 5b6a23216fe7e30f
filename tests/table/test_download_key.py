"""The key of the Materials Project: where it is found, and that nobody else learns it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from downloads import happening, is_listing, is_second_chunk
from helpers import ROOT
from materials_project_server import KEY, Documents, Server, serving

from bandgaps.errors import RunError
from bandgaps.table import download
from bandgaps.table.materials_project import Query


def test_wrong_key_is_told_without_the_key(server: Server, cache: Path) -> None:
    wrong = KEY[::-1]
    with pytest.raises(RunError, match=r"refused the key \(403\)") as caught:
        download.download(Query(), wrong, cache)
    assert wrong not in str(caught.value)
    assert len(server.requests) == 1  # no use in asking again


@pytest.mark.parametrize("wrong", ["secretsecret1234", "secret-" * 5, "é" * 32, KEY + "\n" + KEY])
def test_what_is_no_key_is_not_sent(server: Server, cache: Path, wrong: str) -> None:
    with pytest.raises(RunError, match=f"{len(wrong)} characters where 32 letters and digits") as caught:
        download.download(Query(), wrong, cache)
    assert wrong not in str(caught.value) and not server.requests


@pytest.mark.parametrize("when", [is_listing, is_second_chunk])
def test_the_key_does_not_follow_a_redirect_to_another_host(
    server: Server, documents: Documents, cache: Path, when: Callable[[dict[str, str]], bool]
) -> None:
    with serving(documents) as other:
        server.elsewhere = other.endpoint + "materials/summary/?_fields=material_id"
        server.trouble = happening("redirect", when)
        with pytest.raises(RunError, match=r"to another address, 127\.0\.0\.1:\d+, which must not learn the key"):
            download.download(Query(), KEY, cache)
        assert not other.requests


def test_a_redirect_on_the_same_host_is_followed(server: Server, documents: Documents, cache: Path) -> None:
    server.elsewhere = f"{server.endpoint}materials/summary/?_fields=material_id&chemsys=Ge-Si&_sort_fields=material_id"
    server.trouble = happening("redirect", is_listing, times=1)
    assert len(download.download(Query(chemsys=("Ge-Si",)), KEY, cache).table) == 8
    assert server.requests[-2]["_fields"] == "material_id"


@pytest.mark.parametrize(
    ("variables", "settings", "expected"),
    [
        ({"MP_API_KEY": KEY}, f"PMG_MAPI_KEY: {KEY[::-1]}", KEY),
        ({}, f"PMG_MAPI_KEY: {KEY[::-1]}", KEY[::-1]),
        ({"PMG_MAPI_KEY": KEY}, "", KEY),
        ({"MP_API_KEY": f" {KEY}\n"}, "", KEY),
        ({}, f"PMG_MAPI_KEY: [{KEY}\n\t: x", None),
    ],
)
def test_key_is_found_where_pymatgen_keeps_it(
    tmp_path: Path, variables: dict[str, str], settings: str, expected: str | None
) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / ".pmgrc.yaml").write_text(settings)
    environment = {name: value for name, value in os.environ.items() if "MAPI" not in name and "MP_API" not in name}
    done = subprocess.run(
        [sys.executable, "-c", "from bandgaps.table.materials_project import find_key; print(find_key(), end='')"],
        env={**environment, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (str(expected), "")
