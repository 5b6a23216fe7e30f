"""Rows from a Materials Project on loopback, through the real client."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from helpers import ROOT
from materials_project_server import KEY, Documents, Server, many_crystals, serving
from pymatgen.core import Composition, Structure

from bandgaps import formulas
from bandgaps.errors import InputError, RunError
from bandgaps.table import cleaning, columns, connection, download, materials_project, records, sources, storage
from bandgaps.table.account import Step
from bandgaps.table.download import Download
from bandgaps.table.materials_project import Query
from bandgaps.table.sources import Filters

ALONE = {"mp-24", "mp-32"}  # the two rocksalts that are blown up


@pytest.fixture(scope="module")
def documents() -> Documents:
    return many_crystals()


@pytest.fixture
def server(documents: Documents, schema_made_once: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(documents) as running:
        monkeypatch.setenv("MP_API_ENDPOINT", running.endpoint)
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / ".bandgaps.download"


def contents(download: Download) -> list[dict[str, Any]]:
    """The rows, comparable: None where a number is missing."""
    table = download.table.assign(structure=[crystal(records.structure(each)) for each in download.table["structure"]])
    return table.astype(object).where(table.notna(), None).to_dict("records")


def crystal(structure: Structure) -> tuple[Any, ...]:
    """A structure, comparable to the last digit; pymatgen's own dictionaries and comparisons take ten times as long."""
    return structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), structure.species


@pytest.fixture(scope="module")
def undisturbed(
    documents: Documents, schema_made_once: None, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    with serving(documents) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MP_API_ENDPOINT", running.endpoint)
        return contents(download.download(Query(), KEY, tmp_path_factory.mktemp("cache")))


def is_listing(parameters: dict[str, str]) -> bool:
    return "_sort_fields" in parameters


def is_second_page(parameters: dict[str, str]) -> bool:
    return parameters.get("_skip") == "1000"


def is_second_chunk(parameters: dict[str, str]) -> bool:
    return "mp-20400" in parameters.get("material_ids", "").split(",")


def happening(
    name: str, when: Callable[[dict[str, str]], bool], times: int = 10**9
) -> Callable[[dict[str, str]], str | None]:
    """Trouble of a kind, at the first `times` requests for which `when` holds."""
    left = [times]

    def trouble(parameters: dict[str, str]) -> str | None:
        if not when(parameters) or not left[0]:
            return None
        left[0] -= 1
        return name

    return trouble


# --------------------------------------------------------------------------------------------------- a run that is well


def test_every_entry_comes_once_and_as_it_was(documents: Documents, undisturbed: list[dict[str, Any]]) -> None:
    expected = {one["material_id"]: one for one in documents if one["has_props"]["bandstructure"]}
    assert len(expected) == 1264
    assert [row["material_id"] for row in undisturbed] == sorted(expected, key=lambda one: int(one[3:]))
    for row in undisturbed:
        document = expected[row["material_id"]]
        assert row["formula"] == document["formula_pretty"]
        for name in ("band_gap", "energy_above_hull", "formation_energy_per_atom"):
            assert row[name] == document.get(name)
        assert row["structure"] == crystal(Structure.from_dict(document["structure"]))


def test_listing_goes_by_pages_and_documents_by_chunks(server: Server, cache: Path) -> None:
    fetched = download.download(Query(), KEY, cache)
    pages = [one.get("_skip", "0") for one in server.requests if is_listing(one)]
    chunks = [len(one["material_ids"].split(",")) for one in server.requests if "material_ids" in one]
    assert (pages, chunks) == (["0", "1000"], [500, 500, 264])
    assert len(server.requests) == 6  # and one count
    assert len(list(fetched.folder.glob("chunk-*.json.gz"))) == 3
    fetched.discard()
    assert not cache.exists()


def test_prepared_table_holds_lowest_polymorph_of_each_formula(
    server: Server, documents: Documents, cache: Path
) -> None:
    source = sources.from_materials_project("band_gap", Filters(), KEY, cache)
    table, steps = cleaning.prepare(source, "band_gap", Filters(), seed=0)
    lowest: dict[str, dict[str, Any]] = {}
    for one in documents:
        formula = Composition(one["formula_pretty"]).reduced_formula
        if one["has_props"]["bandstructure"]:
            lowest[formula] = min(lowest.get(formula, one), one, key=lambda two: two["energy_above_hull"])
    expected = {one["material_id"] for one in lowest.values()} - ALONE
    assert set(table["material_id"]) == expected and len(table) == len(expected) == 82
    assert [step.rows for step in steps] == [1264, 1264, 84, 82]
    assert set(table["split"]) == set(columns.PARTS)
    energies = ["energy_above_hull", "formation_energy_per_atom"]
    assert table.columns.tolist() == ["material_id", "formula", "structure", *energies, "band_gap", "split"]


def test_formation_energies_come_along_and_some_entries_have_none(server: Server, cache: Path) -> None:
    table = sources.from_materials_project("band_gap", Filters(), KEY, cache).table
    assert 0.9 < table["formation_energy_per_atom"].notna().mean() < 1
    storage.write(table, cache.parent / "t.json")
    again = storage.read(cache.parent / "t.json", structures=False)
    assert again["formation_energy_per_atom"].equals(table["formation_energy_per_atom"])


@pytest.mark.parametrize(
    ("chemsys", "hull", "expected"),
    [
        ("Si-Ge", None, {"mp-1003"}),
        ("Si-Ge,C,Si", None, {"mp-1003", "mp-1002", "mp-1000"}),
        ("Si-*", None, {"mp-1003"}),
        ("Si", 0.0, {"mp-1000"}),
        ("K-I,Cd-O", 0.1, {"mp-55", "mp-56", "mp-153", "mp-154"}),
    ],
)
def test_filters_mean_the_same_to_the_server_and_to_a_table(
    server: Server, documents: Documents, cache: Path, chemsys: str, hull: float | None, expected: set[str]
) -> None:
    filters = Filters(formulas.chemical_systems(chemsys), hull)
    source = sources.from_materials_project("band_gap", filters, KEY, cache)
    first = {name for name in source.table["material_id"] if int(name[3:]) < 20000}
    assert first == expected
    rows = pd.DataFrame([one for one in documents if one["has_props"]["bandstructure"]])
    kept, steps = cleaning._filter(rows.rename(columns={"formula_pretty": "formula"}), filters, "the documents")
    assert set(kept["material_id"]) == set(source.table["material_id"])
    assert [step.rows for step in source.steps[1:]] == [step.rows for step in steps]


def test_another_field_as_target_and_rows_without_it(server: Server, cache: Path) -> None:
    target = "density"
    source = sources.from_materials_project(target, Filters(), KEY, cache)
    missing = int(source.table[target].isna().sum())
    assert missing > 1
    with pytest.raises(InputError, match=f"{missing} of 1264 rows have no number in column {target}"):
        cleaning.prepare(source, target, Filters(), seed=0)
    table, steps = cleaning.prepare(source, target, Filters(drop_missing=True), seed=0)
    assert steps[1] == Step(f"with a number in {target}", 1264 - missing)
    assert {"band_gap", target} <= set(table.columns) and table[target].notna().all()


# -------------------------------------------------------------------------------------------------- a server that fails


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("too many requests", is_second_page),
        ("server error", is_second_chunk),
        ("bad gateway", is_second_page),
        ("cut", is_second_page),
        ("cut", is_second_chunk),
        ("truncated", is_second_page),
        ("truncated", is_second_chunk),
        ("page repeats", is_second_page),
        ("documents repeat", is_second_page),
        ("documents repeat", is_second_chunk),
        ("no ids", is_second_page),
        ("no ids", is_second_chunk),
        ("no data", is_listing),
        ("no data", is_second_chunk),
        ("a list", is_second_chunk),
    ],
)
def test_trouble_that_passes_leaves_no_trace(
    server: Server,
    cache: Path,
    undisturbed: list[dict[str, Any]],
    name: str,
    when: Callable[[dict[str, str]], bool],
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.trouble = happening(name, when, times=2)
    assert contents(download.download(Query(), KEY, cache)) == undisturbed
    assert sum(map(when, server.requests)) >= 3
    assert KEY not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unauthorized", r"refused the key \(401\).*MP_API_KEY"),
        ("forbidden", r"refused the key \(403\).*MP_API_KEY"),
        ("too many requests", r"too many requests \(429\)"),
        ("server error", r"server failed \(500: Internal Server Error while serving \[key\]\)"),
        ("bad gateway", "502"),
        ("bad request", r"refused the query \(400"),
        ("cut", "connection to the Materials Project failed"),
        ("truncated", "cut short"),
        ("no ids", r"cut short or is not as expected \(documents without an id\); try again later"),
        ("no data", "cut short or is not as expected"),
        ("a list", "cut short or is not as expected"),
        ("no route", r"no longer answers this version.*no Route matched.*mp-api 0\..*pip install --upgrade mp-api"),
    ],
)
def test_trouble_that_stays_is_told(
    server: Server, cache: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.trouble = happening(name, is_listing)
    with pytest.raises(RunError, match=message) as caught:
        download.download(Query(), KEY, cache)
    assert KEY not in str(caught.value) + "".join(capsys.readouterr())
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


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


@pytest.mark.parametrize(
    ("name", "message"),
    [("page repeats", "lists 1,000 different ids where 1,264"), ("documents repeat", "lists 1,001 different ids")],
)
def test_ids_that_a_repeated_page_hides_are_missed(server: Server, cache: Path, name: str, message: str) -> None:
    server.trouble = happening(name, is_second_page)
    with pytest.raises(RunError, match=message):
        download.download(Query(), KEY, cache)


def test_documents_that_never_come_are_named(server: Server, cache: Path) -> None:
    server.trouble = happening("documents repeat", is_second_chunk)
    with pytest.raises(RunError, match=r"lists mp-20\d+, mp-20\d+, mp-20\d+ \.\.\. but does not send them"):
        download.download(Query(), KEY, cache)


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


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, r"connection to the Materials Project failed \(heartbeat answered 403\)"), (404, "no Route matched")],
)
def test_heartbeat_that_is_refused(server: Server, cache: Path, status: int, message: str) -> None:
    server.heartbeat_status = status
    with pytest.raises(RunError, match=message):
        download.download(Query(), KEY, cache)


@pytest.mark.parametrize("name", ["drip", "asks to wait"])
def test_a_server_that_takes_its_time_is_left_and_what_came_is_kept(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(connection, "LONGEST", 1.0)
    server.trouble = happening(name, is_second_chunk)
    message = {
        "drip": "no whole answer within 1 s; check the network",
        "asks to wait": r"\(429\) and asks to wait 86,400 s",
    }[name]
    begun = time.monotonic()
    with pytest.raises(RunError, match=f"{message}.*; 500 of 1,264 documents are kept"):
        download.download(Query(), KEY, cache)
    assert time.monotonic() - begun < 10


def test_a_short_wait_that_the_server_asks_for_is_told_and_waited_for(
    server: Server, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.retry_after = 1
    server.trouble = happening("asks to wait", is_listing, times=1)
    begun = time.monotonic()
    assert len(download.download(Query(chemsys=("Ge-Si",)), KEY, cache).table) == 8
    assert time.monotonic() - begun >= 1
    assert "asks to wait 1 s; asking again in 1 s" in capsys.readouterr().err


@pytest.mark.parametrize("heartbeats", [0, 1])
def test_a_heartbeat_that_does_not_come_is_not_waited_for_for_ever(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, heartbeats: int
) -> None:
    from mp_api.client.core.client import _Rester

    monkeypatch.setattr(connection, "LONGEST", 0.3)
    # Known since an earlier test in this process, the client does not ask for its own.
    monkeypatch.setattr(_Rester, "_get_heartbeat_info", staticmethod(_Rester._get_heartbeat_info.__wrapped__))
    server.heartbeats = heartbeats
    with pytest.raises(RunError, match=r"no whole answer within 0\.3 s"):
        download.download(Query(), KEY, cache)


@pytest.mark.parametrize("total", [10**9, 10**12])
def test_a_list_without_end_is_not_begun(server: Server, cache: Path, total: int) -> None:
    server.total = total
    with pytest.raises(RunError, match=r"not as expected \(no number of entries from 0 to 10,000,000\)"):
        download.download(Query(), KEY, cache)
    assert len(server.requests) == 4


def test_no_more_pages_are_asked_for_than_the_entries_fill(server: Server, cache: Path) -> None:
    def grow(parameters: dict[str, str]) -> str | None:
        server.total = 10**9 if is_listing(parameters) else None
        return "page repeats" if is_second_page(parameters) else None

    server.trouble = grow
    with pytest.raises(RunError, match="lists 1,000 different ids where 1,264 entries match"):
        download.download(Query(), KEY, cache)
    assert sum(map(is_listing, server.requests)) == 2 * 4


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


@pytest.mark.parametrize(("name", "value"), [("MAX_RETRIES", -1), ("BACKOFF_FACTOR", -0.5), ("BACKOFF_FACTOR", np.nan)])
def test_settings_of_the_client_that_make_no_sense_are_named(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    from mp_api.client.core.settings import MAPI_CLIENT_SETTINGS

    monkeypatch.setattr(MAPI_CLIENT_SETTINGS, name, value)
    with pytest.raises(InputError, match=f"setting MPRESTER_{name} is {value}; set it to 0 or more"):
        download.download(Query(), KEY, cache)


DAMAGE: list[dict[str, Any]] = [
    {"formula_pretty": ["Si", "Ge"]},
    {"formula_pretty": "Si1e400"},
    {"structure": None},
    {"structure": {"charge": "much"}},
    {"structure": {"lattice": {"matrix": [[1, 0, 0], [0, 1, 0], [1, 1, 0]]}}},
    {"structure": {"lattice": {"matrix": (1e-5 * np.eye(3)).tolist()}}},
    {"structure": {"lattice": {"matrix": (1e6 * np.eye(3)).tolist()}}},
]


def test_damaged_documents_are_named_and_left_out(
    server: Server, documents: Documents, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = {one["material_id"]: one for one in documents if one["has_props"]["bandstructure"]}
    chosen = [sound[f"mp-{number}"] for number in range(9, 9 + len(DAMAGE) + 2)]
    server.documents = [
        one | {key: {**one[key], **value} if isinstance(value, dict) else value for key, value in damage.items()}
        for one, damage in zip(chosen, [*DAMAGE, {}, {}], strict=True)
    ]
    fetched = download.download(Query(), KEY, cache)
    assert set(fetched.table["material_id"]) == {one["material_id"] for one in chosen[-2:]}
    assert fetched.steps[-1] == Step("with a formula and a crystal that can be read", 2)
    told = capsys.readouterr().out
    assert "left out" in told and "and 4 more" in told
    assert sum(one["material_id"] + " (" in told for one in chosen) == 3
    server.documents = server.documents[: len(DAMAGE)]
    with pytest.raises(RunError, match="none of the Materials Project's documents can be read"):
        download.download(Query(), KEY, cache.with_name("other"))


def test_heartbeat_that_says_nothing(server: Server, cache: Path) -> None:
    server.database_version = None
    with pytest.raises(RunError, match=r"not as expected \(no version of the database\)"):
        download.download(Query(), KEY, cache)


@pytest.mark.parametrize("error", [KeyError("mistake"), TypeError("mistake"), AttributeError("mistake")])
def test_a_mistake_in_reading_an_answer_is_not_taken_for_the_servers(server: Server, error: Exception) -> None:
    answers = []

    def read(answer: Any) -> str:
        answers.append(answer)
        raise error

    client = materials_project.Server(KEY)
    with pytest.raises(type(error), match="mistake"):
        client.ask(partial(requests.get, f"{client.endpoint}heartbeat"), read)
    assert len(answers) == 1


def test_a_call_that_the_client_does_not_know_is_not_tried_again(server: Server) -> None:
    client = materials_project.Server(KEY)
    with pytest.raises(TypeError, match="unexpected keyword"):
        client.ask(partial(client._client.count, nonsense=1), int)  # type: ignore[call-arg]
    assert not server.requests


def test_nobody_answers(cache: Path, monkeypatch: pytest.MonkeyPatch, documents: Documents) -> None:
    with serving(documents[:1]) as gone:
        monkeypatch.setenv("MP_API_ENDPOINT", gone.endpoint)
    with pytest.raises(RunError, match=r"connection to the Materials Project failed .*refused.*check the network"):
        download.download(Query(), KEY, cache)


@pytest.mark.parametrize(
    ("target", "message"),
    [("band_gp", "did you mean band_gap"), ("is_metal", "not a numeric field"), ("structure", "not a numeric field")],
)
def test_target_that_is_no_numeric_field(server: Server, cache: Path, target: str, message: str) -> None:
    with pytest.raises(InputError, match=f"target {target}: .*{message}"):
        download.download(Query(target), KEY, cache)
    assert not server.requests


def test_nothing_matches(server: Server, cache: Path) -> None:
    with pytest.raises(
        InputError, match=r"chemical system Au-Si / at most 0.1 eV/atom above the hull; widen the filters"
    ):
        download.download(Query(chemsys=("Au-Si",), max_energy_above_hull=0.1), KEY, cache)


# -------------------------------------------------------------------------------------------- going on where it stopped


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


# -------------------------------------------------------------------------------------------------------------- the key


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
