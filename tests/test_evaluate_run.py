"""The evaluation's loop: sets, contenders, what is kept and what is done again; and the probes for leaks and seams."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import ndimage, stats

from models import registry
from models.errors import ModelError
from models.estimator import FloatArray, within
from models.evaluate import contenders, tables
from models.evaluate.contenders import CONSTANT, ORACLE, EstimatorContender, Scene, open_contenders, registered
from models.evaluate.probes import Probe, leak, other_speckle, tiling_difference, unrelated
from models.evaluate.run import Memory, Results, evaluate
from models.evaluate.sets import SETS, SceneSet, choose
from models.simulate.draw import Recipe, draw

SIZE = 80


class Counting:
    """Answers 0.4 everywhere with a sigma of 0.2, or what it is told, and counts how often it is asked."""

    def __init__(self, name: str = "counting", version: str = "1", answer: float = 0.4) -> None:
        self.name = name
        self._version = version
        self._answer = answer
        self.asked = 0

    def version(self, spacing: float) -> str:
        return f"{self._version} at {spacing:g} m"

    def answer(self, scene: Scene) -> tuple[FloatArray, FloatArray | None]:
        self.asked += 1
        image = np.full_like(scene.reference, self._answer)
        return image, np.full_like(image, 0.2)


class BrightIsCoherent:
    """A cheat: reads coherence off the reference's brightness alone."""

    name = "cheat"
    version = "1"
    halo = 0
    spacing = 10.0
    context = 0
    runtime = "torch"

    def estimate(
        self,
        reference: FloatArray,
        secondary: FloatArray,  # noqa: ARG002
        context: Sequence[FloatArray] = (),  # noqa: ARG002
        *,
        margin: int = 0,
    ) -> tuple[FloatArray, FloatArray]:
        reference = within(reference, margin)
        ranks = (np.argsort(np.argsort(reference.ravel())) / reference.size).reshape(reference.shape)
        return ranks.astype(np.float32), np.full_like(reference, 0.3)


def small(*names: str, contexts: int = 0) -> list[SceneSet]:
    return [each.sized(SIZE, contexts) for each in choose(names)]


@pytest.fixture(scope="module")
def results() -> Results:
    taking_part = [*open_contenders(["guarnieri-prati:raw", "log-correlation"], contexts=0, device="cpu"), Counting()]
    return evaluate(taking_part, small("matched", "homogeneous"), scenes=2, seeds=(1, 2))


def test_every_set_can_be_drawn() -> None:
    for each in SETS.values():
        sample = draw(each.sized(SIZE, 1).recipe, 5, 0)
        assert sample.reference.shape == sample.coherence.shape == (SIZE, SIZE)
        assert sample.oracle is not None


def test_sets_are_found_by_name_and_a_wrong_one_is_told() -> None:
    assert [each.name for each in choose(("vh-snr", "matched", "vh-snr"))] == ["vh-snr", "matched"]
    assert len(choose()) == len(SETS)
    with pytest.raises(ModelError, match="unknown set 'mached'; did you mean 'matched'"):
        choose(("mached",))


def test_the_constant_and_the_oracle_always_take_part(results: Results) -> None:
    assert list(results.rows["matched"]) == [CONSTANT, ORACLE, "guarnieri-prati raw", "log-correlation", "counting"]
    assert results.score("matched", ORACLE).rmse < results.score("matched", CONSTANT).rmse
    assert results.score("matched", "counting").mae > 0.1
    assert results.score("matched", "counting").seconds >= 0.0
    assert [len(row.seeds) for row in results.rows["matched"].values()] == [2] * 5


def test_only_homogeneous_ground_has_a_floor(results: Results) -> None:
    assert list(results.floors) == ["homogeneous"]
    assert 0.05 < results.floors["homogeneous"][31] < 0.09


def test_what_is_known_is_not_computed_again_and_a_new_version_is() -> None:
    store, first, second = Memory(), Counting(), Counting("second")
    evaluate([first], small("matched"), scenes=2, seeds=(1,), store=store)
    again = evaluate([first, second], small("matched"), scenes=3, seeds=(1,), store=store)
    assert (first.asked, second.asked) == (3, 3)
    newer = Counting(version="2", answer=0.5)
    changed = evaluate([newer], small("matched"), scenes=3, seeds=(1,), store=store)
    assert newer.asked == 3
    assert changed.score("matched", "counting").bias - again.score("matched", "counting").bias == pytest.approx(0.1)


def test_scenes_of_another_size_are_other_scenes() -> None:
    store, contender = Memory(), Counting()
    evaluate([contender], small("matched"), scenes=1, seeds=(1,), store=store)
    evaluate([contender], [SETS["matched"].sized(96, 0)], scenes=1, seeds=(1,), store=store)
    assert contender.asked == 2


def test_a_stopped_evaluation_keeps_every_scene_it_finished() -> None:
    store, done = Memory(), []

    def advance() -> None:
        done.append(1)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate([Counting()], small("matched"), scenes=3, seeds=(1,), store=store, advance=advance)
    contender = Counting()
    stopped = evaluate([contender], small("matched"), scenes=3, seeds=(1,), store=store)
    assert contender.asked == 1
    assert stopped.rows["matched"]["counting"].seeds[0].rmse == pytest.approx(
        evaluate([Counting()], small("matched"), scenes=3, seeds=(1,)).rows["matched"]["counting"].seeds[0].rmse
    )


def test_a_misregistered_pair_is_registered_as_users_get_it() -> None:
    sample = draw(SETS["shift-2"].sized(160, 1).recipe, 1, 0)
    scene = registered(sample)
    estimator = registry.get("log-correlation", device="cpu")
    before, after = (
        float(np.nanmean(estimator.estimate(sample.reference, image)[0]))
        for image in (sample.secondary, scene.secondary)
    )
    assert after > before + 0.05
    assert len(scene.context) == 1


def test_names_modes_and_groups_of_contenders() -> None:
    names = [each.name for each in open_contenders(["classical", "log-moments"], contexts=4, device="cpu")]
    assert names[:3] == [ORACLE, "log-moments calibrated", "log-correlation calibrated"]
    assert names[-1] == "log-moments"
    assert len(names) == 1 + 1 + 2 * 4 + 1
    with pytest.raises(ModelError, match="unknown estimator 'log-corelation'"):
        open_contenders(["log-corelation"], contexts=0, device="cpu")
    with pytest.raises(ModelError, match="no mode 'raw'"):
        open_contenders(["log-moments:raw"], contexts=0, device="cpu")


def test_files_are_called_by_their_names_unless_those_are_taken() -> None:
    sources = ["speckle-unet", "runs/a.safetensors", "runs/speckle-unet.safetensors", "other/a.safetensors"]
    assert list(contenders._labels(sources).values()) == ["speckle-unet", "a", *sources[2:]]


def test_tables_say_what_the_results_say(results: Results) -> None:
    text = "\n".join(table.to_markdown() for table in tables.all_tables(results))
    assert "| Bayes floor 31 px |" in text
    assert f"{results.score('matched', 'log-correlation').rmse:.3f}" in text
    assert "seed 2" in text
    assert "nan" not in text
    content = json.loads(json.dumps(tables.to_json(results, {"scenes": 2}), allow_nan=False))
    row = content["sets"]["matched"]["contenders"]["log-correlation"]
    assert row["median"]["rmse"] == results.score("matched", "log-correlation").rmse
    assert content["sets"]["matched"]["contenders"][CONSTANT]["median"]["r"] is None
    assert [len(table.headings) for table in tables.all_tables(results)] == [
        len(table.rows[0]) for table in tables.all_tables(results)
    ]


@pytest.mark.parametrize("pairs", [other_speckle, unrelated])
def test_pairs_without_common_speckle_look_incoherent_to_an_honest_estimator(pairs: Probe) -> None:
    contender = EstimatorContender("log-correlation", "crude", mode=None, contexts=0, device="cpu")
    found = leak(contender, Recipe(size=128, tie="independent"), pairs, seed=1, scenes=4)
    assert abs(found.r) < 0.15
    assert found.mean < 0.3


def test_the_probe_catches_a_cheat() -> None:
    class Cheat(Counting):
        def answer(self, scene: Scene) -> tuple[FloatArray, FloatArray | None]:
            return BrightIsCoherent().estimate(scene.reference, scene.secondary)

    assert leak(Cheat(), Recipe(size=64), other_speckle, seed=1, scenes=2).mean == pytest.approx(0.5, abs=0.01)


def test_a_probe_of_other_speckle_keeps_the_ground() -> None:
    recipe = Recipe(size=128)
    changed, fictitious = other_speckle(recipe, 3, 0)
    usual = draw(recipe, 3, 0)
    assert changed.coherence.max() == 0.0
    np.testing.assert_array_equal(fictitious, usual.coherence)
    blurred = [ndimage.uniform_filter(sample.reference, 15).ravel() for sample in (changed, usual)]
    assert stats.pearsonr(*blurred).statistic > 0.9


def test_tiles_equal_the_whole_at_the_declared_halo() -> None:
    sample = draw(Recipe(size=128), 1, 0)
    for name in ("log-correlation", "guarnieri-prati"):
        estimator = registry.get(name, device="cpu")
        assert tiling_difference(estimator, sample.reference, sample.secondary, tile=48) <= 1e-5


def test_an_estimate_that_depends_on_the_whole_scene_shows_seams() -> None:
    sample = draw(Recipe(size=64), 1, 0)
    difference = tiling_difference(BrightIsCoherent(), sample.reference, sample.secondary, tile=32)
    assert math.isfinite(difference)
    assert difference > 0.1
