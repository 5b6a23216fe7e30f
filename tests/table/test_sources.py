"""Rows from a Materials Project on loopback, through the real client, and from files."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import ROOT, SHARED, needs_shared
from hypothesis import given
from hypothesis import strategies as st
from materials_project_server import KEY, Documents, Server, many_crystals, serving
from pymatgen.core import Composition, Lattice, Structure

from bandgaps import formulas, levels
from bandgaps.errors import InputError, RunError
from bandgaps.table import cleaning, columns, download, measured_gaps, sources, splitting, storage
from bandgaps.table.account import Step
from bandgaps.table.download import Download
from bandgaps.table.materials_project import Query
from bandgaps.table.sources import Filters

os.environ.setdefault("MPRESTER_BACKOFF_FACTOR", "0")  # the client reads it once, when it is imported

ALONE = {"mp-24", "mp-32"}  # the two rocksalts that are blown up


@pytest.fixture(scope="module")
def documents() -> Documents:
    return many_crystals()


@pytest.fixture
def server(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(documents) as running:
        monkeypatch.setenv("MP_API_ENDPOINT", running.endpoint)
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / ".bandgaps.download"


def contents(download: Download) -> list[dict[str, Any]]:
    """The rows, comparable."""
    table = download.table.assign(structure=[structure.as_dict() for structure in download.table["structure"]])
    return table.to_dict("records")


@pytest.fixture(scope="module")
def undisturbed(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
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
        assert (row["band_gap"], row["energy_above_hull"]) == (document["band_gap"], document["energy_above_hull"])
        assert Structure.from_dict(row["structure"]) == Structure.from_dict(document["structure"])


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
    assert set(table["split"]) == {"train", "validation", "test"}
    assert table.columns.tolist() == ["material_id", "formula", "structure", "energy_above_hull", "band_gap", "split"]


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
    target = "formation_energy_per_atom"
    source = sources.from_materials_project(target, Filters(), KEY, cache)
    missing = int(source.table[target].isna().sum())
    assert missing > 1
    with pytest.raises(InputError, match=f"{missing} of 1264 rows have no number in column {target}.*--drop-missing"):
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
    with pytest.raises(InputError, match=f"--target {target}.*{message}"):
        download.download(Query(target), KEY, cache)
    assert not server.requests


def test_nothing_matches(server: Server, cache: Path) -> None:
    with pytest.raises(InputError, match=r"chemical system Au-Si / at most 0.1 eV/atom above the hull.*--chemsys"):
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


def test_database_that_changes_during_a_run_is_noticed(server: Server, cache: Path) -> None:
    def release(parameters: dict[str, str]) -> str | None:
        if is_second_chunk(parameters):
            server.database_version = "2026.01.15"
        return None

    server.trouble = release
    with pytest.raises(RunError, match=r"changed its database from 2025.09.25.*run the same command again"):
        download.download(Query(), KEY, cache)
    assert not list(cache.iterdir())


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


# ---------------------------------------------------------------------------------------------------------------- files


def test_csv_formulas_take_pymatgens_spelling_and_other_columns_stay(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text(
        "\ufeffformula,band_gap,bulk,note,split\nGe2Si2,1,3.5,a,test\nNaN,2,,b,test\nSi0.5Ge0.5,0,1,,train\n"
    )
    source = sources.from_file(path)
    assert source.table["formula"].tolist() == ["SiGe", "NaN", "Si0.5Ge0.5"]
    assert source.table["material_id"].tolist() == ["row-0", "row-1", "row-2"]
    table, steps = cleaning.prepare(source, "band_gap", Filters(), seed=3)
    assert table["bulk"].tolist()[::2] == [3.5, 1] and table["note"].tolist()[:2] == ["a", "b"]
    assert table["split"].tolist() == splitting.split(columns.is_metal(table), 3).tolist()
    assert [step.rows for step in steps] == [3, 3, 3]


@pytest.mark.parametrize("name", ["gaps.csv", "gaps.csv.gz"])
def test_rows_of_a_formula_without_energies_are_averaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pd.DataFrame({"formula": ["GaAs", "Si", "As2Ga2"], "gap": [1.4, 1.1, 1.6]}).to_csv(path, index=False)
    table, steps = cleaning.prepare(sources.from_file(path), "gap", Filters(), seed=0)
    assert table["formula"].tolist() == ["GaAs", "Si"]
    assert table["gap"].tolist() == pytest.approx([1.5, 1.1])
    assert steps[-1].rows == 2


@pytest.mark.parametrize("formula", ["Xx2O3", "Fe2O3+", "", "banana", "Si-Ge", "Si0", "(Si", "Si1e500", "12", "XO2"])
def test_formula_that_cannot_be_read_names_its_row(tmp_path: Path, formula: str) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text(f"formula,band_gap\nSi,1.1\n{formula},2\n")
    with pytest.raises(InputError, match=r"gaps\.csv: row 1: formula"):
        sources.from_file(path)


@given(st.text(max_size=12) | st.from_regex(r"[A-Z][a-z]?[0-9.]{0,3}[A-Z(*+-]?[a-z]?\)?[0-9]?", fullmatch=True))
def test_any_text_is_a_formula_or_a_value_error(text: str) -> None:
    try:
        formula = formulas.reduced_formula(text)
    except ValueError:
        return
    assert (
        Composition(formula).almost_equals(Composition(text).reduced_composition, rtol=1e-3, atol=1e-3) or "." in text
    )
    assert formulas.reduced_formula(formula) == formula or "." in formula


@given(st.dictionaries(st.sampled_from(["Si", "Ge", "O", "Fe", "H"]), st.integers(1, 6), min_size=1), st.integers(2, 5))
def test_multiples_of_a_formula_are_one(amounts: dict[str, int], factor: int) -> None:
    once = "".join(f"{element}{amount}" for element, amount in amounts.items())
    many = "".join(f"{element}{amount * factor}" for element, amount in reversed(amounts.items()))
    assert formulas.reduced_formula(once) == formulas.reduced_formula(many)
    system = "-".join(amounts)
    assert formulas.in_system(once, formulas.chemical_systems(system)[0])
    assert not formulas.in_system(once, formulas.chemical_systems(system + "-*")[0])
    assert formulas.in_system(once, "-".join("*" * len(amounts)))


@pytest.mark.parametrize(
    ("text", "message"),
    [("Si-Xx", "'Xx' is no element"), ("Si,", "'' is no element"), ("Si-Si", "twice"), ("Si-*,Ge", "single system")],
)
def test_chemical_system_that_makes_no_sense(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        formulas.chemical_systems(text)


elements = st.sets(st.sampled_from(["Si", "Ge", "O", "Fe", "H"]), min_size=1)


@given(elements, elements)
def test_what_is_left_out_has_all_elements_together(formula: set[str], system: set[str]) -> None:
    (wanted,) = formulas.left_out(["-".join(system)])
    assert formulas.has_together("".join(sorted(formula)), wanted) is (system <= formula)


@pytest.mark.parametrize(
    ("text", "message"), [("Si-*", "is none"), ("Si-Xx", "'Xx' is no element"), ("", "no element")]
)
def test_what_cannot_be_left_out(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        formulas.left_out([text])


def test_alloys_are_left_out_and_their_elements_stay(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("formula,target\nSi,1.1\nGe,0.7\nSi0.94Ge0.06,1.06\nSi49Ge51,1\nSiGeO3,3\nAlN,6\nAlP,2.5\n")
    filters = Filters(leave_out=formulas.left_out(["Si-Ge", "N-Al"]))
    table, steps = cleaning.prepare(sources.from_file(path, "gap"), "gap", filters, seed=0)
    assert dict(zip(table["formula"], table["gap"], strict=True)) == {"Si": 1.1, "Ge": 0.7, "AlP": 2.5}
    assert steps[:3] == [
        Step("rows of the file", 7),
        Step("without Ge and Si together", 4),
        Step("without Al and N together", 3),
    ]


def test_measured_gaps_belong_to_the_lowest_polymorph(tmp_path: Path) -> None:
    rows = [("Si", 0.2, 0.5), ("Si2", 0.1, 0.6), ("Ge", 0.0, 0.0), ("SiC", 0.0, 1.4)]
    table = pd.DataFrame(rows, columns=["formula", "energy_above_hull", "band_gap"])
    storage.write(table, tmp_path / "t.json")
    (tmp_path / "m.csv").write_text("formula,target\nSi,1.1\nSi8,1.2\nGe2,0.7\nGaAs,1.4\n")
    source = sources.from_file(tmp_path / "t.json")
    measured = sources.from_file(tmp_path / "m.csv", levels.EXPERIMENT)
    joined = measured_gaps.with_measured(source, measured)
    assert joined.table["band_gap_experiment"].fillna(-1).tolist() == pytest.approx([-1, 1.15, 0.7, -1])
    assert joined.table.drop(columns="band_gap_experiment").equals(source.table)
    prepared, _ = cleaning.prepare(joined, "band_gap", Filters(), seed=0)
    assert prepared.set_index("formula")["band_gap_experiment"].fillna(-1).to_dict() == pytest.approx(
        {"Si": 1.15, "Ge": 0.7, "SiC": -1}
    )


def test_a_later_list_of_measured_gaps_counts_and_may_name_crystals(tmp_path: Path) -> None:
    rows = [("mp-1", "ZnS", 0.1, 2.0), ("mp-2", "ZnS", 0.0, 2.1), ("mp-3", "AlAs", 0.0, 1.5), ("mp-4", "GaP", 0.0, 1.6)]
    columns = ["material_id", "formula", "energy_above_hull", "band_gap"]
    storage.write(pd.DataFrame(rows, columns=columns), tmp_path / "t.json")
    (tmp_path / "long.csv").write_text("formula,target\nZnS,3.6\nAlAs,0.0\nGaP,2.3\n")
    (tmp_path / "known.csv").write_text("material_id,formula,band_gap\nmp-1,ZnS,3.9\nmp-3,AlAs,2.2\nmp-66,GaP,9\n")
    joined = sources.from_file(tmp_path / "t.json")
    for name in ("long.csv", "known.csv"):
        joined = measured_gaps.with_measured(joined, sources.from_file(tmp_path / name, levels.EXPERIMENT))
    assert joined.table["band_gap_experiment"].fillna(-1).tolist() == [3.9, -1, 2.2, -1]


def test_the_bundled_list_of_semiconductors_is_one_of_measured_gaps() -> None:
    measured = sources.from_file(ROOT / "data" / "semiconductors.csv", levels.EXPERIMENT)
    gaps = measured.table.set_index("material_id")["band_gap"]
    assert gaps.index.is_unique and gaps.between(0, 12).all() and measured.table["reference"].notna().all()
    assert (gaps["mp-149"], gaps["mp-32"]) == (1.170, 0.744)
    assert not any(formulas.has_together(formula, "Ge-Si") for formula in measured.table["formula"])


@needs_shared
def test_the_bundled_list_names_crystals_of_its_formulas() -> None:
    measured = sources.from_file(ROOT / "data" / "semiconductors.csv", levels.EXPERIMENT).table
    table = storage.read(SHARED / "mp-2019.json.gz", structures=False).set_index("material_id")
    known = measured[measured["material_id"].isin(table.index)]
    assert len(known) > 95
    spelled = [formulas.reduced_formula(formula) for formula in table.loc[known["material_id"], "formula"]]
    assert known["formula"].tolist() == spelled


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("formula,gap\nSi,1.1\n", "no column band_gap; it has"),
        ("formula,band_gap\nSi,1.1\nGe,\n", r"row 1 \(Ge\): nan in column band_gap is no gap"),
        ("formula,band_gap\nSi,-0.1\n", r"row 0 \(Si\): -0.1 in column band_gap"),
        ("formula,target\nSi,wide\n", r"row 0 \(Si\): 'wide' in column band_gap_experiment"),
        ("formula,target\nSi,inf\n", r"row 0 \(Si\): inf"),
    ],
)
def test_what_is_no_measured_gap_names_its_row(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"m\.csv: {message}"):
        measured_gaps.with_measured(sources.from_sample(), sources.from_file(path, levels.EXPERIMENT))


@needs_shared
def test_measured_gaps_of_the_materials_project_of_2019() -> None:
    table = storage.read(SHARED / "mp-2019.json.gz", structures=False)
    table["formula"] = [formulas.reduced_formula(formula) for formula in table["formula"]]
    source = sources.Source("file", "mp-2019", table, "", [])
    joined = measured_gaps.with_measured(source, sources.from_file(SHARED / "expt-gap.csv", levels.EXPERIMENT))
    measured = pd.read_csv(SHARED / "expt-gap.csv", converters={"formula": str})
    spelled = {Composition(formula).reduced_formula for formula in measured["formula"]}
    known = joined.table[joined.table["band_gap_experiment"].notna()]
    assert set(known["formula"]) == spelled & set(table["formula"]) and known["formula"].is_unique
    assert len(known) == 2085
    lowest = table.groupby("formula")["formation_energy_per_atom"].min()
    assert (known["formation_energy_per_atom"] == lowest[known["formula"]].to_numpy()).all()
    kept, steps = cleaning._leave_out(joined.table, formulas.left_out(["Si-Ge"]))
    assert [step.rows for step in steps] == [len(table) - 8]
    assert {"Si", "Ge"} <= set(kept["formula"]) and not {"SiGe", "Si3Ge", "SiGeO3"} & set(kept["formula"])


def test_polymorphs_of_a_file_go_by_the_energy_it_has(tmp_path: Path) -> None:
    path = tmp_path / "table.json.gz"
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0.0] * 3])
    alone = Structure(Lattice.cubic(9), ["Si", "C"], [[0.0] * 3, [0.5] * 3])
    rows = [("a", "Si8", 0.2, 1.0), ("b", "Si2", 0.1, 0.6), ("c", "Si", None, 0.0), ("d", "SiC", 0.0, 2.0)]
    table = pd.DataFrame(rows, columns=["material_id", "formula", "formation_energy_per_atom", "band_gap"])
    storage.write(table.assign(structure=[silicon, silicon, silicon, alone], split="test"), path)
    prepared, steps = cleaning.prepare(sources.from_file(path), "band_gap", Filters(), seed=0)
    assert prepared["material_id"].tolist() == ["b"] and prepared["structure"][0] == silicon
    assert prepared["split"].tolist() == ["train"]
    assert [step.rows for step in steps] == [4, 4, 2, 1]


def test_table_without_energy_above_hull_cannot_be_filtered_by_it(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("formula,band_gap\nSi,1.1\n")
    with pytest.raises(InputError, match="no column energy_above_hull for --max-energy-above-hull"):
        cleaning.prepare(sources.from_file(path), "band_gap", Filters(max_energy_above_hull=0.1), seed=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "not a CSV"),
        ("a.csv", b"formula,band_gap\n", "no rows"),
        ("a.csv", b"composition,band_gap\nSi,1\n", "no column formula; it has composition, band_gap"),
        ("a.csv", b"formula,gap\nSi,1\n", "no column band_gap; it has"),
        ("a.csv", b"formula,band_gap\nSi,\n", r"1 of 1 rows have no number in column band_gap.*--drop-missing"),
        ("a.csv", b"formula,band_gap\nSi,wide\n", "1 of 1 rows have no number"),
        ("a.csv", b"formula,band_gap\nSi,inf\n", "1 of 1 rows have no number"),
        ("a.csv", b"formula,band_gap\n\xff\xfe,1\n", "not a CSV in UTF-8"),
        ("a.csv", b'formula,band_gap\n"Si,1\n', "formula|CSV"),
        ("a.csv.gz", gzip.compress(b"formula,band_gap\nSi,1\n" * 99, mtime=0)[:30], "damaged or half-written gzip"),
        ("a.csv.gz", b"formula,band_gap\nSi,1\n", "damaged or half-written gzip"),
        ("a.json.gz", gzip.compress(b'{"columns": ["formula"', mtime=0)[:-9], "damaged or half-written"),
        ("a.json", json.dumps({"columns": ["formula"], "index": [0], "data": [[7]]}).encode(), "row 0: formula 7"),
    ],
)
def test_bad_file_is_told_in_words(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        cleaning.prepare(sources.from_file(path), "band_gap", Filters(), seed=0)
    assert str(path) in str(caught.value)


def test_bundled_sample_gives_a_table_with_metals_and_non_metals() -> None:
    source = sources.from_sample()
    table, _ = cleaning.prepare(source, "band_gap", Filters(), seed=0)
    counts: dict[bool, int] = defaultdict(int)
    for gap in table["band_gap"]:
        counts[gap == 0] += 1
    assert min(counts[True], counts[False]) > 50
    assert table["formula"].is_unique and {"Si", "Ge"} <= set(table["formula"])
    systems = Filters(formulas.chemical_systems("Si-*"))
    silicides, _ = cleaning.prepare(source, "band_gap", systems, seed=0)
    assert all(len(one.elements) == 2 and "Si" in one for one in map(Composition, silicides["formula"]))
