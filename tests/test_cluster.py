"""Work on a Dask cluster: here threads of this process, reached by TCP, so that all is sent as to other machines."""

from __future__ import annotations

from collections.abc import Iterator

import dask
import pytest
from distributed import LocalCluster

from bandgaps import cluster
from bandgaps.errors import InputError, RunError


@pytest.fixture(scope="module")
def scheduler() -> Iterator[LocalCluster]:
    own = LocalCluster(n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=":0")
    with own as found:
        yield found


def times(model: int, chunk: list[int]) -> list[int]:
    if 13 in chunk:
        raise InputError("13: no number")
    return [model * each for each in chunk]


def missing(model: int, chunk: list[int]) -> None:
    import bandgaps.nowhere  # noqa: F401


def test_answers_come_in_order_and_few_chunks_are_under_way(scheduler: LocalCluster) -> None:
    taken = 0

    def chunks() -> Iterator[list[int]]:
        nonlocal taken
        for number in range(20, 60):
            taken += 1
            yield [number, number + 100]

    with cluster.connected(scheduler.scheduler_address) as client:
        found = cluster.in_order(times, 3, chunks(), client)
        assert next(found) == [60, 360]
        assert taken <= cluster.AHEAD * 2 + 1
        assert list(found) == [[3 * number, 3 * (number + 100)] for number in range(21, 60)]
    assert list(cluster.in_order(times, 3, [[1], [2]])) == [[3], [6]]


def test_what_is_wrong_with_an_input_is_said_as_without_a_cluster(scheduler: LocalCluster) -> None:
    with cluster.connected(scheduler.scheduler_address) as client:
        with pytest.raises(InputError, match="13: no number"):
            list(cluster.in_order(times, 3, [[1], [13]], client))
        with pytest.raises(RunError, match=r"do not find the project .*nowhere.*start them in its folder"):
            list(cluster.in_order(missing, 3, [[1]], client))


def test_a_cluster_that_is_lost_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    soon = dask.config.set({"distributed.comm.timeouts.connect": "0.5s"})
    own = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=":0")
    with soon, pytest.raises(RunError, match="was lost"), cluster.connected(own.scheduler_address) as client:
        found = cluster.in_order(times, 3, ([number] for number in range(20, 99)), client)
        next(found)
        own.close()
        list(found)


def test_a_cluster_without_workers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with (
        LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=":0") as own,
        pytest.raises(RunError, match="has no workers; start some"),
        cluster.connected(own.scheduler_address),
    ):
        pass
