"""Figures of the structure model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bandgaps.plotting import BLUE, RED, WIDE, figure


def learning_curve(path: Path | str, history: pd.DataFrame) -> None:
    """Error on training and validation rows after each epoch.

    Args:
        path: the PDF.
        history: columns `epoch`, `member`, `train_mae` and `validation_mae` (eV).
    """
    with figure(path, WIDE, history) as axes:
        for member, rows in history.groupby("member"):
            first = bool(member == history["member"].min())
            axes.plot(rows["epoch"], rows["train_mae"], color=BLUE, alpha=0.7, label="training" if first else None)
            label = "validation" if first else None
            axes.plot(rows["epoch"], rows["validation_mae"], color=RED, alpha=0.7, label=label)
        axes.set(xlabel="epoch", ylabel="mean absolute error (eV)", ylim=(0, None))
        axes.set_title(f"MEGNet, {history['member'].nunique()} member(s)")
        axes.legend(loc="upper right")
