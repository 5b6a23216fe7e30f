"""Fixtures of all tests, and how many examples hypothesis tries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import Result, Script, run_script
from hypothesis import settings

from bandgaps.structure import threads

# In a fresh clone the first file compiles the loops over atoms, which takes 10 s. Meanwhile the other process works on
# the others of these, which need no such loops; afterwards it finds them compiled.
FIRST = ["test_graphs.py", "test_composition.py", "test_composition_evaluation.py", "test_explore_composition.py"]

threads.share(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
settings.register_profile("project", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the files in order: those of `FIRST`, then by folder, and in the folders by name."""
    order = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Run one of the five scripts in this test's own folder."""

    def run(name: str, *arguments: object, **environment: str) -> Result:
        return run_script(name, *arguments, cwd=tmp_path, **environment)

    return run
