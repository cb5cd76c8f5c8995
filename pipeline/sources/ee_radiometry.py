"""What brightness means: expressions that Earth Engine evaluates on each slice before slices are laid together.

Slope correction is after Vollrath, Mullissa & Reiche 2020, "Angular-Based Radiometric Slope Correction for Sentinel-1
on Google Earth Engine", Remote Sensing 12(11), 1867, doi 10.3390/rs12111867, with two differences: the direction to
the radar follows from the orbit, where the paper averages the aspect of the angle band over the scene (a sum over a
whole scene in every request); and the elevation model is interpolated before its slope is taken, because Earth Engine
takes slopes on the pixels asked for, which are finer than the model's and would be steps.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from shapely.geometry import box

from pipeline.config import EarthEngineSource
from pipeline.look import azimuth_to_radar
from pipeline.passes import Slice

ANGLE = "angle"
COLLECTION_OF_TILES = "COPERNICUS/DEM/GLO30"
DEFAULT_DEM = COLLECTION_OF_TILES
ELEVATION_BAND = "DEM"

# ESA set the samples beyond a scene's border to zero from processor 2.90 on, in operation since this day.
CLEAN_PROCESSOR = (2, 90)
CLEAN_SINCE = dt.datetime(2018, 3, 13, tzinfo=dt.UTC)

# Hird et al. 2017, Remote Sensing 9(12), 1315 (supplement): incidence angles between which IW images hold no border.
LEAST_ANGLE, MOST_ANGLE = 30.63993, 45.23993
# Earth Engine's own example of masking edges (developers.google.com, Sentinel-1 collection): below -30 dB.
LEAST_POWER = 1e-3
CO_POLARISED = ("VV", "HH")

DEGREE = math.pi / 180
OUTLINE_MARGIN = 0.1


def has_border_noise(piece: Slice) -> bool:
    """Whether a slice's borders may hold noise that looks like data: by its processor, else by its date."""
    major, _, minor = piece.processor.partition(".")
    if major.isdecimal() and minor.isdecimal():
        return (int(major), int(minor)) < CLEAN_PROCESSOR
    return piece.start < CLEAN_SINCE


def without_borders(power: Any, asset: Any, piece: Slice) -> Any:
    """Power masked where border noise lies: outside the usual angles, and where the co-polarised band is below -30 dB.

    Parameters
    ----------
    power
        ``ee.Image`` of linear power, not interpolated yet.
    asset
        The slice as ``ee.Image``, with its angle band.
    piece
        What is known of the slice; one whose borders are clean is left alone.
    """
    if not has_border_noise(piece):
        return power
    angle = _angle(asset)
    inside = angle.gt(LEAST_ANGLE).And(angle.lt(MOST_ANGLE))
    bright = next((asset.select([band]).gt(LEAST_POWER) for band in CO_POLARISED if band in piece.hrefs), None)
    return power.updateMask(inside if bright is None else inside.And(bright))


def as_asked(power: Any, asset: Any, piece: Slice, settings: EarthEngineSource) -> Any:
    """Power as the settings' radiometry has it: sigma0 as it comes, gamma0, or gamma0 less the slope's share.

    Parameters
    ----------
    power
        ``ee.Image`` of sigma0, linear.
    asset, piece
        The slice as ``ee.Image``, with its angle band, and what is known of it.
    """
    if settings.radiometry == "sigma0":
        return power
    incidence = _angle(asset).multiply(DEGREE)
    gamma0 = power.divide(incidence.cos())  # over the area at a right angle to the ray, on the ellipsoid
    if settings.radiometry == "gamma0":
        return gamma0
    along_range, along_azimuth = _slopes(settings.dem or DEFAULT_DEM, piece)
    grazing = _constant(90 * DEGREE).subtract(incidence)
    if settings.radiometry == "terrain-volume":
        # the paper's volume model (Hoekman & Reiche 2015): tan(90 - theta + alpha_r) / tan(90 - theta)
        gain = grazing.add(along_range).tan().divide(grazing.tan())
    else:
        # its surface model (Ulander 1996): cos(90 - theta) / (cos(alpha_az) cos(90 - theta + alpha_r))
        gain = grazing.cos().divide(along_azimuth.cos().multiply(grazing.add(along_range).cos()))
    # layover where the slope is steeper than the ray, shadow where it falls away below it
    seen = along_range.lt(incidence).And(along_range.gt(grazing.multiply(-1)))
    return gamma0.divide(gain).updateMask(seen)


def _slopes(dem: str, piece: Slice) -> tuple[Any, Any]:
    """Slope along range (positive where the ground faces the radar) and along azimuth, in radians.

    The paper's equations 2 and 3: tan(alpha_r) = tan(alpha_s) cos(phi_r), tan(alpha_az) = tan(alpha_s) sin(phi_r).
    """
    import ee

    ground = _elevation(dem, piece)
    steepness = ee.Terrain.slope(ground).multiply(DEGREE).tan()
    # level ground may have no aspect; any will do
    aspect = ee.Terrain.aspect(ground).unmask(_constant(0.0).toFloat(), False)
    toward = azimuth_to_radar(piece.footprint.centroid.y, piece.track.direction)
    turned = _constant(round(toward, 3)).subtract(aspect).multiply(DEGREE)  # 0 where the slope faces the radar
    return steepness.multiply(turned.cos()).atan(), steepness.multiply(turned.sin()).atan()


def _elevation(dem: str, piece: Slice) -> Any:
    """Elevation in metres around the slice; masked where the model has none."""
    import ee

    if not dem.startswith(COLLECTION_OF_TILES):
        return ee.Image(dem).select([0]).resample("bilinear")
    # the outline follows the pixels only roughly, and a slope needs neighbours
    near = box(*piece.footprint.buffer(OUTLINE_MARGIN).bounds, ccw=True)
    outline = [[round(edge, 3) for edge in corner] for corner in near.exterior.coords]
    around = ee.Geometry.Polygon([outline], None, False)
    tiles = ee.ImageCollection(dem).filterBounds(around).select([ELEVATION_BAND])
    # there are no tiles of the open sea, and what has no first image has no projection: the last one is all mask
    nothing = _constant(0.0).toFloat().rename([ELEVATION_BAND]).updateMask(_constant(0.0))
    tiles = tiles.merge(ee.ImageCollection([nothing]))
    # a mosaic has no pixel grid of its own to interpolate on, until it is given its tiles'
    return tiles.mosaic().setDefaultProjection(tiles.first().projection()).resample("bilinear")


def _angle(asset: Any) -> Any:
    # Its native pixels are 13 km wide: the nearest one would be up to half a degree off.
    return asset.select([ANGLE]).resample("bilinear")


def _constant(value: float) -> Any:
    import ee

    return ee.Image.constant(value)
