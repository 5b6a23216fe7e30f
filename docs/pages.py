"""Pages rendered from Jinja2 templates, in which {{ composition["non-metals"].mae | f2 }} stands for a number."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError

from bandgaps.errors import InputError
from bandgaps.files import read_json
from docs.options import scripts

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "docs/README.md.j2",
    "DISCUSSION.md": "docs/DISCUSSION.md.j2",
    "docs/options.md": "docs/options.md.j2",
    "docs/trials.md": "docs/trials.md.j2",
    "docs/speed.md": "docs/speed.md.j2",
    "data/models/README.md": "docs/models.md.j2",
    "data/orderings/README.md": "docs/orderings.md.j2",
}
"""Each page and its template. Templates whose name begins with _ are parts that others include."""

FILES = {
    "table": "data/metrics/table.json",
    "composition": "data/metrics/composition.json",
    "composition_experiment": "data/metrics/composition-experiment.json",
    "experiment_card": "data/models/composition-experiment/model.json",
    "pbe_card": "data/models/composition-pbe/model.json",
    "structure": "data/metrics/structure.json",
    "SiGe_composition": "data/metrics/SiGe-composition.json",
    "SiGe_structure": "data/metrics/SiGe-structure.json",
    "full_table": "data/metrics/full/table.json",
    "full_composition": "data/metrics/full/composition.json",
    "multifidelity_table": "data/metrics/multifidelity/table.json",
    "multifidelity_structure": "data/metrics/multifidelity/structure.json",
    "functionals": "data/metrics/multifidelity/functionals.json",
    "alloys": "data/metrics/alloys.json",
    "SiGe_structure_pbe": "data/metrics/multifidelity/SiGe-structure-pbe.json",
    "SiGe_structure_gllbsc": "data/metrics/multifidelity/SiGe-structure-gllbsc.json",
    "SiGe_structure_hse": "data/metrics/multifidelity/SiGe-structure-hse.json",
    "SiGe_structure_published": "data/metrics/published/SiGe-structure-Bandgap_MP_2018.json",
    "card": "data/models/megnet-multifidelity/model.json",
    "matbench": "data/metrics/matbench.json",
    "matbench_crystals": "data/metrics/matbench-crystals.json",
    "benchmarks": "benchmarks/results.json",
    "trials": "data/metrics/trials.json",
    "examples": "docs/examples.json",
    "scale": "benchmarks/scale.json",
    "torture": "benchmarks/torture.json",
}
"""What templates call each JSON file. Gaps and errors in them are in eV."""

FILTERS = {
    "f0": ".0f",
    "f2": ".2f",
    "f3": ".3f",
    "g3": ".3g",
    "g4": ",.4g",
    "whole": ",d",
    "percent": ".0%",
    "percent1": ".1%",
}
"""How templates print numbers; units stand in the prose."""


class Values:
    """An object or a list of a JSON file. An error names the file and the keys of what is not there."""

    def __init__(self, content: dict[str, Any] | list[Any], file: str, keys: str = "") -> None:
        self._content, self._file, self._keys = content, file, keys

    def __getitem__(self, key: str | int) -> Any:
        keys = f"{self._keys}[{key!r}]"
        try:
            found = self._content[key]  # type: ignore[index]
        except (LookupError, TypeError):
            found = None
        if found is None:
            raise InputError(f"{self._file}: nothing at {keys}; correct the keys, or write the file anew")
        return Values(found, self._file, keys) if isinstance(found, dict | list) else found

    def __iter__(self) -> Iterator[Any]:
        return (self[key] for key in range(len(self._content)))

    def __contains__(self, key: str | int) -> bool:
        return key in self._content

    def _no_value(self) -> NoReturn:
        raise InputError(f"{self._file}: {self._keys or 'the whole file'} is no single value; add keys")

    __str__ = __float__ = _no_value


def render(page: str) -> str:
    """A page as its template and the JSON files have it now.

    Args:
        page: one of `PAGES`.

    Returns:
        The page's Markdown. Its first line, invisible on the page, names the template.

    Raises:
        InputError: a JSON file is missing, the template is wrong, or it asks for a value that no file has.
    """
    template = PAGES[page]
    if missing := [file for file in FILES.values() if not (ROOT / file).exists()]:
        raise InputError(f"{', '.join(missing)}: no such file; the Makefile says what writes it")
    values = {name: Values(read_json(ROOT / file), file) for name, file in FILES.items()}
    values["scripts"] = Values(scripts(), "the scripts' options")
    text = fill((ROOT / template).read_text(encoding="utf-8"), values, template)
    return f"<!-- Rendered from {template} by `make docs`: edit the template. -->\n{text}"


def fill(text: str, values: dict[str, Values], name: str) -> str:
    """A template with values put in.

    Args:
        text: the template.
        values: what it calls by their names.
        name: of the template, for messages.

    Returns:
        The text with every expression replaced.

    Raises:
        InputError: the template is wrong or asks for a value that is not there; the message has the line.
    """
    environment = Environment(
        loader=FileSystemLoader(ROOT / "docs"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  Markdown, not HTML
    )
    environment.filters |= {filter_name: _printer(form) for filter_name, form in FILTERS.items()}
    environment.filters |= {"block": _block, "digits": lambda value, digits: format(value, f".{digits}f")}
    try:
        return environment.from_string(text).render(values)
    except TemplateSyntaxError as error:
        raise InputError(f"{name}, line {error.lineno}: {error.message}") from None
    except (InputError, TemplateError, TypeError, ValueError) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
        raise InputError(f"{name}, line {lines[-1]}: {error}") from None


def _block(text: str, start: str = "") -> str:
    """What a command printed, from the line that has `start` to the next empty one, as Markdown shows it verbatim."""
    lines = text.splitlines()
    if start:
        lines = [*lines[next(number for number, line in enumerate(lines) if start in line) :], ""]
        lines = ["...", *lines[: lines.index("")]]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def _printer(form: str) -> Callable[[Any], str]:
    """The filter that prints a number in the form of Python's format()."""

    def printed(value: Any) -> str:
        if not math.isfinite(value):
            raise InputError(f"{value} is no number to print")
        return format(value, form).replace("%", " %")

    return printed
