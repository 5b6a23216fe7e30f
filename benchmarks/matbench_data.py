"""The two gap tasks of matbench (Dunn et al., npj Comput. Mater. 6, 138): formulas, gaps, folds, and the PBE teacher.

matbench_expt_gap has measured gaps of compositions, matbench_mp_gap PBE gaps of crystals, of which only the
compositions are taken here, so that polymorphs become repeats.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from bandgaps.composition import gap_model, measured
from bandgaps.composition.measured import Gaps
from bandgaps.errors import InputError
from bandgaps.intervals import Distribution

EXPT, MP = "expt_gap", "mp_gap"
FILES = {EXPT: "expt-gap.csv", MP: "matbench-mp-gap.csv"}
FOLDS_FILE = "matbench-folds.json.gz"
FOLDS, FOLD_SEED = 5, 18012019  # matbench's own, as its paper tells
SEED = 0  # of all forests

Fold = tuple[np.ndarray, np.ndarray]  # numbers of training and of test rows


@dataclass(frozen=True)
class Tasks:
    """What the benchmark works on.

    Attributes:
        expt: measured gaps.
        mp: PBE gaps, a row a crystal.
        folds: of each of the two, by name.
        jobs: cores.
    """

    expt: Gaps
    mp: Gaps
    folds: dict[str, list[Fold]]
    jobs: int

    @classmethod
    def read(cls, folder: Path | None, jobs: int) -> Tasks:
        """From a folder of `FILES`, or without one through matminer's loader, which downloads them once.

        Raises:
            InputError: a file is missing or cannot be read, or its folds are not those of matbench's seed.
        """
        tables = {name: _from_matminer(name) if folder is None else _from_csv(folder / FILES[name]) for name in FILES}
        gaps = {
            name: Gaps.of(table.iloc[:, 0].tolist(), table.iloc[:, 1].to_numpy(float)) for name, table in tables.items()
        }
        folds = {name: official_folds(len(table)) for name, table in tables.items()}
        if folder is not None and (folder / FOLDS_FILE).exists():
            check_folds(folder / FOLDS_FILE, folds)
        return cls(gaps[EXPT], gaps[MP], folds, jobs)

    @property
    def calculated(self) -> np.ndarray:
        """Which measured compositions have a PBE gap in mp_gap, shape (rows,)."""
        return np.isin(self.expt.hashes, self.mp.hashes)

    @cached_property
    def guessed(self) -> np.ndarray:
        """What teachers that do not know them say of the measured compositions, shape (rows, 4).

        They depend on which compositions were measured, which is known of test rows too, and not on what was measured.
        So all folds share them.
        """
        return measured.answers_without(self.mp, self.expt, SEED, self.jobs)

    @cached_property
    def told(self) -> np.ndarray:
        """What the teacher that knows all PBE gaps says of the measured compositions, shape (rows, 4)."""
        return answers_of(self.mp, self.expt, self.jobs)


def answers_of(calculated: Gaps, asked: Gaps, jobs: int) -> np.ndarray:
    """What a teacher of these PBE gaps says of other formulas, shape (rows, 4)."""
    teacher = measured.new_teacher(SEED, jobs).fit(calculated.X, calculated.y)
    return gap_model.answers(Distribution(*teacher.distribution(asked.X)))


def official_folds(rows: int) -> list[Fold]:
    """Matbench's folds of a regression task with so many rows."""
    return list(KFold(FOLDS, shuffle=True, random_state=FOLD_SEED).split(np.empty(rows)))


def check_folds(path: Path, folds: dict[str, list[Fold]]) -> None:
    """Compare folds with those of a file as matbench publishes it: task, fold, train or test, ids that count from 1.

    Raises:
        InputError: they differ.
    """
    stored = json.loads(gzip.decompress(path.read_bytes()))
    for name, own in folds.items():
        for number, parts in enumerate(own):
            told = stored[f"matbench_{name}"][f"fold_{number}"]
            for part, rows in zip(("train", "test"), parts, strict=True):
                if sorted(int(row.rsplit("-", 1)[1]) - 1 for row in told[part]) != rows.tolist():
                    raise InputError(f"{path}: fold {number} of {name} is another than that of the table's rows")


def _from_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _from_matminer(name: str) -> pd.DataFrame:
    from matminer.datasets import load_dataset

    table = load_dataset(f"matbench_{name}")
    if "structure" in table:
        formulas = [crystal.composition.formula.replace(" ", "") for crystal in table["structure"]]
        return pd.DataFrame({"formula": formulas, "gap": table["gap pbe"]})
    return table[["composition", "gap expt"]]
