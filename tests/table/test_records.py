from __future__ import annotations

import json

import numpy as np
import orjson
import pytest
from helpers import first_rows, needs_shared
from monty.json import MontyDecoder
from pymatgen.core import Lattice, Structure

from bandgaps.table import records, storage

ROCKSALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])


def variants() -> dict[str, Structure]:
    """Structures with everything that pymatgen keeps of one."""
    made = {"plain": ROCKSALT.copy()}
    made["labelled"] = Structure(ROCKSALT.lattice, ["Na", "Cl"], ROCKSALT.frac_coords[::4], labels=["here", "there"])
    made["charged"] = Structure(ROCKSALT.lattice, ["Na"], [[0.1, 0.2, 0.3]], charge=1)
    made["properties"] = Structure(ROCKSALT.lattice, ["Na"], [[0, 0, 0]], properties={"source": "made up"})
    made["magnetic"] = ROCKSALT.copy().add_site_property("magmom", list(range(8)))
    made["oxidised"] = ROCKSALT.copy().add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    made["disordered"] = Structure(ROCKSALT.lattice, [{"Si": 0.5, "Ge": 0.5}], [[0, 0, 0]])
    made["vacant"] = Structure(ROCKSALT.lattice, [{"Si": 0.5}], [[0, 0, 0]])
    made["slab"] = Structure(Lattice(np.diag([3, 3, 9]), pbc=(True, True, False)), ["C"], [[0, 0, 0]])
    made["outside"] = Structure(ROCKSALT.lattice, ["Na"], [[-0.25, 1.5, 2.0]])
    return made


@pytest.mark.parametrize("name", list(variants()))
def test_nothing_is_lost(name: str) -> None:
    structure = variants()[name]
    written = _written(records.record(structure))
    for read in (records.structure(orjson.loads(written)), json.loads(written, cls=MontyDecoder)):
        assert isinstance(read, Structure)
        assert read.as_dict() == structure.as_dict()
        assert read == structure
        assert read.labels == structure.labels


@pytest.mark.parametrize("name", list(variants()))
def test_what_pymatgen_writes_is_read(name: str) -> None:
    written = json.loads(json.dumps(variants()[name].as_dict()))
    assert records.structure(written).as_dict() == Structure.from_dict(written).as_dict()


@pytest.mark.parametrize("name", list(variants()))
def test_a_compact_dictionary_is_that_of_the_structure(name: str) -> None:
    structure = variants()[name]
    whole = json.loads(json.dumps(structure.as_dict()))
    for read in (whole, {**whole, "charge": None}, json.loads(_written(records.record(structure)))):
        assert _written(records.compact(read)) == _written(records.record(records.structure(read)))


def test_a_compact_dictionary_has_labels_and_real_coordinates() -> None:
    sites = [{"species": [{"element": element, "occu": 1}], "abc": [0, 0, 0]} for element in ("Si", "D")]
    read = {"lattice": {"matrix": np.diag([3, 4, 5]).tolist()}, "sites": sites}
    assert _written(records.compact(read)) == _written(records.record(records.structure(read)))
    sites[0]["species"] = [{"element": "Xx", "occu": 1}]
    with pytest.raises(ValueError, match="Xx"):
        records.compact(read)


def _written(record: records.Record) -> bytes:
    return orjson.dumps(record, default=storage._plain, option=orjson.OPT_SERIALIZE_NUMPY)


def test_a_structure_that_was_read_can_be_changed() -> None:
    first, second = (records.structure(json.loads(ROCKSALT.to_json())) for _ in range(2))
    first.replace(0, "K")
    first.translate_sites([1], [0.1, 0, 0])
    assert second == ROCKSALT
    assert first != ROCKSALT


@pytest.mark.parametrize("damage", [{}, {"sites": [{}]}, {"sites": [], "lattice": {}}, {"sites": None}])
def test_what_is_no_structure_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        records.structure(damage)


@needs_shared
def test_real_structures_are_read_as_pymatgen_reads_them() -> None:
    columns, rows = first_rows(2000)
    for record in (row[columns.index("structure")] for row in rows[::10]):
        assert records.structure(record).as_dict() == Structure.from_dict(record).as_dict()
