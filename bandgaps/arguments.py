"""Types of command-line arguments. It imports nothing heavy, so that --help is quick."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bandgaps.errors import InputError, RunError

LARGEST_SEED = 2**32 - 1  # what numpy's and scikit-learn's generators take
MOST = 1_000_000  # of whatever is counted
MOST_CORES = 1024


class Parser(argparse.ArgumentParser):
    """A parser of a command line, which the docstring of its script or module describes."""

    def __init__(self, description: str | None, prog: str | None = None) -> None:
        super().__init__(prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def parse_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        """As argparse, but a value of two dashes, which argparse takes for no value at all, is bad usage."""
        given = sys.argv[1:] if args is None else list(args)
        for each in given:
            if each.startswith("--") and each.endswith("=--"):
                self.error(f"argument {each.removesuffix('=--')[:80]}: '--' is no value; give another")
        return super().parse_args(given, namespace)


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20 else None
        if value is None or value < least or (most is not None and value > most):
            limits = f"of {least} or more" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a whole number {limits}")
        return value

    return read


def number(above: float, below: float = math.inf, unit: str = "") -> Callable[[str], float]:
    """A reader of numbers above and below these limits, in this unit."""

    def read(text: str) -> float:
        value = _float(text)
        if not above < value < below:
            limits = f"above {above:g}" + (f" and below {below:g}" if math.isfinite(below) else "")
            raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a number {limits} {unit}".rstrip())
        return value

    return read


def at_least(least: float, unit: str = "") -> Callable[[str], float]:
    """A reader of finite numbers that are not below this limit, in this unit."""

    def read(text: str) -> float:
        value = _float(text)
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a number of {least:g} {unit} or more")
        return value

    return read


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


seed = whole_number(0, LARGEST_SEED)
count = whole_number(1, MOST)


def cores(text: str) -> int:
    """Number of processor cores, or -1 for all."""
    return -1 if text == "-1" else whole_number(1, MOST_CORES)(text)


def check_outputs(
    given: argparse.Namespace, files: Sequence[str] = (), folders: Sequence[str] = (), models: Sequence[str] = ()
) -> None:
    """Check where results will go, before any work is done for them.

    Args:
        given: the command line.
        files: names of the flags that name a file to write; those that were not given are passed over.
        folders: likewise, folders to write files to.
        models: likewise, model folders, which are replaced as a whole.

    Raises:
        InputError: a file or a folder cannot be written there; the message begins with the flag.
    """
    from bandgaps import outputs

    kinds = ((files, outputs.check_file), (folders, outputs.check_folder), (models, outputs.check_model_folder))
    for names, check in kinds:
        for name in names:
            if getattr(given, name) is not None:
                with naming(f"--{name.replace('_', '-')}"):
                    check(getattr(given, name))


@contextmanager
def naming(flag: str) -> Iterator[None]:
    """Within it, what the library finds wrong with the value of a flag is said of that flag.

    Raises:
        InputError: one was raised within; so with RunError.
    """
    try:
        yield
    except (InputError, RunError) as error:
        raise type(error)(f"{flag}: {error}") from None
