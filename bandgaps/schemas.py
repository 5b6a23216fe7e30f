"""JSON files held to a schema, with errors that name file and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bandgaps.errors import InputError, quoted


class Schema(BaseModel):
    """What a JSON object must have; other entries stay as they are. Numbers are finite, nothing is converted."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


Kind = TypeVar("Kind", bound=Schema)


def checked(kind: type[Kind], content: Any, path: Path | str, advice: str) -> Kind:
    """What a JSON file holds, if it keeps to the schema.

    Args:
        kind: the schema.
        content: of the file.
        path: of the file, for errors.
        advice: what to do with a file that does not.

    Raises:
        InputError: it does not; the message names the first entry that is wrong.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its contents"
        message = f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}"
        found = "" if first["type"] == "missing" else f", found {quoted(first['input'])}"
        raise InputError(f"{message}{found}; {advice}") from None
