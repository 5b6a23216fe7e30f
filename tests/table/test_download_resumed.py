"""A download that was broken off goes on where it stopped, unless the database is another by then."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from downloads import contents, happening, is_second_chunk, is_second_page
from materials_project_server import KEY, Documents, Server

from bandgaps.errors import RunError
from bandgaps.table import download
from bandgaps.table.materials_project import Query


@pytest.mark.parametrize("name", ["server error", "cut", "truncated", "no route"])
def test_what_came_before_the_trouble_is_kept(
    server: Server, cache: Path, undisturbed: list[dict[str, Any]], name: str
) -> None:
    server.trouble = happening(name, is_second_chunk)
    with pytest.raises(RunError, match=r"500 of 1,264 documents are kept, run the same command again"):
        download.download(Query(), KEY, cache)
    server.trouble = lambda parameters: None
    assert contents(download.download(Query(), KEY, cache)) == undisturbed
    sent = server.ids_sent()
    assert sent.count("mp-9") == 1  # of the first chunk, which had come


def test_other_database_version_starts_afresh(
    server: Server, documents: Documents, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.trouble = happening("server error", is_second_chunk)
    with pytest.raises(RunError):
        download.download(Query(), KEY, cache)
    server.trouble = lambda parameters: None
    server.database_version = "2026.01.15"
    server.documents = [one | {"band_gap": one["band_gap"] + 1} for one in documents]
    fetched = download.download(Query(), KEY, cache)
    assert fetched.database_version == "2026.01.15"
    assert (fetched.table["band_gap"] >= 1).all() and len(fetched.table) == 1264
    assert [folder.name.partition("-")[0] for folder in cache.iterdir()] == ["2026.01.15"]
    assert "starting afresh, without the chunks of 2025.09.25" in capsys.readouterr().out


@pytest.mark.parametrize("when", [is_second_page, is_second_chunk])
def test_database_that_is_updated_meanwhile_is_told_and_all_of_it_fetched_again(
    server: Server,
    documents: Documents,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    when: Callable[[dict[str, str]], bool],
) -> None:
    def update(parameters: dict[str, str]) -> str | None:
        if when(parameters):
            server.database_version = "2026.01.15"
            server.documents = [one | {"band_gap": one["band_gap"] + 1} for one in documents[:-1]]
        return None

    server.trouble = update
    fetched = download.download(Query(), KEY, cache)
    assert fetched.database_version == "2026.01.15"
    assert (fetched.table["band_gap"] >= 1).all() and len(fetched.table) == 1263
    assert "was updated from 2025.09.25 to 2026.01.15 meanwhile; starting again" in capsys.readouterr().out


def test_a_database_without_rest_is_given_up(server: Server, cache: Path) -> None:
    def update(parameters: dict[str, str]) -> str | None:
        server.database_version = f"2026.01.{len(server.requests)}"
        return None

    server.trouble = update
    with pytest.raises(RunError, match="updated 3 times during the download; try again later"):
        download.download(Query(chemsys=("Ge-Si",)), KEY, cache)


def test_damaged_chunk_is_fetched_again_alone(server: Server, cache: Path, undisturbed: list[dict[str, Any]]) -> None:
    folder = download.download(Query(), KEY, cache).folder
    for damage in (lambda whole: whole[:100], lambda whole: b"", lambda whole: gzip.compress(b"[{}]", mtime=0)):
        chunk = folder / "chunk-0001.json.gz"
        chunk.write_bytes(damage(chunk.read_bytes()))
        server.requests.clear()
        assert contents(download.download(Query(), KEY, cache)) == undisturbed
        assert len(server.ids_sent()) == 500


def test_damaged_list_of_ids_is_made_again(server: Server, cache: Path, undisturbed: list[dict[str, Any]]) -> None:
    folder = download.download(Query(), KEY, cache).folder
    (folder / "ids.json").write_text('["mp-1", "mp')
    assert contents(download.download(Query(), KEY, cache)) == undisturbed


def test_other_query_leaves_chunks_alone(server: Server, cache: Path) -> None:
    first = download.download(Query(), KEY, cache)
    second = download.download(Query(chemsys=("Ge-Si",)), KEY, cache)
    assert set(second.table["formula"]) == {"SiGe"} and second.folder != first.folder
    second.discard()
    server.requests.clear()
    download.download(Query(), KEY, cache)
    assert not server.ids_sent()
