"""Turn the computed crystals into the table that the scripts read, and compare it with the Materials Project.

    python data/sample/build.py                                         writes sample.json.gz and the README's numbers
    python data/sample/build.py --check ../shared/data/mp-2019.json.gz  writes check.json as well

Reads `crystals.jsonl`, which `compute.py` writes. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from monty.json import MontyEncoder
from prototypes import PROTOTYPES
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from bandgaps.formulas import reduced_formula  # noqa: E402
from bandgaps.table import storage  # noqa: E402

CRYSTALS, TABLE, CHECK, README = (
    HERE / name for name in ("crystals.jsonl", "sample.json.gz", "check.json", "README.md")
)
COLUMNS = [
    "material_id",
    "formula",
    "structure",
    "energy_per_atom",
    "band_gap",
    "band_gap_gllbsc",
    "prototype",
]
LARGEST = 8  # differences listed by name

Row = dict[str, Any]


def read_crystals(path: Path = CRYSTALS) -> list[Row]:
    """The computed crystals, those that failed left out."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if "error" not in row]


def structure_of(row: Row) -> Structure:
    """The primitive cell at the computed lattice constant (Å)."""
    prototype = PROTOTYPES[row["prototype"]]
    # rounded, so that every platform writes the same digits
    vectors = prototype.lattice(row["a"]).round(8)
    return Structure(Lattice(vectors), prototype.species(row["elements"]), prototype.positions())


def tabulate(rows: list[Row]) -> pd.DataFrame:
    """One row a crystal, sorted by name, with the columns of the README."""
    records = []
    for row in sorted(rows, key=lambda row: row["id"]):
        structure = structure_of(row)
        records.append(
            {
                "material_id": row["id"],
                "formula": structure.composition.reduced_formula,
                "structure": structure,
                "energy_per_atom": row["energy_per_atom"],
                "band_gap": row["band_gap"],
                "band_gap_gllbsc": row.get("band_gap_gllbsc"),
                "prototype": row["prototype"],
            }
        )
    table = pd.DataFrame(records, columns=COLUMNS)
    return table.astype({"energy_per_atom": float, "band_gap": float, "band_gap_gllbsc": float})


def encode(table: pd.DataFrame) -> bytes:
    """The table in the format of `matminer.utils.io.store_dataframe_as_json`, gzipped without a time stamp.

    Numbers that are missing become null, which strict JSON readers take, not NaN.
    """
    split = table.to_dict(orient="split")
    split["data"] = [[None if value != value else value for value in row] for row in split["data"]]
    return gzip.compress(json.dumps(split, cls=MontyEncoder, allow_nan=False).encode(), mtime=0)


# Comparison with the Materials Project


def load_reference(path: Path, formulas: set[str]) -> dict[str, list[Row]]:
    """Rows of a table in matminer's format, by reduced formula; structures stay encoded, since most are not needed."""
    table = storage.read_records(path)
    reduced = table["formula"].map(reduced_formula)
    wanted = reduced.isin(formulas)
    return {formula: rows.to_dict("records") for formula, rows in table[wanted].groupby(reduced[wanted])}


def space_group(structure: Structure) -> int:
    """International number of the space group."""
    return int(SpacegroupAnalyzer(structure, symprec=0.01).get_space_group_number())


def pair_up(table: pd.DataFrame, reference: dict[str, list[Row]]) -> pd.DataFrame:
    """Crystals that the reference has too: same reduced formula, space group and sites up to a scale.

    The sites tell apart the three half-Heuslers of one formula.

    Columns: gap, GLLB-SC gap (eV) and the cube root of the volume per atom (Å) of both; where the reference has
    several such entries, the one of the closest volume.
    """
    pairs = []
    for row in table.to_dict(orient="records"):
        ours: Structure = row["structure"]
        group = space_group(ours)
        entries = []
        for entry in reference.get(row["formula"], []):
            theirs = Structure.from_dict(entry["structure"])
            if space_group(theirs) == group and StructureMatcher(scale=True).fit(ours, theirs):
                entries.append((abs(theirs.volume / len(theirs) - ours.volume / len(ours)), entry, theirs))
        if entries:
            _, entry, theirs = min(entries, key=lambda candidate: candidate[0])
            pairs.append(
                {
                    "material_id": row["material_id"],
                    "reference_id": entry["material_id"],
                    "band_gap": row["band_gap"],
                    "reference_gap": entry["band_gap"],
                    "band_gap_gllbsc": row["band_gap_gllbsc"],
                    "reference_gllbsc": entry.get("band_gap_gllbsc"),
                    "length": (ours.volume / len(ours)) ** (1 / 3),
                    "reference_length": (theirs.volume / len(theirs)) ** (1 / 3),
                }
            )
    return pd.DataFrame(pairs)


def compare(pairs: pd.DataFrame) -> Row:
    """Numbers of the comparison: counts, mean absolute differences and the largest differences by name."""
    gap = pairs["band_gap"] - pairs["reference_gap"]
    open_gap = (pairs["band_gap"] > 0) | (pairs["reference_gap"] > 0)
    length = 100 * (pairs["length"] / pairs["reference_length"] - 1)
    gllbsc = (pairs["band_gap_gllbsc"] - pairs["reference_gllbsc"].astype(float)).dropna()
    both = gllbsc.index[pairs.loc[gllbsc.index, "reference_gllbsc"].astype(float) > 0]
    gllbsc = gllbsc[both]

    def largest(differences: pd.Series) -> Row:
        order = differences.abs().sort_values(ascending=False, kind="stable").index[:LARGEST]
        return {pairs.loc[i, "material_id"]: round(float(differences[i]), 3) for i in order}

    return {
        "compounds": len(pairs),
        "gap_mean_absolute_difference_eV": round(float(gap.abs().mean()), 3),
        "gap_median_absolute_difference_eV": round(float(gap.abs().median()), 3),
        "non_metals": int(open_gap.sum()),
        "non_metals_gap_mean_absolute_difference_eV": round(float(gap[open_gap].abs().mean()), 3),
        "lattice_mean_absolute_difference_percent": round(float(length.abs().mean()), 3),
        "lattice_mean_difference_percent": round(float(length.mean()), 3),
        "gllbsc_compounds": len(gllbsc),
        "gllbsc_gap_mean_absolute_difference_eV": round(float(gllbsc.abs().mean()), 3),
        "largest_gap_differences_eV": largest(gap),
        "largest_lattice_differences_percent": largest(length),
        "largest_gllbsc_differences_eV": largest(gllbsc),
    }


def check(table: pd.DataFrame, path: Path) -> Row:
    """Compare the table with the Materials Project entries at `path`."""
    return compare(pair_up(table, load_reference(path, set(table["formula"]))))


# README


def summary(table: pd.DataFrame, numbers: Row | None) -> str:
    """The README's numbers, as Markdown."""
    counts = pd.DataFrame(
        {
            "crystals": table.groupby("prototype").size(),
            "with a PBE gap": table[table["band_gap"] > 0].groupby("prototype").size(),
            "with a GLLB-SC gap": table[table["band_gap_gllbsc"] > 0].groupby("prototype").size(),
        }
    ).fillna(0)
    counts = counts.sort_values("crystals", ascending=False, kind="stable").astype(int)
    counts.loc["all"] = counts.sum()
    lines = ["| prototype | " + " | ".join(counts.columns) + " |", "|---|" + "---:|" * len(counts.columns)]
    lines += [f"| {name} | " + " | ".join(map(str, values)) + " |" for name, *values in counts.itertuples()]
    elements = {str(element) for structure in table["structure"] for element in structure.composition}
    lines += ["", f"{table['formula'].nunique()} different formulas of {len(elements)} elements."]
    if numbers:
        lines += [
            "",
            f"Against the {numbers['compounds']} compounds that the Materials Project of June 2019 has in the same "
            "space group:",
            "",
            "| | compounds | mean absolute difference |",
            "|---|---:|---:|",
            f"| PBE gap | {numbers['compounds']} | {numbers['gap_mean_absolute_difference_eV']} eV |",
            f"| PBE gap, a gap in either | {numbers['non_metals']} "
            f"| {numbers['non_metals_gap_mean_absolute_difference_eV']} eV |",
            f"| GLLB-SC gap | {numbers['gllbsc_compounds']} | {numbers['gllbsc_gap_mean_absolute_difference_eV']} eV |",
            f"| lattice constant | {numbers['compounds']} | {numbers['lattice_mean_absolute_difference_percent']} % |",
            "",
            "Largest differences of the PBE gap (eV): "
            + ", ".join(f"{name} {value:+.2f}" for name, value in numbers["largest_gap_differences_eV"].items())
            + ".",
        ]
    return "\n".join(lines)


def between_markers(text: str, numbers: str) -> str:
    """The text with what lies between its markers replaced."""
    replaced = f"<!-- numbers -->\n{numbers}\n<!-- /numbers -->"
    return re.sub(r"<!-- numbers -->.*<!-- /numbers -->", lambda _: replaced, text, flags=re.DOTALL)


def main() -> None:
    """Read the arguments, write the files."""
    parser = argparse.ArgumentParser(description="Build the bundled sample table from crystals.jsonl.")
    parser.add_argument(
        "--check", type=Path, metavar="TABLE", help="compare with this table of Materials Project entries (json.gz)"
    )
    args = parser.parse_args()
    table = tabulate(read_crystals())
    TABLE.write_bytes(encode(table))
    gapped = int((table["band_gap"] > 0).sum())
    print(f"{TABLE.name}: {len(table)} crystals, {gapped} with a gap, {TABLE.stat().st_size / 1000:.0f} kB")
    if args.check:
        CHECK.write_text(json.dumps(check(table, args.check), indent=2) + "\n")
        print(CHECK.read_text())
    numbers = json.loads(CHECK.read_text()) if CHECK.exists() else None
    if README.exists():
        README.write_text(between_markers(README.read_text(), summary(table, numbers)))


if __name__ == "__main__":
    main()
