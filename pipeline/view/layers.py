"""What an output folder has to show: every band of every product that a stage has listed, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pipeline.errors import CohmapError
from pipeline.products import Product
from pipeline.storage import Folder

# Names of the groups of layers, in the order in which they are listed; other kinds follow under their own names.
GROUPS = {"mean": "Coherence over time", "coherence": "Pairs", "change": "Change", "season": "Season"}


@dataclass(frozen=True)
class Layer:
    """One band of one product.

    Attributes
    ----------
    band
        Counted from 1, as in the file.
    """

    product: Product
    band: int = 1

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all others of the folder."""
        return self.product.id, self.band

    @property
    def name(self) -> str:
        """The band's name."""
        bands = self.product.bands
        return bands[self.band - 1].name if self.band <= len(bands) else f"band {self.band}"

    @property
    def about(self) -> str:
        """What the band means; "" where nothing says."""
        bands = self.product.bands
        return bands[self.band - 1].description if self.band <= len(bands) else ""


def find_products(folder: Folder) -> list[Product]:
    """Products of all stages, as their lists ``products/STAGE.json`` say, each once.

    Raises
    ------
    CohmapError
        There are none yet, or a list is damaged or names a file outside the folder.
    """
    found: dict[str, Product] = {}
    for name in folder.names("products"):
        if name.endswith(".json") and not name.startswith("."):
            listed = folder.read_json(f"products/{name}")
            if isinstance(listed, list):  # else it is a stage's own record
                found |= {product.id: product for product in (_product(folder, name, entry) for entry in listed)}
    if not found:
        raise CohmapError(
            f"there are no products in {folder} yet; run `cohmap run` first, or name the folder or region that has some"
        )
    return list(found.values())


def _product(folder: Folder, name: str, entry: Any) -> Product:
    where = folder.address(f"products/{name}")
    try:
        product = Product.from_json(entry)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CohmapError(f"{where} is no list of products ({error!r}); delete it and run its stage again") from None
    texts: list[object] = [product.id, product.kind, product.path, product.title, product.track, product.polarisation]
    texts += [product.reference, product.secondary]
    if not product.bands or not all(isinstance(text, str) for text in texts):
        raise CohmapError(f"{where} is damaged at {product.id!r}; delete it and run its stage again")
    path = PurePosixPath(product.path.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in product.path:
        raise CohmapError(f"{where} names {product.path!r}, which lies outside the folder; it is not read")
    return product


def group_of(product: Product) -> str:
    """Name of the group of layers that a product stands in: that of the first word of its kind."""
    word = product.kind.partition("-")[0]
    return GROUPS.get(word, word.replace("_", " ").capitalize())


def grouped(products: Sequence[Product]) -> dict[str, list[Product]]:
    """Products by group; pairs so that going to the next one is going on in time."""
    known = list(GROUPS.values())
    names = sorted({group_of(p) for p in products}, key=lambda name: [*known, name].index(name))
    groups = {name: [product for product in products if group_of(product) == name] for name in names}
    for members in groups.values():
        if members[0].kind == "coherence":
            members.sort(key=lambda p: (p.track, p.polarisation != "VV", p.polarisation, p.reference, p.days))
    return groups


def label_of(product: Product) -> str:
    """A product's name in a list of its group; pairs by their dates, so that a narrow list still tells them apart."""
    if product.kind != "coherence":
        return product.title
    dates = f"{product.reference[:10]} → {product.secondary[:10]}"
    return f"{dates}, {product.days} d, {product.polarisation}, {product.track}"
