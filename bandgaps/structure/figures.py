"""Figures of the structure model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bandgaps.plotting import PREDICTED, SECOND, WIDE, figure


def learning_curve(path: Path | str, history: Sequence[Mapping[str, float]]) -> None:
    """Error on training and validation rows after each epoch.

    Args:
        path: the PDF.
        history: one entry an epoch of each member: `member`, `epoch`, `loss`, `train_mae` and `validation_mae` (eV).
    """
    table = pd.DataFrame(list(history)).astype({"member": int, "epoch": int})
    with figure(path, WIDE, table) as axes:
        for _, rows in table.groupby("member"):
            axes.plot(rows["epoch"], rows["train_mae"], ":", color=SECOND, lw=1, label="training rows")
            axes.plot(rows["epoch"], rows["validation_mae"], color=PREDICTED, lw=1, label="validation rows")
        axes.set(xlabel="epoch", ylabel="mean absolute error (eV)", ylim=(0, None))
        count = table["member"].nunique()
        members = "one network" if count == 1 else f"{count} networks, one line each"
        axes.set_title(f"Does training still lower the error?\nMEGNet, {members}")
