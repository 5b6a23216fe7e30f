"""What others reached on matbench's gap tasks, and the tables with our rows among theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.matbench_data import EXPT, FOLDS, MP

DATE = "January 2024"  # of the leaderboard: materialsproject/matbench, docs_src
TEXTS, CRYSTALS = "elements as texts have them", "crystal structures"
LEADERBOARD = {
    EXPT: [
        ("Darwin, a language model", 0.2865, "scientific texts"),
        ("CrabNet, tuned (Ax/SAASBO)", 0.3310, TEXTS),
        ("MODNet 0.1.12", 0.3327, ""),
        ("CrabNet", 0.3463, TEXTS),
        ("RF-SCM/Magpie", 0.4461, "nothing"),
    ],
    MP: [
        ("coGN", 0.1559, CRYSTALS),
        ("MODNet 0.1.12", 0.2199, CRYSTALS),
        ("Finder 1.2, composition only", 0.2308, ""),
        ("CrabNet", 0.2655, TEXTS),
        ("RF-SCM/Magpie", 0.3452, CRYSTALS),
    ],
}
"""Models, their mean absolute errors over the same folds (eV), and what they take beside compositions and gaps."""


def table(results: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Our variants that every fold has scored and the leaderboard's rows, the best first.

    Returns:
        What, MAE (eV), data beyond the fold ("" where it is not known to us) and whether it is ours.
    """
    own = [
        {"what": each["what"], "mae": each["mean"]["all"]["mae"], "beyond": each["beyond"], "ours": True}
        for each in results[part].values()
        if len(each["folds"]) == FOLDS
    ]
    others = [{"what": what, "mae": mae, "beyond": beyond, "ours": False} for what, mae, beyond in LEADERBOARD[part]]
    return sorted(own + others, key=lambda row: row["mae"])


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table to print."""
    lines = ["| model | MAE (eV) | data beyond the fold |", "|---|---:|---|"]
    for row in rows:
        what = f"**{row['what']}**" if row["ours"] else f"{row['what']}, leaderboard of {DATE}"
        lines.append(f"| {what} | {row['mae']:.3f} | {row['beyond']} |")
    return "\n".join(lines)
