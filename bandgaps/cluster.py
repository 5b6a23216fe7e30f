"""Work on a Dask cluster that is there already, or without one in this process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import joblib

from bandgaps.errors import InputError, RunError, shortened

if TYPE_CHECKING:
    from distributed import Client

Model = TypeVar("Model")
Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")
PATIENCE = 10.0  # s, for a scheduler, and for its first worker
AHEAD = 2  # chunks under way for each core of the cluster, so that none waits for work
_one_at_a_time = threading.Lock()  # models use all cores that a worker's process may use by themselves


@contextmanager
def connected(address: str | None) -> Iterator[Client | None]:
    """Within it, joblib works on a Dask cluster; without address, here.

    Yields:
        The connection, None without address.

    Raises:
        InputError: the package `distributed` is not installed.
        RunError: there is no scheduler at the address, or it has no workers.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise InputError("the package distributed is not installed; pip install distributed") from None
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        why = f"no Dask scheduler answers at {shortened(address)} ({shortened(error)})"
        raise RunError(f"{why}; start one, or correct the address") from None
    with client, joblib.parallel_config(backend="dask", n_jobs=-1):
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise RunError(f"the Dask scheduler at {shortened(address)} has no workers; start some") from None
        yield client


def in_order(
    function: Callable[[Model, Chunk], Answer], model: Model, chunks: Iterable[Chunk], client: Client | None = None
) -> Iterator[Answer]:
    """The answers of `function(model, chunk)`, in the order of the chunks, of which few are in memory at a time.

    Args:
        function: of a module, which the cluster's workers import.
        model: sent to each worker once.
        chunks: of the inputs.
        client: of the cluster; None works here.

    Raises:
        RunError: the cluster is lost, or its workers cannot import the project.
    """
    if client is None:
        yield from (function(model, chunk) for chunk in chunks)
        return
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        shared = client.scatter(model, broadcast=True, hash=False)
        waiting: deque[Any] = deque()
        for chunk in chunks:
            waiting.append(client.submit(_alone, function, shared, chunk, pure=False))
            if len(waiting) >= AHEAD * max(1, sum(client.ncores().values())):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except ImportError as error:
        raise RunError(
            f"the Dask cluster's workers do not find the project ({error}); start them in its folder"
        ) from None
    except (KilledWorker, CancelledError, OSError, TimeoutError) as error:
        why = f"the Dask cluster was lost ({shortened(error)})"
        raise RunError(f"{why}; start it and this command again, which goes on with a CSV") from None


def _alone(function: Callable[[Model, Chunk], Answer], model: Model, chunk: Chunk) -> Answer:
    """The answer, while no other thread of this process is at work."""
    with _one_at_a_time:
        return function(model, chunk)
