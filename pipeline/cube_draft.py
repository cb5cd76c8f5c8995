"""A cube's metadata and coordinates, made in memory and put in place so that a kill leaves the old cube or the new one.

Who opens a cube as a whole reads its consolidated metadata, and these stand in the root document alone. So that one is
written last: until then there is no cube, or it is what it was.
"""

from __future__ import annotations

import json

from zarr.abc.buffer import Buffer
from zarr.buffer import cpu
from zarr.storage import MemoryStore

from pipeline.storage import Folder

ROOT = "zarr.json"
# Arrays of fewer axes are coordinates: small, and read whole.
AXES_OF_MAPS = 3


class Draft:
    """What a cube shall be, but for the chunks of its maps; begins as what it is.

    Attributes
    ----------
    store
        To be opened by Zarr.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self._name = folder, name
        self._before = _read_files(folder, name)
        self._files: dict[str, Buffer] = {key: cpu.Buffer.from_bytes(held) for key, held in self._before.items()}
        self.store = MemoryStore(self._files)

    def publish(self) -> None:
        """Write what has changed, the root document last."""
        for key in sorted(self._files, key=lambda key: (key == ROOT, key)):
            content = self._files[key].to_bytes()
            if content != self._before.get(key):
                self._folder.write_bytes(f"{self._name}/{key}", content)


def _read_files(folder: Folder, name: str) -> dict[str, bytes]:
    """Documents and coordinates; nothing where there is no root document, whatever a kill left beside it."""
    if not folder.exists(f"{name}/{ROOT}"):
        return {}
    found = {ROOT: folder.read_bytes(f"{name}/{ROOT}")}
    for array in folder.names(name):
        if not folder.exists(f"{name}/{array}/{ROOT}"):
            continue
        metadata = found[f"{array}/{ROOT}"] = folder.read_bytes(f"{name}/{array}/{ROOT}")
        if len(json.loads(metadata)["shape"]) < AXES_OF_MAPS:
            chunks = (file for file in folder.names_below(f"{name}/{array}") if file != ROOT)
            found |= {f"{array}/{file}": folder.read_bytes(f"{name}/{array}/{file}") for file in chunks}
    return found
