"""The functions of Earth Engine that the stand-in knows; any other makes a request fail by its name."""

from __future__ import annotations

from tests.earthengine.collection_functions import COLLECTION_FUNCTIONS
from tests.earthengine.export_functions import EXPORT_FUNCTIONS
from tests.earthengine.graph import Table
from tests.earthengine.image_functions import IMAGE_FUNCTIONS
from tests.earthengine.list_functions import LIST_FUNCTIONS
from tests.earthengine.terrain_functions import TERRAIN_FUNCTIONS

FUNCTIONS = Table(
    {**COLLECTION_FUNCTIONS, **IMAGE_FUNCTIONS, **LIST_FUNCTIONS, **TERRAIN_FUNCTIONS, **EXPORT_FUNCTIONS}
)
