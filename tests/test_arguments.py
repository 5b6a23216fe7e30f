from __future__ import annotations

import argparse
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandgaps import arguments

WRONG = ["", " ", "x", "1.5", "1e3", "-1", "0x10", "٣", "1" * 400, "nan"]


@given(st.integers(0, 2**32 - 1))
def test_seeds_are_what_generators_take(value: int) -> None:
    assert arguments.seed(str(value)) == value


@pytest.mark.parametrize("text", [*WRONG, str(2**32)])
def test_what_is_no_seed_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a whole number from 0 to 4294967295") as caught:
        arguments.seed(text)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("text", [*WRONG, "0"])
def test_a_count_is_one_or_more(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="from 1 to 1000000"):
        arguments.count(text)
    assert arguments.count("7") == 7


@pytest.mark.parametrize("text", ["0", "-2", "all", "1025", "1" + "0" * 20])
def test_cores_are_some_or_all(text: str) -> None:
    assert arguments.cores("-1") == -1
    assert arguments.cores("3") == 3
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.cores(text)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_numbers_keep_within_their_limits(value: float) -> None:
    read = arguments.number(0, 100, "Å")
    if 0 < value < 100:
        assert read(repr(value)) == value
    else:
        with pytest.raises(argparse.ArgumentTypeError, match="not a number above 0 and below 100 Å"):
            read(repr(value))
    assert math.isclose(arguments.number(-1)("0.5"), 0.5)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_numbers_from_a_limit_on_keep_to_it(value: float) -> None:
    read = arguments.at_least(0, "eV/atom")
    if 0 <= value < math.inf:
        assert read(repr(value)) == value
    else:
        with pytest.raises(argparse.ArgumentTypeError, match="not a number of 0 eV/atom or more"):
            read(repr(value))


@pytest.mark.parametrize("text", ["", "x", "0x1", "1 eV"])
def test_what_is_no_number_is_refused(text: str) -> None:
    for read in (arguments.number(0, unit="Å"), arguments.at_least(0, "Å")):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a number"):
            read(text)
