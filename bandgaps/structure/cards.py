"""What the card of a structure model and its arrays must have, so that a folder from anybody is safe to load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from bandgaps import model_folders
from bandgaps.array_files import Wanted
from bandgaps.schemas import Schema
from bandgaps.structure import measured
from bandgaps.structure.network import Hyperparameters

Size = Annotated[int, Field(gt=0, le=10_000)]
Few = Annotated[int, Field(gt=0, le=20)]
Length = Annotated[float, Field(gt=0, lt=100)]  # Å
Bounded = Annotated[float, Field(ge=-1e6, le=1e6)]
Positive = Annotated[float, Field(gt=0, le=1e6)]


class Architecture(Schema):
    """`Hyperparameters` as JSON has them."""

    cutoff: Length
    gaussians: Size
    last_center: Length
    width: Length
    blocks: Few
    units: Annotated[list[Size], Field(min_length=3, max_length=3)]
    set2set_steps: Few
    elements: Size
    embedding: Size
    fidelities: list[str] = Field(default_factory=list)
    probability: bool = False
    properties: Few = 1
    envelope: bool = False
    electrons: bool = False


class CalibrationCard(Schema):
    """A `Calibration` as JSON has it."""

    floor: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    scale: Positive = 1.0
    wide: Positive = 1.96
    compositions: int = 0
    rows: str = ""


class MixedCard(Schema):
    """An `AlloyUncertainty` as JSON has it."""

    bowing: Annotated[float, Field(ge=0, le=1e6)]
    calibration: CalibrationCard


class TrainedOn(Schema):
    """What a model was trained on."""

    rows: int | None = None
    means: dict[str, float] = Field(default_factory=dict)


class Card(model_folders.Card):
    """What the card of a structure model has."""

    hyperparameters: Architecture
    mean: Bounded
    std: Positive
    lowest: Bounded | None = None
    calibrations: dict[str, CalibrationCard] = Field(default_factory=dict)
    mixed: MixedCard | None = None
    trained_on: TrainedOn = Field(default_factory=TrainedOn)


def hyperparameters(content: Mapping[str, Any]) -> Hyperparameters:
    """The architecture that a card names; JSON has lists for tuples.

    Raises:
        TypeError: it has a hyperparameter that there is not.
    """
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content["hyperparameters"].items()
    }
    return Hyperparameters(**given)


def wanted(content: Mapping[str, Any], member: str) -> dict[str, Wanted]:
    """Which arrays a file of a model has: weights of the architecture, formulas, or what is known on top."""
    if member == "training":
        return {"formula": Wanted("SU", (None,))}
    try:
        settings = hyperparameters(content)
    except TypeError:
        return {}  # the card is refused when it is used
    if member == "measured":
        columns = {"gaps": Wanted("f", (None,)), "uncertainty": Wanted("f", (None,))}
        inputs = Wanted("f", (None, measured.width(max(len(settings.fidelities), 1))))
        return {"inputs": inputs, **columns, "composition": Wanted("SU", (None,))}
    return {name: Wanted("f", shape) for name, shape in settings.weight_shapes().items()}
