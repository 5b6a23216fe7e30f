"""What others reached on matbench's gap tasks, and the tables with our rows among theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.matbench_data import EXPT, MP

DATE = "January 2024"  # of the leaderboard: materialsproject/matbench, docs_src
LEADERBOARD = {
    EXPT: {
        "Darwin (fine-tuned language model)": 0.2865,
        "CrabNet, tuned (Ax/SAASBO)": 0.3310,
        "MODNet 0.1.12": 0.3327,
        "CrabNet": 0.3463,
        "RF-SCM/Magpie": 0.4461,
    },
    MP: {
        "coGN (crystals)": 0.1559,
        "MODNet 0.1.12 (crystals)": 0.2199,
        "Finder 1.2, compositions": 0.2308,
        "CrabNet": 0.2655,
        "RF-SCM/Magpie (crystals)": 0.3452,
    },
}
"""Mean absolute errors over the same folds (eV)."""


def table(results: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Our variants and the leaderboard's rows, the best first: what, MAE (eV), data beyond the fold, whether ours."""
    own = [
        {"what": each["what"], "mae": each["mean"]["all"]["mae"], "beyond": each["beyond"], "ours": True}
        for each in results[part].values()
    ]
    others = [{"what": name, "mae": mae, "beyond": "", "ours": False} for name, mae in LEADERBOARD[part].items()]
    return sorted(own + others, key=lambda row: row["mae"])


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table to print."""
    lines = ["| model | MAE (eV) | data beyond the fold |", "|---|---:|---|"]
    for row in rows:
        what = f"**{row['what']}**" if row["ours"] else f"{row['what']}, leaderboard of {DATE}"
        lines.append(f"| {what} | {row['mae']:.3f} | {row['beyond']} |")
    return "\n".join(lines)
