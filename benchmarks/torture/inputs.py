"""Bad inputs: real files with a few changes at random."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps.files import sha256
from bandgaps.structure import model_files
from bandgaps.table import storage
from benchmarks.torture.runs import ROOT, Attempt

Random = np.random.Generator
SAMPLE = ROOT / "data" / "sample" / "sample.json.gz"
CIF = """data_Si
_cell_length_a 3.84
_cell_length_b 3.84
_cell_length_c 3.84
_cell_angle_alpha 60
_cell_angle_beta 60
_cell_angle_gamma 60
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Si1 Si 0 0 0 1
Si2 Si 0.25 0.25 0.25 1
"""
STRANGE: list[Any] = [
    None, "", "x" * 100_000, -1, 0, 1, 1e308, -1e308, 1e-300, 10**30, [], {}, [1] * 5, True, "NaN", "a\0b", "Si1e400",
    {"a": {"b": []}}, 2**63, "../..", "/dev/zero", "Si" + "9" * 300, float("nan"), float("inf"), [[]], "٣", 1e-5, 1e6,
]  # fmt: skip
FLAGS = {
    "query": ["--seed", "--max-energy-above-hull", "--output", "--metrics", "--chemsys", "--leave-out", "--train-on"],
    "composition": ["--seed", "--jobs", "--cv", "--tune", "--models", "--figures", "--metrics", "--leave-out", "--csv"],
    "explore_composition": ["--system", "--models", "--measured-models", "--figures", "--metrics"],
    "structure": [
        "--seed", "--epochs", "--batch-size", "--learning-rate", "--patience", "--members", "--cutoff", "--output",
        "--figures", "--metrics", "--jobs",
    ],
    "explore_structure": ["--seed", "--max-atoms", "--composition", "--system", "--figures", "--metrics", "--model"],
}  # fmt: skip
VALUES = [
    "", " ", "-1", "0", "1e309", "nan", "inf", "1" * 400, str(10**20), str(2**32), "x" * 100_000, "/proc", ".", "file",
    "file/x", "/dev/null", "/dev/zero", "/proc/self/mem", "Si1Ge1000000", "Si-Si", "Xx-Yy", "*", "٣", "\u202e",
    "-", "--", "---",
]  # fmt: skip


def mutated(random: Random, content: Any, changes: int = 0) -> Any:
    """JSON with one to three changes: another value, an entry less, an entry twice."""
    for _ in range(changes or int(random.integers(1, 4))):
        content = _changed(random, content)
    return content


def _changed(random: Random, content: Any) -> Any:
    if not isinstance(content, dict | list) or not content or random.random() < 0.1:
        return STRANGE[random.integers(len(STRANGE))]
    keys = [*content] if isinstance(content, dict) else [*range(len(content))]
    key = keys[random.integers(len(keys))]
    copy: Any = dict(content) if isinstance(content, dict) else list(content)
    if random.random() < 0.1:
        del copy[key]
    elif isinstance(copy, list) and random.random() < 0.05:
        copy.append(copy[key])
    else:
        copy[key] = _changed(random, copy[key])
    return copy


def damaged(random: Random, content: bytes) -> bytes:
    """Bytes with some others, some less, or an end too early."""
    where = int(random.integers(max(len(content), 1)))
    match random.integers(3):
        case 0:
            return content[:where]
        case 1:
            return content[:where] + random.bytes(int(random.integers(1, 9))) + content[where + 1 :]
        case _:
            return content[:where] + content[where + int(random.integers(1, 99)) :]


def small_table() -> dict[str, Any]:
    """Some rows of the bundled sample, as JSON has them."""
    table = storage.read_records(SAMPLE).iloc[::12]
    rows = json.loads(table.to_json(orient="split", default_handler=str))
    return {"index": [*range(len(rows["data"]))], "columns": rows["columns"], "data": rows["data"]}


def table(random: Random, folder: Path, base: Path) -> Attempt:
    """A table in the shared format, for the scripts that read one."""
    content = json.dumps(mutated(random, json.loads((base / "table.json").read_text()))).encode()
    if random.random() < 0.2:
        content = damaged(random, content)
    if random.random() < 0.3:
        content = damaged(random, gzip.compress(content)) if random.random() < 0.5 else gzip.compress(content)
    (folder / "t.json").write_bytes(content)
    asked = [
        ("query", ["--source", "file", "--input", "t.json", "--output", "out.json.gz"]),
        ("query", ["--source", "file", "--input", "t.json", "--polymorphs", "all", "--output", "out.json.gz"]),
        ("composition", ["--evaluate", "t.json"]),
        ("structure", ["--evaluate", "t.json", "--weights", str(base / "network")]),
    ]
    script, arguments = asked[random.integers(len(asked))]
    return Attempt("bad input, tables", script, arguments)


def gap_list(random: Random, folder: Path, base: Path) -> Attempt:
    """A list of measured gaps."""
    rows = [["formula", "band_gap"], *([f"Si{k}Ge", f"{k / 10}"] for k in range(1, 40))]
    for _ in range(int(random.integers(1, 4))):
        row = rows[random.integers(len(rows))]
        row[random.integers(len(row))] = str(STRANGE[random.integers(len(STRANGE))])
    content = "\n".join(",".join(row) for row in rows).encode()
    if random.random() < 0.3:
        content = damaged(random, content)
    (folder / "gaps.csv").write_bytes(content)
    asked = [
        ("query", ["--source", "file", "--input", "gaps.csv", "--output", "out.json.gz"]),
        ("query", ["--source", "sample", "--measured", "gaps.csv", "--output", "out.json.gz"]),
        ("composition", ["--predict", "gaps.csv"]),
    ]
    if random.random() < 0.2:
        data = ["--data", str(base / "table.json")]
        asked = [("composition", [*data, "--fidelity", "experiment", "--measured", "gaps.csv"])]
    script, arguments = asked[random.integers(len(asked))]
    return Attempt("bad input, lists of gaps", script, arguments)


def crystal(random: Random, folder: Path, base: Path) -> Attempt:
    """A CIF file."""
    words = CIF.split(" ")
    for _ in range(int(random.integers(1, 4))):
        words[random.integers(len(words))] = str(STRANGE[random.integers(len(STRANGE))])
    content = " ".join(words).encode()
    (folder / "x.cif").write_bytes(damaged(random, content) if random.random() < 0.4 else content)
    return Attempt("bad input, CIF files", "structure", ["--predict", "x.cif", "--weights", str(base / "network")])


def _model(random: Random, source: Path, folder: Path) -> None:
    """A model folder with changes, whose checksums are right again most of the time."""
    shutil.copytree(source, folder)
    card = json.loads((folder / "model.json").read_text())
    member = folder / list(card["sha256"])[random.integers(len(card["sha256"]))]
    kind = random.integers(6)
    if kind == 0:
        card = mutated(random, card)
    elif kind == 1:
        member.write_bytes(damaged(random, member.read_bytes()))
    elif kind == 2:
        member.unlink()
        member.symlink_to(["/dev/zero", "/proc/self/mem", "/etc/hostname", folder][random.integers(4)])
    else:
        with np.load(member) as file:
            arrays = dict(file)
        _change_array(random, arrays)
        np.savez_compressed(member, **arrays)
    if kind != 0 and member.is_file() and not member.is_symlink() and random.random() < 0.9:
        card["sha256"][member.name] = sha256(member)
    (folder / "model.json").write_text(json.dumps(card))


def _change_array(random: Random, arrays: dict[str, Any]) -> None:
    name = list(arrays)[random.integers(len(arrays))]
    array = arrays[name]
    match random.integers(4):
        case 0:
            del arrays[name]
        case 1:
            kinds = ["f2", "f4", "f8", "i1", "i8", "u8", "c16", "U3", "S2", "?", "M8[s]"]
            arrays[name] = np.zeros(array.shape, kinds[random.integers(len(kinds))])
        case 2:
            arrays[name] = [array[:-1], array[None], array[:0], np.array(0), np.zeros(10**7)][random.integers(5)]
        case _:
            if array.size and array.dtype.kind in "fi":
                values = [0, -1, 1e308, -1e308, np.nan, np.inf, 2**31, 2**62, 7]
                with np.errstate(all="ignore"):
                    array.flat[random.integers(array.size)] = np.array(values[random.integers(9)]).astype(array.dtype)


def forest(random: Random, folder: Path, base: Path) -> Attempt:
    """A model of compositions."""
    shutil.copytree(base / "models" / "composition-combined", folder / "models" / "composition-combined")
    _model(random, base / "models" / "composition-non-metals", folder / "models" / "composition-non-metals")
    asked = [
        ("composition", ["--models", "models", "--predict", "GaN", "Si49Ge51"]),
        ("explore_composition", ["--models", "models"]),
    ]
    script, arguments = asked[int(random.random() < 0.2)]
    return Attempt("bad input, forests", script, arguments)


def network(random: Random, folder: Path, base: Path) -> Attempt:
    """A model of structures."""
    (folder / "si.cif").write_text(CIF)
    _model(random, base / "network", folder / "network")
    return Attempt("bad input, networks", "structure", ["--predict", "si.cif", "--weights", "network"])


def flags(random: Random, folder: Path, base: Path) -> Attempt:
    """A value that makes no sense for a flag, before any training begins."""
    (folder / "file").write_text("a user's own\n")
    script = list(FLAGS)[random.integers(len(FLAGS))]
    flag, value = (options[random.integers(len(options))] for options in (FLAGS[script], VALUES))
    beside = {
        "query": ["--source", "sample", "--output", "out.json.gz"],
        "composition": ["--data", str(base / "table.json")],
        "explore_composition": [],
        "structure": ["--data", str(base / "table.json"), "--epochs", "1", "--members", "1"],
        "explore_structure": ["--max-atoms", "2", "--model", str(base / "network"), "--fidelity", "pbe"],
    }[script]
    kept = [*beside]
    if flag in kept:
        del kept[kept.index(flag) : kept.index(flag) + 2]
    note = f"{flag} {value[:40]!r}"
    return Attempt("bad input, flags", script, [*kept, f"{flag}={value}"], note)


KINDS: dict[str, Callable[[Random, Path, Path], Attempt]] = {
    "tables": table,
    "lists": gap_list,
    "crystals": crystal,
    "forests": forest,
    "networks": network,
    "flags": flags,
}


def prepare(base: Path) -> None:
    """What the attempts are changes of: a small table, long lists, and a model of structures with one member."""
    formulas = (f"Si{a}Ge{b}C{c}\n" for a in range(1, 61) for b in range(1, 61) for c in range(1, 31))
    (base / "formulas.txt").write_text("".join(formulas))
    crystal = {"species": ["Si", "Ge"], "frac": [[0.0] * 3, [0.25] * 3]}
    cells = ([3.7 + 1e-4 * k] * 3 + [60.0] * 3 for k in range(4000))
    lines = (json.dumps({"material_id": f"x-{k}", "cell": cell, **crystal}) for k, cell in enumerate(cells))
    (base / "crystals.jsonl").write_text("\n".join(lines))
    (base / "table.json").write_text(json.dumps(small_table()))
    shutil.copytree(model_files.BUNDLED, base / "network", ignore=shutil.ignore_patterns("member-[1-9]*"))
    card = json.loads((model_files.BUNDLED / "model.json").read_text())
    card["sha256"] = {name: digest for name, digest in card["sha256"].items() if not name.startswith("member-")} | {
        "member-0.npz": card["sha256"]["member-0.npz"]
    }
    (base / "network" / "model.json").write_text(json.dumps(card))
