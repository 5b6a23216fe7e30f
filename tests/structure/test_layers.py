"""What each part of the room loads, and how many threads it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from helpers import ROOT

from bandgaps.structure import threads


def printed(code: str) -> str:
    """What a new process prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def loaded(modules: list[str], wanted: list[str]) -> list[str]:
    """Which of the wanted modules are loaded once these modules of the room are."""
    names = [f"bandgaps.structure.{name}" for name in modules]
    return printed(f"import sys, {', '.join(names)}\nprint(*(n for n in {wanted!r} if n in sys.modules))").split()


def test_data_and_statistics_need_no_tensorflow() -> None:
    modules = ["training_set", "calibration", "neighbors", "graph_cache", "tables"]
    assert loaded(modules, ["tensorflow", "keras", "numpy"]) == ["numpy"]


def test_scores_and_predictions_do_not_load_the_training_loop() -> None:
    loop = [f"bandgaps.structure.{name}" for name in ("trainer", "training", "checkpoints", "fitting")]
    own = ["bandgaps.structure.network", "bandgaps.structure.ensemble"]
    assert loaded(["evaluation", "scoring", "prediction", "model_files"], [*loop, *own]) == own


def test_the_network_knows_no_files() -> None:
    assert loaded(["network"], ["bandgaps.files", "bandgaps.model_folders", "tensorflow"]) == ["tensorflow"]


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr("bandgaps.processors._quota", lambda: float("inf"))
    yield
    threads.share(1)


def test_processes_share_the_cores(four_cores: None) -> None:
    found = []
    for processes in (1, 2, 3, 5):
        threads.share(processes)
        found.append(threads.count())
    assert found == [4, 2, 1, 1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that can bind processes to cores")
def test_tensorflow_starts_no_more_threads_than_it_has_cores() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from bandgaps.structure.backend import tf\n"
        "threading = tf.config.threading\n"
        "print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())"
    )
    assert printed(code) == "1 1"
