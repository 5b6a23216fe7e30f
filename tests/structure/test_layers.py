"""What each part of the room loads, and how many threads it starts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers import ROOT

from bandgaps.structure import threads


def printed(code: str) -> str:
    """What a new process prints, whose memory is set up as Dask sets up that of its workers."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_TRIM_THRESHOLD_": "65536"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


BOUND = "import os\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
THREADS = (
    "from bandgaps.structure.backend import tf\n"
    "threading = tf.config.threading\n"
    "print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())"
)
ARRAY, PAGE = 2_000_000, 4096  # bytes
FAULTS = (
    "import numpy as np, resource\n"
    "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
    f"arrays = [faults() for _ in range(11) if np.ones({ARRAY}, np.int8).any()]\n"
    "print(arrays[-1] - arrays[0])"
)


def loading(modules: list[str], wanted: list[str]) -> str:
    """Code that loads modules of the room and prints which of the wanted modules are loaded then."""
    names = [f"bandgaps.structure.{name}" for name in modules]
    return f"import sys, {', '.join(names)}\nprint(*(n for n in {wanted!r} if n in sys.modules))"


def test_data_and_statistics_need_no_tensorflow() -> None:
    modules = ["training_set", "calibration", "neighbors", "graph_cache", "tables"]
    assert printed(loading(modules, ["tensorflow", "keras", "numpy"])) == "numpy"


OWN = ["bandgaps.structure.network", "bandgaps.structure.ensemble"]
LOOP = [f"bandgaps.structure.{name}" for name in ("trainer", "training", "checkpoints", "fitting")]


@pytest.fixture(scope="module")
def tensorflow() -> list[str]:
    """What a process on one core prints that loads the network, then scores and predictions."""
    network = loading(["network"], ["bandgaps.files", "bandgaps.model_folders", "tensorflow"])
    scores = loading(["evaluation", "scoring", "prediction", "model_files"], [*LOOP, *OWN])
    return printed("\n".join([BOUND, network, scores, THREADS, FAULTS])).splitlines()


def test_the_network_knows_no_files(tensorflow: list[str]) -> None:
    assert tensorflow[0] == "tensorflow"


def test_scores_and_predictions_do_not_load_the_training_loop(tensorflow: list[str]) -> None:
    assert tensorflow[1].split() == OWN


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr("bandgaps.processors._quota", lambda: float("inf"))
    monkeypatch.setattr(threads, "_processes", 1)  # and afterwards what it was


def test_processes_share_the_cores(four_cores: None) -> None:
    found = []
    for processes in (1, 2, 3, 5):
        threads.share(processes)
        found.append(threads.count())
    assert found == [4, 2, 1, 1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that can bind processes to cores")
def test_tensorflow_starts_no_more_threads_than_it_has_cores(tensorflow: list[str]) -> None:
    assert tensorflow[2] == "1 1"


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_memory_that_is_used_again_costs_no_page_faults(tensorflow: list[str]) -> None:
    assert int(tensorflow[3]) < ARRAY / PAGE  # ten arrays, one after the other
