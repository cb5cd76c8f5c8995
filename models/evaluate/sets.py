"""The named sets of simulated scenes that estimators are scored on; none of their scenes is ever trained on."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.errors import ModelError
from models.simulate.draw import LOOKS_10X2, SINGLE_LOOK, Recipe
from models.simulate.families import HELD_OUT_FAMILIES
from models.simulate.product import GRD_10M, RTC_20M, RTC_30M, Product

FIRST_SEED = 900_001
"""Seeds of the scenes; calibration and training keep to smaller ones."""
ORACLE_WINDOW = 9
"""Side in pixels of the window in which the oracle takes the complex pair's coherence."""
LEAST_SIZE = 64
"""Smaller scenes leave no room for the windows, nor for the search for a shift."""


@dataclass(frozen=True)
class SceneSet:
    """Scenes of one kind.

    Attributes
    ----------
    name, summary
        Its name, and what is special about it in a few words.
    recipe
        How its scenes are drawn; size and number of further dates are the evaluation's choice.
    """

    name: str
    summary: str
    recipe: Recipe

    @property
    def product(self) -> Product:
        """Kind of its images."""
        return self.recipe.product or GRD_10M

    def sized(self, size: int, contexts: int) -> SceneSet:
        """The same set with scenes of this side in pixels and this many further dates."""
        return replace(self, recipe=replace(self.recipe, size=size, contexts=contexts, oracle_window=ORACLE_WINDOW))


_ALL = (
    SceneSet("matched", "like the scenes of training and calibration", Recipe()),
    *(
        SceneSet(f"shift-{shift:g}", f"secondary misregistered by {shift:g} px", Recipe(shift=shift))
        for shift in (0.25, 0.5, 1.0, 2.0, 4.0)
    ),
    SceneSet("warp-1", "secondary locally displaced by up to 1 px", Recipe(warp=1.0)),
    SceneSet("unseen-texture", "texture families kept out of training", Recipe(families=HELD_OUT_FAMILIES)),
    SceneSet("unseen-baselines", "coherence cubed, as over three times the baseline", Recipe(exponent=3.0)),
    SceneSet("single-look", "one range look instead of five", Recipe(product=SINGLE_LOOK)),
    SceneSet("looks-10x2", "ten narrower range looks, neighbours averaged", Recipe(product=LOOKS_10X2)),
    SceneSet("vh-snr", "ground only 2 to 9 dB above thermal noise", Recipe(noise_db=(-20.0, -13.0))),
    SceneSet("independent", "coherence with a layout of its own", Recipe(tie="independent")),
    SceneSet("rtc-30m", "area-averaged pixels of 30 m", Recipe(product=RTC_30M)),
    SceneSet("rtc-20m", "area-averaged pixels of 20 m", Recipe(product=RTC_20M)),
    SceneSet("homogeneous", "one coherence and one brightness everywhere", Recipe(homogeneous=True)),
)
SETS = {each.name: each for each in _ALL}


def choose(names: Sequence[str] = ()) -> list[SceneSet]:
    """Sets by name, in the order asked for; all of them where none is named.

    Raises
    ------
    ModelError
        There is no such set.
    """
    for name in names:
        if name not in SETS:
            close = difflib.get_close_matches(name, SETS, n=2)
            hint = f"did you mean {' or '.join(repr(match) for match in close)}? " if close else ""
            raise ModelError(f"unknown set '{name}'; {hint}there are: {', '.join(SETS)}")
    return [SETS[name] for name in dict.fromkeys(names)] or list(_ALL)
