"""Workers on this machine: a process a core, or a process a GPU."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

# Dask has workers give freed memory back to the system at once, and glibc maps every large array anew, page by page:
# on tiles of floats that took longer than the estimates. Kept for the next tile instead, up to 1 GiB a worker: of
# less, what a block of the network frees is given back at times, and a tenth of its time goes to mapping it anew.
# One arena for all threads: what a reader's thread frees an estimate can use. With one each, as glibc has it, what a
# worker holds depends on which thread asked for what and when: a sixth more at times.
WORKER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}


@contextlib.contextmanager
def local_cluster(workers: int | None, device: str) -> Iterator[Any]:
    """A cluster of processes of one thread each, closed with the block.

    Parameters
    ----------
    workers
        How many; None for one a core, or one a GPU.
    device
        Where tasks compute: "cpu", "cuda", or "auto" for GPUs where there are some. GPUs get workers of their own only
        where the package dask-cuda is installed.
    """
    import dask
    from distributed import LocalCluster

    key = "distributed.nanny.pre-spawn-environ"
    common: dict[str, Any] = {
        "threads_per_worker": 1,
        # where Bokeh is installed Dask would serve its dashboard, to every machine that reaches this one
        "dashboard_address": "127.0.0.1:0",
        "scheduler_kwargs": {"dashboard": False},
        "silence_logs": logging.CRITICAL,
    }
    gpus = 0 if device == "cpu" else count_gpus()
    on_gpus = _cuda_cluster() if gpus else None
    with dask.config.set({key: {**dask.config.get(key), **WORKER_ENVIRONMENT}}):
        if on_gpus is not None:
            with on_gpus(n_workers=min(workers or gpus, gpus), **common) as cluster:  # each sees a GPU of its own
                yield cluster
        else:
            count = workers if workers is not None else available_cores()
            with LocalCluster(n_workers=count, processes=True, **common) as cluster:
                yield cluster


def count_gpus() -> int:
    """GPUs that PyTorch can compute on."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _cuda_cluster() -> Any:
    """dask-cuda's cluster, None where the package is missing."""
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError:
        return None
    return LocalCUDACluster


def room_here(device: str = "cpu") -> int:
    """Bytes of memory for each worker that this machine has by itself: one a core, or one a GPU.

    Of the machine's memory within what its control group allows, and where tasks compute on GPUs no more than what is
    free there. Without dask-cuda the workers, still one a core, share the first GPU.
    """
    from distributed.system import memory_limit

    gpus = 0 if device == "cpu" else count_gpus()
    if gpus and _cuda_cluster() is not None:
        return min(int(memory_limit()) // gpus, *(free_on_gpu(number) or 0 for number in range(gpus)))
    room = int(memory_limit())
    if gpus:
        room = min(room, free_on_gpu() or 0)
    return room // available_cores()


def room_of(client: Any, device: str = "cpu") -> int:
    """Bytes of memory of the worker that has the least, or free on its GPU; 0 where one doesn't say, or there is none.

    Workers elsewhere have a GPU each, as dask-cuda's have, or none.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    on_gpus = [] if device == "cpu" else client.run(free_on_gpu).values()
    rooms = [int(worker["memory_limit"] or 0) for worker in workers]
    return min([*rooms, *(free for free in on_gpus if free is not None)], default=0)


def free_on_gpu(number: int = 0) -> int | None:
    """Bytes of memory that are free on a GPU, None where there is none."""
    import torch

    return int(torch.cuda.mem_get_info(number)[0]) if number < count_gpus() else None


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
