"""Fixtures of all tests, and how many examples hypothesis tries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import Result, Script, run_script
from hypothesis import settings

from bandgaps.structure import threads

threads.share(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
settings.register_profile("project", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("project")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Run one of the five scripts in this test's own folder."""

    def run(name: str, *arguments: object, **environment: str) -> Result:
        return run_script(name, *arguments, cwd=tmp_path, **environment)

    return run
