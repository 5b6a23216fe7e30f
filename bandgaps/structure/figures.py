"""Figures of the structure model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bandgaps.plotting import BLUE, RED, WIDE, figure


def learning_curve(path: Path | str, history: Sequence[Mapping[str, float]]) -> None:
    """Error on training and validation rows after each epoch.

    Args:
        path: the PDF.
        history: one entry an epoch of each member: `member`, `epoch`, `loss`, `train_mae` and `validation_mae` (eV).
    """
    table = pd.DataFrame(list(history)).astype({"member": int, "epoch": int})
    with figure(path, WIDE, table) as axes:
        for member, rows in table.groupby("member"):
            first = bool(member == table["member"].min())
            axes.plot(rows["epoch"], rows["train_mae"], color=BLUE, alpha=0.7, label="training" if first else None)
            label = "validation" if first else None
            axes.plot(rows["epoch"], rows["validation_mae"], color=RED, alpha=0.7, label=label)
        axes.set(xlabel="epoch", ylabel="mean absolute error (eV)", ylim=(0, None))
        axes.set_title(f"MEGNet, {table['member'].nunique()} member(s)")
        axes.legend(loc="upper right")
