"""The contract, part three: limits, and the words of refusals that decide what is done next."""

from __future__ import annotations

from dataclasses import replace

import ee
import pytest
from google.oauth2.credentials import Credentials
from odc.geo.geobox import GeoBox

from pipeline.errors import CohmapError
from pipeline.sources import Query
from pipeline.sources.ee_failures import Kind, diagnose
from pipeline.sources.ee_requests import BYTES_A_VALUE, MOST_BANDS, MOST_BYTES, MOST_PIXELS_A_SIDE
from tests.earthengine.contract.conftest import DAY, INSIDE, MIDDLE, Service
from tests.earthengine.contract.scene import SCENE


def refused(service: Service, image: ee.Image, height: int, width: int) -> ee.EEException:
    """How a request of that size is refused."""
    with pytest.raises(ee.EEException) as caught:
        service.pixels(image, GeoBox((height, width), INSIDE.affine, INSIDE.crs))
    return caught.value


def test_a_byte_of_mask_counts_and_the_sentence_says_so(service: Service) -> None:
    """[S] 48 MiB uncompressed a request, [B] a byte of mask a value included: 3200 x 3146 floats are too many."""
    error = refused(service, ee.Image(SCENE).select(["VV"]).toFloat(), 3146, 3200)
    assert 4 * 3200 * 3146 < MOST_BYTES < BYTES_A_VALUE * 3200 * 3146 == 50336000
    assert "Total request size (50336000 bytes) must be less than or equal to 50331648 bytes" in str(error)
    assert diagnose(error).kind is Kind.TOO_LARGE


def test_doubles_count_nine_bytes(service: Service) -> None:
    """[B] The account goes by the expression's own numbers: a double is eight bytes and one of mask."""
    error = refused(service, ee.Image(SCENE).select(["VV"]).toDouble(), 2365, 2365)
    assert f"({9 * 2365 * 2365} bytes)" in str(error)


def test_a_side_has_a_limit_of_its_own(service: Service) -> None:
    """[S] 32,768 pixels a side; [B] beyond it the sentence speaks of pixel grid dimensions."""
    error = refused(service, ee.Image(SCENE).select(["VV"]).toFloat(), 1, MOST_PIXELS_A_SIDE + 1)
    assert diagnose(error).kind is Kind.TOO_LARGE


def test_bands_have_a_limit(service: Service) -> None:
    """[S] 1024 bands a request."""
    assert "1024" in str(refused(service, ee.Image.constant([1] * (MOST_BANDS + 1)), 1, 1))


def test_a_collection_that_is_not_there_is_named(service: Service) -> None:
    """[B] 404 (or 403) and a word of the asset, for a collection that doesn't exist or may not be read."""
    with pytest.raises(CohmapError, match="'COPERNICUS/NO_SUCH' is not on Earth Engine"):
        service.source(collection="COPERNICUS/NO_SUCH").search(Query(MIDDLE.buffer(0.02), DAY, DAY, ("VV",)))


def test_an_image_that_is_gone_is_said_to_be_gone(service: Service) -> None:
    """[B] 400 and "asset … not found", for an image inside an expression that doesn't exist any more."""
    item = service.scene()
    gone = replace(item, slices=tuple(replace(piece, id=f"{SCENE}_GONE") for piece in item.slices))
    with pytest.raises(CohmapError, match=r"no longer on Earth Engine \(.*not found"):
        service.source().read(gone, INSIDE, ("VV",))


def test_a_band_that_is_not_there_is_refused_for_good(service: Service) -> None:
    """[B] 400 and a sentence of its own, which no smaller or later request would mend."""
    with pytest.raises(ee.EEException) as caught:
        service.pixels(ee.Image(SCENE).select(["HH"]))
    assert diagnose(caught.value).kind is Kind.REFUSED
    assert diagnose(caught.value).status == 400


def test_a_wrong_token_is_told_from_everything_else(service: Service) -> None:
    """[B] 401 for an access token that isn't one."""
    with pytest.raises(CohmapError, match="does not accept your credentials"):
        service.source(credentials=Credentials("no-token")).search(Query(MIDDLE.buffer(0.02), DAY, DAY, ("VV",)))


def test_a_wrong_project_is_named(service: Service) -> None:
    """[B] 403 (or 404) for a project that doesn't exist or may not be used."""
    with pytest.raises(CohmapError, match="refuses project 'cohmap-no-such-project'"):
        service.source(project="cohmap-no-such-project").search(Query(MIDDLE.buffer(0.02), DAY, DAY, ("VV",)))
