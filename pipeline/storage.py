"""The output folder, local or on object storage: what has its final name is whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.core import url_to_fs
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from pipeline.errors import CohmapError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".partial"
# What the disk says when it takes no more, whoever was writing.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


# Libraries that talk to object storage; their errors have no common ancestor.
_CLIENTS = {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs"}


@dataclass(frozen=True)
class Folder:
    """A folder by path or URI (``s3://``, ``gs://``, anything fsspec opens).

    Every write is atomic: on disk under a temporary name, fsynced, then renamed; on object storage by one put.
    """

    uri: str

    @cached_property
    def local(self) -> Path | None:
        """The folder's path, None where it lies on object storage."""
        if "://" not in self.uri:
            return Path(self.uri)
        if self.uri.startswith("file://"):
            return Path(self.uri.removeprefix("file://"))
        return None

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        try:
            # what workers write on object storage must be seen here: nothing that was listed is remembered
            filesystem, root = url_to_fs(self.uri, use_listings_cache=False)
        except ImportError as error:
            raise CohmapError(f"{self.uri}: {error}; `pip install 'cohmap[cloud]'` brings s3:// and gs://") from None
        except ValueError as error:
            raise CohmapError(f"{self.uri} is no address that can be written: {error}") from None
        return filesystem, root

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> Folder:
        return Folder(f"{self.uri.rstrip('/')}/{name}")

    @property
    def absolute(self) -> str:
        """The folder's address as a process in another directory finds it."""
        return str(self.local.resolve()) if self.local else self.uri

    def address(self, name: str) -> str:
        """Path or URI of a file, as GDAL and fsspec read it."""
        return str(self.local / name) if self.local else f"{self.uri.rstrip('/')}/{name}"

    def require_writable(self) -> None:
        """Make the folder, and make sure that it can be written.

        Raises
        ------
        CohmapError
            It can't; says why.
        """
        probe = f".probe-{uuid.uuid4().hex}{PARTIAL}"
        try:
            self.write_bytes(probe, b"")
            self.remove(probe)
        except CohmapError:
            raise
        except Exception as error:  # noqa: BLE001 - every storage library has its own errors
            raise CohmapError(f"output {self.uri} can't be written: {error}; choose another with --output") from None

    def exists(self, name: str) -> bool:
        """Whether a file of this name is there."""
        if self.local:
            return (self.local / name).exists()
        filesystem, root = self._remote
        return bool(filesystem.exists(f"{root}/{name}"))

    def names(self, below: str) -> list[str]:
        """Names of what lies directly in a folder below this one, sorted; none where there is no such folder."""
        if self.local:
            try:
                return sorted(path.name for path in (self.local / below).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return []
        filesystem, root = self._remote
        try:
            found = filesystem.ls(f"{root}/{below}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def names_below(self, below: str) -> Iterator[str]:
        """Names of all files in a folder below this one and in its folders, relative to it, in no order."""
        if self.local:
            top = str(self.local / below)
            for where, _, names in os.walk(top):
                yield from (f"{where.removeprefix(top)}/{name}".lstrip("/") for name in names)
            return
        filesystem, root = self._remote
        try:
            found = filesystem.find(f"{root}/{below}")
        except FileNotFoundError:
            return
        yield from (str(path).removeprefix(f"{root}/{below}/") for path in found)

    def read_bytes(self, name: str) -> bytes:
        """A file's content; FileNotFoundError where there is none."""
        if self.local:
            return (self.local / name).read_bytes()
        filesystem, root = self._remote
        return bytes(filesystem.cat_file(f"{root}/{name}"))

    def read_into(self, name: str, stream: BinaryIO) -> None:
        """Write a file's content behind a stream's, piece by piece; FileNotFoundError where there is no such file."""
        if self.local:
            source: Any = (self.local / name).open("rb")
        else:
            filesystem, root = self._remote
            source = filesystem.open(f"{root}/{name}", "rb")
        with source:
            shutil.copyfileobj(source, stream, 1 << 20)

    def read_json(self, name: str) -> Any:
        """A JSON file's content.

        Raises
        ------
        CohmapError
            The file was damaged from outside.
        """
        try:
            return json.loads(self.read_bytes(name))
        except (ValueError, RecursionError) as error:
            raise CohmapError(f"{self.address(name)} is damaged ({error}); delete it and run again") from None

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        if self.local:
            with self.staged(name) as temporary:
                temporary.write_bytes(content)
        else:
            filesystem, root = self._remote
            filesystem.pipe_file(f"{root}/{name}", content)

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file whole or not at all."""
        self.write_bytes(name, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        if self.local:
            (self.local / name).unlink(missing_ok=True)
        else:
            filesystem, root = self._remote
            if filesystem.exists(f"{root}/{name}"):
                filesystem.rm_file(f"{root}/{name}")

    @contextlib.contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        """A temporary local file that gets its final name when the block ends without an error."""
        if self.local:
            target = self.local / name
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}{PARTIAL}")
            try:
                yield temporary
                fsync(temporary)
                temporary.replace(target)
                fsync(target.parent)
            finally:
                temporary.unlink(missing_ok=True)
        else:
            filesystem, root = self._remote
            with tempfile.TemporaryDirectory() as folder:
                temporary = Path(folder) / Path(name).name
                yield temporary
                filesystem.put_file(str(temporary), f"{root}/{name}")

    def sweep(self) -> int:
        """Remove temporary files, and uploads to S3, that a killed run left unfinished; returns how many."""
        if not self.local:
            return self._sweep_uploads()
        if not self.local.is_dir():
            return 0
        leftovers = [path for path in self.local.rglob(f"*{PARTIAL}*") if path.is_file()]
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)

    def _sweep_uploads(self) -> int:
        """S3 keeps the parts of an unfinished upload out of sight, and charges for them, until it is given up."""
        filesystem, root = self._remote
        if not hasattr(filesystem, "list_multipart_uploads"):
            return 0
        bucket, _, prefix = root.partition("/")
        try:
            begun = filesystem.list_multipart_uploads(bucket) or []
            ours = [upload for upload in begun if upload["Key"].startswith(f"{prefix}/" if prefix else "")]
            for upload in ours:
                filesystem.call_s3(
                    "abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        except (OSError, NotImplementedError):
            return 0  # not everyone who may write may list uploads, and not every store knows them
        return len(ours)

    def zarr(self, name: str) -> Store:
        """A Zarr store below this folder."""
        if self.local:
            return LocalStore(self.local / name)
        try:
            return FsspecStore.from_url(f"{self.uri.rstrip('/')}/{name}")
        except ImportError as error:
            raise CohmapError(f"{self.uri}: {error}; `pip install 'cohmap[cloud]'` brings s3:// and gs://") from None


@contextlib.contextmanager
def explain_full_disk(folder: Folder) -> Iterator[None]:
    """Turn an operating system's "no space left" into a sentence that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise CohmapError(
            f"output {folder} can't be written ({error.strerror}); make room, then give the same command again"
        ) from None


@contextlib.contextmanager
def explain_lost_store(folder: Folder) -> Iterator[None]:
    """Turn what libraries say of object storage that fails, in spite of their own retries, into one sentence."""
    try:
        yield
    except Exception as error:
        library = type(error).__module__.partition(".")[0]
        if folder.local or isinstance(error, CohmapError) or not (isinstance(error, OSError) or library in _CLIENTS):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise CohmapError(
            f"output {folder} failed ({said}); what is finished stays finished, give the same command again later"
        ) from None


@contextlib.contextmanager
def lock(folder: Folder) -> Iterator[None]:
    """Keep a second cohmap out of the same output folder; a killed run leaves no lock behind.

    Object storage has no locks: there, one run at a time is the user's care.
    """
    if not folder.local or fcntl is None:
        yield
        return
    with (folder.local / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CohmapError(
                f"another cohmap is at work in {folder}; wait for it, or choose another --output"
            ) from None
        yield


def fsync(path: Path) -> None:
    """Make a file's content (or a folder's entries) survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
