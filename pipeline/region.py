"""Region -> grid -> tiles: the one fixed pixel grid that everything of a region lives on."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from pipeline.config import Area, GridSettings, RegionConfig, load
from pipeline.errors import CohmapError
from pipeline.passes import Track
from pipeline.tiles import Tile, Tiles, tile_key

__all__ = [
    "DEGREES",
    "SHIPPED",
    "Region",
    "Tile",
    "crs_of",
    "find",
    "make_grid",
    "open_region",
    "read_area",
    "shipped",
    "tile_key",
    "to_crs",
    "utm_code",
]

SHIPPED = Path(__file__).resolve().parent.parent / "regions"
DEGREES = CRS("EPSG:4326")


@dataclass(frozen=True)
class Region:
    """A named area of interest with its settings, and the grid they imply."""

    config: RegionConfig
    area: BaseGeometry
    """Polygon or multipolygon, EPSG:4326."""
    path: Path | None = None
    """The region file, None where the settings came from elsewhere."""

    @property
    def name(self) -> str:
        """The region's name."""
        return self.config.name

    @cached_property
    def grid(self) -> GeoBox:
        """CRS + transform + shape; the origin lies on an integer multiple of the tile size."""
        return make_grid(self.area, self.config.grid)

    @cached_property
    def area_on_grid(self) -> BaseGeometry:
        """The area in the grid's CRS."""
        return to_crs(self.area, crs_of(self.grid))

    @cached_property
    def tiles(self) -> Tiles:
        """Tiles that touch the area, row by row."""
        return self.tiles_of(self.config.grid.tile)

    def tiles_of(self, side: int) -> Tiles:
        """Tiles of another side that touch the area, row by row."""
        every = Tiles.of_grid(side, (self.grid.height, self.grid.width))
        return every.select(self.touched_by([self.area_on_grid], every)[0])

    def touched_by(self, shapes: Sequence[BaseGeometry], tiles: Tiles) -> npt.NDArray[np.bool_]:
        """Which tiles each of the shapes, in the grid's CRS, touches: shape (shapes, tiles)."""
        for each in shapes:
            shapely.prepare(each)
        found = np.zeros((len(shapes), len(tiles)), dtype=np.bool_)
        begin = 0
        for some in tiles.pieces():  # an outline takes half a kilobyte
            outlines = self.outlines(some)
            for there, each in zip(found, shapes, strict=True):
                there[begin : begin + len(some)] = shapely.intersects(each, outlines)
            begin += len(some)
        return found

    def window(self, tile: Tile) -> GeoBox:
        """The tile's own grid."""
        return self.grid[tile.rows, tile.cols]

    def outlines(self, tiles: Sequence[Tile]) -> npt.NDArray[np.object_]:
        """Outlines of many tiles in the grid's CRS, in their order."""
        to_crs = self.grid.affine  # upright: `make_grid` neither turns nor shears
        if isinstance(tiles, Tiles):
            of_rows, of_cols = tiles.edges()
        else:
            of_rows = np.array([(tile.rows.start, tile.rows.stop) for tile in tiles]).reshape(-1, 2)
            of_cols = np.array([(tile.cols.start, tile.cols.stop) for tile in tiles]).reshape(-1, 2)
        rows, cols = of_rows * to_crs.e + to_crs.f, of_cols * to_crs.a + to_crs.c
        boxes: npt.NDArray[np.object_] = shapely.box(cols[:, 0], rows[:, 1], cols[:, 1], rows[:, 0])
        return boxes

    def wants(self, track: Track) -> bool:
        """Whether the region's settings ask for this track."""
        rule = self.config.passes
        if rule.direction not in {"auto", track.direction}:
            return False
        wanted = rule.relative_orbit
        if wanted == "auto":
            return True
        return track.relative_orbit in ((wanted,) if isinstance(wanted, int) else wanted)

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands of the stack: the polarisations, and "angle" where asked for."""
        rule = self.config.passes
        return (*rule.polarisations, *(("angle",) if rule.angle else ()))


def open_region(name: str) -> Region:
    """Open a region by file, or by a name in ./regions or among the shipped ones.

    Raises
    ------
    CohmapError
        There is no such region, or its file or area can't be used.
    """
    path = find(name)
    config = load(path)
    return Region(config, read_area(config.area, path.parent), path)


def find(name: str) -> Path:
    """Path of the region file that `name` means."""
    direct = Path(name)
    if direct.suffix == ".toml" or direct.is_file():
        return direct
    there = {path.stem: path for path in shipped()}
    if name in there:
        return there[name]
    close = difflib.get_close_matches(name, there, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise CohmapError(
        f"no region called '{name}'; {hint}there are {', '.join(sorted(there))}; or give the path of a .toml file"
    )


def shipped() -> list[Path]:
    """Region files in ./regions and among the shipped ones, without repeats."""
    found = {path.stem: path for folder in (SHIPPED, Path("regions")) for path in sorted(folder.glob("*.toml"))}
    return [found[name] for name in sorted(found)]


def read_area(area: Area, folder: Path) -> BaseGeometry:
    """The area as a valid polygon in EPSG:4326.

    Raises
    ------
    CohmapError
        Names what is wrong: out of range, crossing itself, no extent, across the antimeridian.
    """
    if area.bbox is not None:
        west, south, east, north = area.bbox
        where = f"area.bbox = {list(area.bbox)}"
        if west > east:
            raise CohmapError(
                f"{where}: west lies east of east; an area across the antimeridian is not supported, "
                "make two regions, one on each side of 180 degrees"
            )
        if south > north:
            raise CohmapError(f"{where}: south lies north of north; the order is west, south, east, north")
        geometry: BaseGeometry = box(west, south, east, north)
    else:
        path = folder / str(area.geojson)
        where = f"area.geojson {path}"
        geometry = _read_geojson(path)
    _check_area(geometry, where)
    return geometry


def _read_geojson(path: Path) -> BaseGeometry:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CohmapError(f"area.geojson {path} does not exist; the path is relative to the region file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CohmapError(f"area.geojson {path} can't be read as GeoJSON: {error}") from None
    try:
        if data["type"] == "FeatureCollection":
            parts = [shape(feature["geometry"]) for feature in data["features"]]
        else:
            parts = [shape(data["geometry"] if data["type"] == "Feature" else data)]
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError):
        raise CohmapError(f"area.geojson {path} holds no polygon, feature or feature collection") from None
    for part in parts:  # a union would mend a crossing ring in silence, or fail with a library's words
        if not part.is_valid:
            raise CohmapError(f"area.geojson {path}: the polygon is not valid: {explain_validity(part)}; redraw it")
    return shapely.union_all(parts)


def _check_area(geometry: BaseGeometry, where: str) -> None:
    if geometry.is_empty or geometry.area == 0.0:
        raise CohmapError(f"{where}: the area has no extent; give a polygon, or west < east and south < north")
    west, south, east, north = geometry.bounds
    if not (south >= -90 and north <= 90):
        raise CohmapError(f"{where}: latitudes run from -90 to 90; the order is west, south, east, north")
    across = "an area across the antimeridian is not supported, make two regions, one on each side of 180 degrees"
    if not (west >= -180 and east <= 180):
        raise CohmapError(f"{where}: longitudes run from -180 to 180; {across}")
    if east - west > 180:
        raise CohmapError(f"{where}: the area spans {east - west:g} degrees of longitude, the long way round; {across}")


def make_grid(area: BaseGeometry, settings: GridSettings) -> GeoBox:
    """The grid of whole tiles that covers the area.

    The origin is ``anchor + k * tile * spacing`` with integer k, so grids of one CRS, spacing and tile size nest: a
    region enlarged later keeps its pixels, and neighbouring regions share theirs.
    """
    centre = area.centroid
    try:
        crs = CRS(utm_code(centre.x, centre.y) if settings.crs == "auto" else settings.crs)
    except CRSError:
        raise CohmapError(f"grid.crs = {settings.crs!r} is not a CRS; give auto or a code such as EPSG:32611") from None
    if crs.geographic:
        raise CohmapError(
            f"grid.crs = {settings.crs!r} counts in degrees; pixels must be metres, take auto (UTM) or a projected CRS"
        )
    west, south, east, north = to_crs(area, crs).bounds
    if not all(math.isfinite(edge) for edge in (west, south, east, north)):
        raise CohmapError(f"grid.crs = {settings.crs!r} can't represent the area; take auto")
    step = settings.tile * settings.spacing
    anchor_x, anchor_y = settings.anchor
    first_col = math.floor((west - anchor_x) / step)
    last_col = math.ceil((east - anchor_x) / step)
    first_row = math.floor((anchor_y - north) / step)
    last_row = math.ceil((anchor_y - south) / step)
    origin = Affine(
        settings.spacing, 0.0, anchor_x + first_col * step, 0.0, -settings.spacing, anchor_y - first_row * step
    )
    return GeoBox(((last_row - first_row) * settings.tile, (last_col - first_col) * settings.tile), origin, crs)


def utm_code(lon: float, lat: float) -> str:
    """EPSG code of the UTM zone of a place, polar stereographic beyond 84 N and 80 S."""
    if lat > 84:
        return "EPSG:3413"
    if lat < -80:
        return "EPSG:3031"
    zone = min(int((lon + 180) // 6) + 1, 60)
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def crs_of(grid: GeoBox) -> CRS:
    """The grid's CRS, which a region's grid always has."""
    if grid.crs is None:
        raise CohmapError("a grid without a CRS can't be placed on the ground")
    return grid.crs


def to_crs(geometry: BaseGeometry, crs: CRS) -> BaseGeometry:
    """A geometry in EPSG:4326 moved to another CRS, its long edges densified so that they stay true."""
    return moved(shapely.segmentize(geometry, 0.05), DEGREES, crs)


def to_degrees(geometry: BaseGeometry, crs: CRS, decimals: int | None = None) -> BaseGeometry:
    """A geometry moved to EPSG:4326, corner by corner, its coordinates rounded to so many decimals."""
    return moved(geometry, crs, DEGREES, decimals)


def moved(geometry: BaseGeometry, own: CRS, crs: CRS, decimals: int | None = None) -> BaseGeometry:
    """A geometry moved from its CRS to another, corner by corner: what lies between two corners is straight in both."""
    transform = own.transformer_to_crs(crs)

    def move(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        placed = np.column_stack(transform(points[:, 0], points[:, 1]))
        return placed if decimals is None else np.round(placed, decimals)

    return shapely.transform(geometry, move)
