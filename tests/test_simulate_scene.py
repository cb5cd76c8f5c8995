from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from models.errors import ModelError
from models.simulate.cache import Cache
from models.simulate.cover import Cover
from models.simulate.decay import History, Regime
from models.simulate.landscape import Ground, ground
from models.simulate.noise import key, nearest_site, normal, smooth, uniform
from models.simulate.pair import RTC_30M
from models.simulate.scene import BLOCK, Scene

DATES = (0.0, 12.0, 24.0, 36.0)
EVENT = 18.0
WHOLE = (0, 0, BLOCK, BLOCK)


def make_scene(seed: int = 3) -> Scene:
    """One block that holds the town, the river, and both places that the event strikes."""
    return Scene(seed, DATES, event=EVENT, origin=(128.0, 128.0))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene()


@pytest.fixture(scope="module")
def sea() -> Scene:
    """Open sea on its first 512 x 512 pixels."""
    return Scene(5, [0.0, 12.0], origin=(0.0, 900.0))


@pytest.fixture(scope="module")
def country() -> Ground:
    """The land 3.8 km around the town, at every second pixel."""
    return ground(1, *world(384, 20.0))


def correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def values(*numbers: float) -> npt.NDArray[np.float32]:
    return np.array(numbers, np.float32)


def contrast(scene: Scene, index: int, band: str) -> npt.NDArray[np.float32]:
    """An image divided by the power that is expected: speckle alone, where the ground is homogeneous."""
    here = scene._ground_of((0, 0))
    power = scene._power(here, band, index)[16:-16, 16:-16] + np.float32(scene.noise)
    flat: npt.NDArray[np.float32] = scene.read(index, band, *WHOLE) / power
    return flat


def homogeneous(scene: Scene, index: int, band: str) -> npt.NDArray[np.bool_]:
    """Where the power hardly changes over a resolution cell."""
    power = 10 * np.log10(scene._power(scene._ground_of((0, 0)), band, index)[16:-16, 16:-16])
    steady: npt.NDArray[np.bool_] = ndimage.maximum_filter(power, 5) - ndimage.minimum_filter(power, 5) < 2.0
    return steady


def world(side: int = 768, spacing: float = 10.0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    middles = (np.arange(side) - side / 2 + 0.5) * spacing
    x, y = np.meshgrid(middles, -middles)
    return x, y


def test_overlapping_windows_agree_bit_for_bit() -> None:
    # Both windows lie across the corner where four blocks meet; the scenes are made apart and read in another order.
    one, two = (Scene(3, DATES[:2], origin=(20.0, 10.0)) for _ in range(2))
    whole = one.read(1, "VV", -20, -30, 50, 60)
    two.read(0, "VV", 40, 200, 10, 10)
    np.testing.assert_array_equal(two.read(1, "VV", -10, -3, 40, 30), whole[10:50, 27:57])
    truth = one.true_coherence(0, 1, "VV", -20, -30, 50, 60)
    np.testing.assert_array_equal(two.true_coherence(0, 1, "VV", -10, -3, 40, 30), truth[10:50, 27:57])


def test_speckle_runs_on_across_the_seams_of_blocks(sea: Scene) -> None:
    image = sea.read(0, "VV", 0, 0, 2 * BLOCK, 2 * BLOCK)
    assert (sea.cover(0, 0, 2 * BLOCK, 2 * BLOCK) == Cover.SEA).all()
    for matrix in (image, image.T):
        across = correlation(matrix[:, BLOCK - 1], matrix[:, BLOCK])
        steps = [correlation(matrix[:, col], matrix[:, col + 1]) for col in range(40, 200, 5)]
        assert abs(across - np.mean(steps)) < 4 * np.std(steps)
        assert across > 0.45


@pytest.mark.parametrize("band", ["VV", "VH"])
@pytest.mark.parametrize("pair", [(0, 1), (2, 3), (1, 2), (0, 3)])
def test_intensities_correlate_as_true_coherence_squared(scene: Scene, band: str, pair: tuple[int, int]) -> None:
    # Before the event, after it and across it; each bin of true coherence by itself.
    truth = scene.true_coherence(*pair, band, *WHOLE)
    steady = homogeneous(scene, pair[0], band) & homogeneous(scene, pair[1], band)
    one, two = (contrast(scene, index, band) for index in pair)
    counted = 0
    for low in np.arange(0.0, 0.95, 0.1):
        inside = steady & (truth >= low) & (truth < low + 0.1)
        if np.count_nonzero(inside) < 1000:
            continue
        counted += 1
        assert correlation(one[inside], two[inside]) == pytest.approx((truth[inside] ** 2).mean(), abs=0.1)
    assert counted >= 3


def test_passes_and_bands_are_drawn_apart(sea: Scene) -> None:
    one, two = (sea.read(index, "VV", *WHOLE) for index in (0, 1))
    assert abs(correlation(one, two)) < 0.05
    assert abs(correlation(one, sea.read(0, "VH", *WHOLE))) < 0.05


def test_the_event_lowers_the_truth_where_it_struck_and_nowhere_else(scene: Scene) -> None:
    struck = scene.event_mask(*WHOLE)
    cover = scene.cover(*WHOLE)
    before, across, after = (scene.true_coherence(*pair, "VV", *WHOLE) for pair in ((0, 1), (1, 2), (2, 3)))
    deep = ndimage.binary_erosion(struck, iterations=4)
    town = deep & np.isin(cover, (Cover.BUILDINGS, Cover.STREET, Cover.GARDEN))
    field = deep & (cover == Cover.FIELD)
    assert town.sum() > 200
    assert field.sum() > 200
    assert before[town].mean() > 0.6
    assert across[town].mean() < 0.2
    assert 0.3 < after[town].mean() < before[town].mean()
    assert across[field].max() < 0.1
    assert after[field].max() < 0.1
    assert before[field].mean() > 0.3
    far = ~ndimage.binary_dilation(struck, iterations=12)
    assert abs(float((across - before)[far].mean())) < 0.01
    vv = [scene.read(index, "VV", *WHOLE)[field].mean() for index in (1, 2)]
    assert vv[1] < 0.6 * vv[0]


def test_the_speckle_of_a_flattened_quarter_is_new(scene: Scene) -> None:
    struck = scene.event_mask(*WHOLE) & (scene.cover(*WHOLE) != Cover.FIELD)
    deep = ndimage.binary_erosion(struck, iterations=4)
    here = scene._ground_of((0, 0))
    speckle = []
    for index in range(3):
        resolved = ndimage.gaussian_filter(scene._power(here, "VV", index), 0.8)[16:-16, 16:-16]
        speckle.append(np.log(scene.read(index, "VV", *WHOLE) / resolved)[deep])
    assert correlation(speckle[0], speckle[1]) > 0.4
    assert abs(correlation(speckle[1], speckle[2])) < 0.2


def test_without_an_event_nothing_is_struck() -> None:
    quiet = Scene(3, DATES, origin=(128.0, 128.0))
    assert not quiet.event_mask(*WHOLE).any()
    np.testing.assert_allclose(
        quiet.true_coherence(0, 1, "VV", *WHOLE), quiet.true_coherence(1, 2, "VV", *WHOLE), atol=0.2
    )


def test_a_scene_travels_to_other_processes(scene: Scene) -> None:
    again = pickle.loads(pickle.dumps(scene))  # noqa: S301  # our own bytes
    np.testing.assert_array_equal(again.read(1, "VH", 5, 7, 20, 30), scene.read(1, "VH", 5, 7, 20, 30))


def test_seeds_differ(scene: Scene) -> None:
    other = make_scene(4)
    assert not np.array_equal(other.cover(*WHOLE), scene.cover(*WHOLE))


def test_other_products_are_simulated_too() -> None:
    coarse = Scene(3, [0.0], spacing=30.0, origin=(50.0, 700.0))
    image = coarse.read(0, "VV", 0, 0, 100, 100)
    assert coarse.product is RTC_30M
    assert (coarse.cover(0, 0, 100, 100) == Cover.SEA).all()
    assert image.mean() ** 2 / image.var() == pytest.approx(RTC_30M.looks_equivalent, rel=0.15)


def test_a_scene_says_what_it_cannot_do(scene: Scene) -> None:
    with pytest.raises(ModelError, match="VV and VH, not HH"):
        scene.read(0, "HH", 0, 0, 4, 4)
    with pytest.raises(ModelError, match=r"must rise.*\[12.0, 0.0\]"):
        Scene(1, [12.0, 0.0])
    with pytest.raises(ModelError, match="at least one"):
        Scene(1, [])


def test_coherence_decays_to_what_lasts() -> None:
    regime = Regime(values(0.2, 0.0), values(20.0, 5.0))
    history = History(regime, regime, np.ones(2, np.float32), np.inf)
    np.testing.assert_allclose(history.coherence(0, 0), 1.0)
    assert history.coherence(0, 20)[0] == pytest.approx(0.2 + 0.8 * np.exp(-1.0))
    np.testing.assert_allclose(history.coherence(0, 1e4), [0.2, 0.0], atol=1e-6)
    np.testing.assert_array_equal(history.coherence(40, 10), history.coherence(10, 40))


def test_an_event_keeps_a_share() -> None:
    before = Regime(values(0.64), values(30.0))
    after = Regime(values(0.25), values(10.0))
    history = History(before, after, values(0.5), event=15.0)
    renewed = np.sqrt(0.36 * 0.75) * np.exp(-5.0 / 30.0 - 9.0 / 10.0)
    assert history.coherence(10.0, 24.0)[0] == pytest.approx(0.5 * (0.8 * 0.5 + renewed))
    assert history.strikes(10.0, 15.0)
    assert not history.strikes(15.0, 24.0)


def test_covers_are_all_there_and_overlap_in_coherence(country: Ground) -> None:
    here = country
    shares = [float((here.cover == cover).mean()) for cover in Cover]
    assert min(shares) > 0.004
    assert shares[Cover.FIELD] > 0.25
    twelve = here.history.coherence(0, 12)
    field, forest, rock = (twelve[here.cover == cover] for cover in (Cover.FIELD, Cover.FOREST, Cover.ROCK))
    assert np.percentile(field, 10) < np.percentile(forest, 90)
    assert np.percentile(rock, 10) < np.percentile(field, 90)
    assert twelve[here.cover == Cover.SEA].max() == 0.0
    assert not here.struck.any()


def test_backscatter_does_not_tell_coherence_within_a_cover(country: Ground) -> None:
    # The mean over a parcel of both; a leak here would let an estimator read coherence off texture.
    here = country
    field = here.cover == Cover.FIELD
    index = here.stand[field]
    count = np.bincount(index)
    kept = count > 15
    power = np.bincount(index, 10 * np.log10(here.power["VV"][0][field]))[kept] / count[kept]
    twelve = np.bincount(index, here.history.coherence(0, 12)[field])[kept] / count[kept]
    assert kept.sum() > 100
    assert abs(np.corrcoef(power, twelve)[0, 1]) < 0.25
    assert twelve.std() > 0.08


def test_the_landscape_is_a_function_of_place() -> None:
    x, y = world(200)
    whole, part = ground(2, x, y), ground(2, x[50:90, 20:170], y[50:90, 20:170])
    np.testing.assert_array_equal(part.cover, whole.cover[50:90, 20:170])
    np.testing.assert_allclose(part.power["VH"][0], whole.power["VH"][0][50:90, 20:170], rtol=1e-5)
    np.testing.assert_array_equal(part.stands[part.stand], whole.stands[whole.stand][50:90, 20:170])


def test_the_landscape_goes_on() -> None:
    x, y = world(256)
    far = ground(1, x + 40_000.0, y - 25_000.0)
    assert len(np.unique(far.cover)) >= 3


def test_keys_draw_even_and_normal_numbers() -> None:
    keys = key(9, np.arange(200)[:, np.newaxis], np.arange(200)[np.newaxis])
    assert np.unique(keys).size == keys.size
    drawn = uniform(keys)
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.var() == pytest.approx(1 / 12, rel=0.03)
    assert abs(np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]) < 0.02
    assert normal(keys).std() == pytest.approx(1.0, abs=0.02)


def test_smooth_noise_is_continuous_and_varied() -> None:
    x = np.linspace(-500.0, 500.0, 2001)[np.newaxis]
    field = smooth(3, x, np.zeros_like(x), 100.0)
    assert np.abs(np.diff(field)).max() < 0.03
    assert 0.2 < field.std() < 0.8


def test_places_belong_to_their_nearest_site() -> None:
    x, y = world(100, 20.0)
    sites = nearest_site(1, x, y, 400.0)
    own = np.hypot(x - sites.x, y - sites.y)
    for site_x, site_y in set(zip(sites.x.ravel(), sites.y.ravel(), strict=True)):
        assert (own <= np.hypot(x - site_x, y - site_y) + 1e-9).mean() > 0.999
    assert (sites.border >= 0).all()


def test_a_cache_makes_each_thing_once_for_all_threads() -> None:
    made: list[int] = []
    ready = threading.Barrier(4)
    store: Cache[int, int] = Cache(100, lambda _: 1)

    def make() -> int:
        made.append(1)
        return 7

    def ask() -> int:
        ready.wait(5)
        return store.get(1, make)

    with ThreadPoolExecutor(4) as pool:
        answers = [task.result() for task in [pool.submit(ask) for _ in range(4)]]
    assert answers == [7, 7, 7, 7]
    assert len(made) == 1


def test_a_cache_forgets_what_was_not_used_lately() -> None:
    made: list[str] = []
    store: Cache[str, str] = Cache(2, len)

    def ask(name: str) -> None:
        store.get(name, lambda: made.append(name) or name)  # type: ignore[func-returns-value]  # append, then the name

    for name in ("a", "b", "a", "c", "a", "b"):
        ask(name)
    assert made == ["a", "b", "c", "b"]


def test_a_cache_tries_again_after_a_failure() -> None:
    store: Cache[str, int] = Cache(10, lambda _: 1)

    def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.get("x", fail)
    assert store.get("x", lambda: 3) == 3
