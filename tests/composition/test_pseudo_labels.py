from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from helpers import SAMPLE

from bandgaps import levels
from bandgaps.composition import pseudo_labels
from bandgaps.errors import InputError
from bandgaps.table import cleaning, sources, storage
from bandgaps.table.sources import Filters, Source


@cache
def table() -> pd.DataFrame:
    """The sample; a third of its non-metals was "measured", at twice the PBE gap and a little more."""
    rows = cleaning.prepare(sources.from_sample(), "band_gap", Filters(), 0, ["Si", "Ge"])[0]
    measured = (2 * rows["band_gap"] + 0.3).where((rows["band_gap"] > 0) & (rows.index % 3 == 0))
    return rows.assign(band_gap_experiment=measured.where(rows["split"] == "train"))


@cache
def listed() -> tuple[pd.Series, pd.Series]:
    """The list that goes with it: all formulas of the sample, as if most of them had no crystal there."""
    rows = storage.read(SAMPLE, structures=False).drop_duplicates("formula")
    return rows["formula"], (2 * rows["band_gap"] + 0.3).where(rows["band_gap"] > 0, 0.0)


@cache
def labels() -> pd.Series:
    return pd.Series(pseudo_labels.pseudo_labels(table(), *listed()), table().index)


def test_training_rows_that_nobody_measured_get_a_pseudo_label_and_no_others() -> None:
    expected = (table()["split"] == "train") & table()["band_gap_experiment"].isna()
    assert 100 < expected.sum() < len(table()) and labels().notna().equals(expected)


def test_pseudo_labels_are_near_what_was_measured() -> None:
    known = labels().dropna()
    gap = table().loc[known.index, "band_gap"]
    expected = (2 * gap + 0.3).where(gap > 0, 0.0)
    assert (known[gap > 0] > 0.3).all() and (known >= 0).all()
    assert np.abs(known - expected).mean() < 0.25 * np.abs(expected - expected.mean()).mean()


def test_formulas_that_are_set_aside_do_not_teach() -> None:
    formulas, gaps = listed()
    aside = set(table()["formula"][table()["split"] != "train"])
    assert len(aside) > 50
    wrong = gaps.where(~formulas.isin(aside), 11.0)
    np.testing.assert_array_equal(pseudo_labels.pseudo_labels(table(), formulas, wrong), labels())
    taught = table()["formula"][table()["split"] == "train"].iloc[0]
    other = pseudo_labels.pseudo_labels(table(), formulas, gaps.where(formulas != taught, 11.0))
    assert not np.array_equal(other, labels(), equal_nan=True)


@pytest.mark.parametrize("part", ["validation", "calibration", "test"])
def test_other_spellings_of_what_is_set_aside_do_not_teach(part: str) -> None:
    formulas, gaps = listed()
    aside = set(table()["formula"][table()["split"] == part])
    assert len(aside) > 10
    spelled = formulas.where(~formulas.isin(aside), "(" + formulas + ")3")
    wrong = gaps.where(~formulas.isin(aside), 11.0)
    np.testing.assert_array_equal(pseudo_labels.pseudo_labels(table(), spelled, wrong), labels())
    assert not set(pseudo_labels.teachers(table(), spelled, wrong).index) & set(spelled[formulas.isin(aside)])


def test_spellings_of_one_composition_teach_their_mean() -> None:
    taught = pseudo_labels.teachers(
        pd.DataFrame({"formula": ["NaCl"], "split": ["test"]}),
        pd.Series(["Si2Ge2", "LiF", "ClNa", "GeSi"]),
        pd.Series([1.0, 13.6, 8.5, 0.5]),
    )
    assert taught.to_dict() == {"LiF": 13.6, "Si2Ge2": 0.75}


def test_only_the_polymorph_of_lowest_energy_gets_one() -> None:
    twice = pd.concat([table(), table().assign(energy_per_atom=table()["energy_per_atom"] + 1)], ignore_index=True)
    found = pseudo_labels.pseudo_labels(twice, *listed())
    np.testing.assert_array_equal(found[: len(table())], labels())
    assert np.isnan(found[len(table()) :]).all()


def test_a_list_with_few_gaps_teaches_nothing() -> None:
    formulas, gaps = (part.iloc[: pseudo_labels.FEWEST - 1] for part in listed())
    assert np.isnan(pseudo_labels.pseudo_labels(table(), formulas, gaps)).all()


def test_what_is_left_out_does_not_teach_and_later_lists_count() -> None:
    formulas, gaps = listed()

    def source(values: pd.Series) -> Source:
        rows = pd.DataFrame({"material_id": "row-0", "formula": formulas, "band_gap": values})
        return Source("file", "list.csv", rows, "", [])

    arsenides = formulas.str.contains("As")
    assert arsenides.sum() > 10
    filters = Filters(leave_out=("As",))
    one, other = (
        pseudo_labels.with_pseudo_labels(table(), [source(gaps.where(~arsenides, wrong))], filters)[levels.PSEUDO_LABEL]
        for wrong in (3.0, 9.0)
    )
    assert one.equals(other) and one.notna().any()
    both = pseudo_labels.with_pseudo_labels(table(), [source(gaps * 0), source(gaps)], Filters())
    np.testing.assert_array_equal(both[levels.PSEUDO_LABEL], labels())


def test_a_table_without_pbe_gaps_is_refused() -> None:
    rows = pd.DataFrame({"material_id": "row-0", "formula": ["Si"], "band_gap": [1.1]})
    without = table().rename(columns={"band_gap": "gap"})
    with pytest.raises(InputError, match="to get pseudo-labels: no column band_gap"):
        pseudo_labels.with_pseudo_labels(without, [Source("file", "list.csv", rows, "", [])], Filters())
