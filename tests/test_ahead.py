"""One step ahead of a GPU: what is begun and fetched in which order, and that nothing on the way waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.ahead import Maps, Queued, estimates, fetched
from models.coherence import stem
from models.coherence.learned import LearnedEstimator
from models.errors import ModelError
from models.estimator import FloatArray
from models.runtimes.transfers import CudaTransfers, HostTransfers
from tests.fakes import FloorEstimator
from tests.small_network import write_weights


class QueueingEstimator(FloorEstimator):
    """Says what it is asked, in its order."""

    queued = True

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def begin(
        self, reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = (), *, margin: int = 0
    ) -> Callable[[], Maps]:
        """Compute nothing before it is asked for."""
        name = int(reference[0, 0])
        self._log.append(f"begin {name}")

        def fetch() -> Maps:
            self._log.append(f"fetch {name}")
            return self.estimate(reference, secondary, context, margin=margin)

        return fetch


class HereEstimator(QueueingEstimator):
    """One that could begin, but gains nothing by it."""

    queued = False

    def estimate(
        self, reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = (), *, margin: int = 0
    ) -> Maps:
        """Say so."""
        self._log.append(f"estimate {int(reference[0, 0])}")
        return super().estimate(reference, secondary, context, margin=margin)


def read(log: list[str], count: int) -> Iterator[tuple[str, list[FloatArray]]]:
    for number in range(count):
        log.append(f"read {number}")
        yield f"pair {number}", [np.full((4, 4), number, np.float32)] * 2


def test_a_gpu_has_the_next_images_before_its_maps_are_fetched() -> None:
    log: list[str] = []
    found = list(estimates(QueueingEstimator(log), read(log, 3), margin=1))
    assert [key for key, _ in found] == ["pair 0", "pair 1", "pair 2"]
    assert {coherence.shape for _, (coherence, _) in found} == {(2, 2)}
    assert log == [
        *("read 0", "begin 0", "read 1", "begin 1", "fetch 0"),
        *("read 2", "begin 2", "fetch 1", "fetch 2"),
    ]


def test_a_cpu_takes_one_after_the_other() -> None:
    log: list[str] = []
    assert len(list(estimates(HereEstimator(log), read(log, 2), margin=0))) == 2
    assert log == ["read 0", "estimate 0", "read 1", "estimate 1"]


def test_an_estimator_that_knows_no_queue_will_do() -> None:
    assert not isinstance(FloorEstimator(), Queued)
    assert [key for key, _ in estimates(FloorEstimator(), read([], 2), margin=0)] == ["pair 0", "pair 1"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_nothing_is_lost_and_the_order_is_kept(*, late: bool, count: int) -> None:
    begun = ((number, lambda number=number: number**2) for number in range(count))
    assert list(fetched(begun, late=late)) == [(number, number**2) for number in range(count)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "small.safetensors")


def opened(weights: Path) -> LearnedEstimator:
    return LearnedEstimator("small", weights, spacing=10.0, device="cpu", runtime="torch")


def speckle(count: int, height: int, width: int) -> list[FloatArray]:
    rng = np.random.default_rng(3)
    return [rng.gamma(4.0, 0.05 / 4.0, (height, width)).astype(np.float32) for _ in range(count)]


class SlowTransfers(HostTransfers):
    """To a CPU as if it were far: tells when maps start on their way back, and when they are waited for."""

    queued = True

    def __init__(self) -> None:
        self.log: list[str] = []

    def fetch(self, maps: torch.Tensor) -> Callable[[], FloatArray]:
        """Both in the log."""
        arrived = super().fetch(maps)
        self.log.append("queued")

        def wait() -> FloatArray:
            self.log.append("fetched")
            return arrived()

        return wait


def test_blocks_of_an_image_are_fetched_one_late(weights: Path) -> None:
    usual, ahead = opened(weights), opened(weights)
    for estimator in (usual, ahead):
        estimator._network.side = 64  # of the instance: blocks that a test can afford
    transfers = SlowTransfers()
    ahead._transfers, ahead.queued = transfers, True
    reference, secondary, *context = speckle(3, 16, 400)
    reference[:9, 180:] = np.nan
    finish = ahead.begin(reference, secondary, context)
    assert transfers.log == ["queued"], "the first block is on its way before anybody waits"
    found = finish()
    assert transfers.log == ["queued", *["queued", "fetched"] * 6, "fetched"]
    for one, two in zip(usual.estimate(reference, secondary, context), found, strict=True):
        np.testing.assert_array_equal(two, one)


@pytest.mark.parametrize("dates", [0, 1, 3])
@pytest.mark.parametrize("gaps", [False, True])
def test_what_is_done_unasked_on_a_gpu_gives_the_same(
    weights: Path, dates: int, monkeypatch: pytest.MonkeyPatch, *, gaps: bool
) -> None:
    reference, secondary, *context = speckle(2 + dates, 61, 64)
    if gaps:
        reference[:9, 20:] = np.nan
        for date in context:
            date[30:, :9] = 0.0
    usual = opened(weights).estimate(reference, secondary, context)
    monkeypatch.setattr(stem, "answers_at_once", lambda tensor: False)  # noqa: ARG005 - as on a GPU
    for one, two in zip(usual, opened(weights).estimate(reference, secondary, context), strict=True):
        np.testing.assert_allclose(two, one, rtol=0, atol=2e-6)


class FullTransfers(HostTransfers):
    """To a GPU that is full."""

    def send(self, image: FloatArray) -> torch.Tensor:  # noqa: ARG002 - no image fits
        """No room."""
        raise torch.cuda.OutOfMemoryError


def test_a_full_gpu_is_told(weights: Path) -> None:
    estimator = opened(weights)
    estimator._transfers = FullTransfers()
    reference, secondary = speckle(2, 20, 30)
    with pytest.raises(ModelError, match="no memory left for a block of 30 x 20 pixels; end what else computes there"):
        estimator.estimate(reference, secondary)


class NothingWaits(TorchDispatchMode):
    """Lets nothing pass that asks for a value, or that isn't on the device.

    On the device "meta" tensors have shapes and no values: who asks for one gets an error from PyTorch.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at what goes in and what comes out."""
        result = func(*args, **(kwargs or {}))
        devices = {leaf.device.type for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)}
        assert devices <= {"meta"}, f"{func} brings something to the device, which waits for all that is queued"
        return result


class NoTransfers(HostTransfers):
    """To a device without values."""

    def send(self, image: FloatArray) -> torch.Tensor:
        """Nothing but its shape."""
        return torch.empty(image.shape, device="meta")


@pytest.mark.parametrize("dates", [0, 3])
def test_nothing_between_images_and_maps_waits_for_the_device(weights: Path, dates: int) -> None:
    estimator = opened(weights)
    estimator._device, estimator._transfers = torch.device("meta"), NoTransfers()
    estimator._network.to("meta")
    images = speckle(2 + dates, 61, 64)
    cut = slice(0, 61), slice(0, 64)
    with torch.inference_mode():
        estimator._estimate_block(images, cut)  # what is brought to the device once and kept
        with NothingWaits():  # type: ignore[no-untyped-call]
            assert estimator._estimate_block(images, cut).shape == (2, 61, 64)
            with pytest.raises(AssertionError, match="brings something"):
                torch.tensor([1.0]).to("meta")


class FakeStream:
    """A queue that only remembers what it was told to wait for."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log

    def wait_stream(self, other: FakeStream) -> None:
        """Of `torch.cuda.Stream`."""
        self._log.append(f"{self.name} waits for {other.name}")

    def __enter__(self) -> None:
        self._log.append(f"on {self.name}:")

    def __exit__(self, *_: object) -> None:
        self._log.append("end")


class Cuda:
    """What `CudaTransfers` uses of `torch.cuda`, on a machine without a GPU."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self._names = iter(("up", "down"))
        self._computing = FakeStream("computing", self.log)

    def Stream(self, device: torch.device) -> FakeStream:  # noqa: N802 - PyTorch's name
        assert device.type == "cpu"
        return FakeStream(next(self._names), self.log)

    def stream(self, stream: FakeStream) -> FakeStream:
        return stream

    def current_stream(self, device: torch.device) -> FakeStream:
        assert device.type == "cpu"
        return self._computing

    def Event(self, *, blocking: bool) -> Cuda:  # noqa: N802
        assert blocking, "to wait must not take a core"
        return self

    def record(self, stream: FakeStream) -> None:
        self.log.append(f"mark {stream.name}")

    def synchronize(self) -> None:
        self.log.append("wait here")


def test_copies_wait_for_what_they_need_and_for_nothing_else() -> None:
    cuda = Cuda()
    transfers = CudaTransfers(torch.device("cpu"), cuda=cuda, allocate=torch.empty)
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    there = transfers.send(image[:, 1:])
    image[:] = -1.0  # the next image is read into the same place
    assert cuda.log == ["on up:", "end", "computing waits for up"]
    cuda.log.clear()
    fetch = transfers.fetch(there[None] * 2.0)
    assert cuda.log == ["down waits for computing", "on down:", "mark down", "end"]
    np.testing.assert_array_equal(fetch(), [[[2, 4, 6], [10, 12, 14], [18, 20, 22]]])
    assert cuda.log[-1] == "wait here"


def test_what_was_sent_is_held_until_its_maps_are_fetched() -> None:
    transfers = CudaTransfers(torch.device("cpu"), cuda=Cuda(), allocate=torch.empty)
    first = transfers.send(np.ones((2, 2), np.float32))
    fetch = transfers.fetch(first + 1.0)
    second = transfers.send(np.ones((2, 2), np.float32))
    assert transfers._sent == [second], "what belongs to the first goes with it"
    held = next(cell.cell_contents for cell in fetch.__closure__ or () if isinstance(cell.cell_contents, list))
    assert any(each is first for each in held)
    fetch()
    assert not held
