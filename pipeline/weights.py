"""Weights of the published network: fetched from its authors' repository, converted once, kept for the estimator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import registry, weights
from models.errors import ModelError
from pipeline.errors import CohmapError

MODEL, CONFIG = "model.weights.h5", "config.yaml"
REPOSITORIES = {"beyond-backscatter": "FPSica/beyond-backscatter-grd-gee"}
"""Repositories on the Hugging Face hub, by the name of the estimator that runs their weights."""


@dataclass(frozen=True)
class Imported:
    """Weights that are now in the user's folder.

    Attributes
    ----------
    path
        Where they lie.
    notes
        What the user should know of how config.yaml was read.
    """

    path: Path
    notes: tuple[str, ...]


def import_weights(model: str | Path, config: str | Path, name: str, origin: str) -> Imported:
    """Convert a Keras weight file and its config.yaml to one safetensors file in the user's weights folder.

    Parameters
    ----------
    model, config
        Paths of the two files.
    name
        What the estimator that runs them is to be called.
    origin
        Where they come from, kept with them.

    Raises
    ------
    CohmapError
        One of the files is not what it should be, the name can't be taken, or the folder can't be written.
    """
    from models.keras_weights import read_keras
    from models.published_config import read_config
    from models.resunet import CHANNELS

    if registry.is_windowed(name):
        raise CohmapError(f"'{name}' is an estimator that takes no weights; give another --name")
    try:
        weights.path_of(name)
        said = read_config(config)
        record = weights.Record(CHANNELS, said.scale, said.patch, said.stride, origin, said.text)
        return Imported(weights.save(name, read_keras(model), record), said.notes)
    except ModelError as error:
        raise CohmapError(str(error)) from None


def fetch_weights(
    name: str,
    *,
    revision: str = "main",
    endpoint: str | None = None,
    cache: Path | None = None,
    progress_bars: bool = False,
) -> Imported:
    """Download weights from their authors' repository, and import them.

    Parameters
    ----------
    name
        One of `REPOSITORIES`.
    revision
        Branch, tag or commit of the repository.
    endpoint, cache
        Address of the hub and folder of its downloads; by default what the hub's client takes, which listens to
        HF_ENDPOINT and HF_HOME.
    progress_bars
        Whether the hub's client shows its own.

    Raises
    ------
    CohmapError
        No such name, the hub can't be reached or has no such files, or they can't be imported.
    """
    if name not in REPOSITORIES:
        raise CohmapError(
            f"there are no published weights called '{name}' to fetch, only {', '.join(REPOSITORIES)}; "
            "`cohmap weights import` takes files of your own"
        )
    repository = REPOSITORIES[name]
    _set_up_client(progress_bars=progress_bars)
    config = _download(repository, CONFIG, revision, endpoint, cache)
    commit = config.parent.name  # the hub's client keeps files by commit: so both are of the same
    model = _download(repository, MODEL, commit, endpoint, cache)
    return import_weights(model, config, name, f"https://huggingface.co/{repository} at {commit}")


def _set_up_client(*, progress_bars: bool) -> None:
    try:
        from huggingface_hub import utils
    except ImportError:
        raise CohmapError("fetching weights needs huggingface_hub; `pip install 'cohmap[keras]'` brings it") from None
    client: Any = utils  # only in part annotated
    client.logging.set_verbosity_error()  # what goes wrong is raised, and told in one sentence
    (client.enable_progress_bars if progress_bars else client.disable_progress_bars)()


def _download(repository: str, file: str, revision: str, endpoint: str | None, cache: Path | None) -> Path:
    from huggingface_hub import errors, hf_hub_download

    settings: dict[str, Any] = {"revision": revision, "endpoint": endpoint, "cache_dir": cache}
    try:
        return Path(hf_hub_download(repository, file, library_name="cohmap", **settings))
    except errors.GatedRepoError:
        reason = "its authors ask for their terms to be accepted; do so on its page, then sign in with `hf auth login`"
    except errors.RepositoryNotFoundError:
        reason = "there is no such repository, or it is not public"
    except errors.RevisionNotFoundError:
        reason = f"it has no revision '{revision}'"
    except errors.LocalEntryNotFoundError:
        reason = "the hub can't be reached; try again later, or download both files and use `cohmap weights import`"
    except errors.EntryNotFoundError:
        reason = f"it has no file of that name at revision '{revision}'"
    except (errors.HfHubHTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    raise CohmapError(f"{file} of {repository} on the Hugging Face hub can't be fetched: {reason}")
