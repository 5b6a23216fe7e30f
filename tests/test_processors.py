from __future__ import annotations

import os
from pathlib import Path

import pytest

from bandgaps import processors


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("", 64)]
)
def test_a_containers_quota_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(processors, "QUOTA_V1", tmp_path / "none")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert processors.cores() == cores


def test_the_older_kind_of_quota_counts_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"quota": "300000", "period": "100000"}.items():
        (tmp_path / name).write_text(value)
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "none")
    monkeypatch.setattr(processors, "QUOTA_V1", tmp_path / "quota")
    monkeypatch.setattr(processors, "PERIOD_V1", tmp_path / "period")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert processors.cores() == 3


def test_never_more_than_the_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5}, raising=False)
    assert processors.cores() == 1
