"""From a name to a ready estimator. Light to import: PyTorch is loaded when an estimator is built."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from models import weights
from models.coherence.spacing import LEARNED, PUBLISHED, nearest_spacing
from models.coherence.tables import Mode, find_table, windows
from models.errors import ModelError
from models.estimator import Estimator
from models.runtimes.choice import require_runtime

DEFAULT = "speckle-unet"


@dataclass(frozen=True)
class EstimatorInfo:
    """What there is to know of an estimator before it is built.

    Attributes
    ----------
    name, summary, source
        Its name, one line about it, and where it comes from.
    window, windows
        Default side of its window in pixels, and those it is calibrated for; 0 and none for networks.
    modes
        What becomes of its statistic, the default first: calibrated, inverted, raw; none for networks.
    needs
        What must be done before it can be built; empty where it is ready.
    radiometry
        The radiometry of the images that it was trained on; empty where none is expected.
    """

    name: str
    summary: str
    source: str
    window: int = 0
    windows: tuple[int, ...] = ()
    modes: tuple[Mode, ...] = ()
    needs: str = ""
    radiometry: str = ""


@dataclass(frozen=True)
class _Windowed:
    """A statistic over a window."""

    summary: str
    source: str
    window: int
    modes: tuple[Mode, ...]


@dataclass(frozen=True)
class _Network:
    """A network that runs with weights of the same name, shipped (`_SHIPPED`) or the user's own."""

    summary: str
    source: str
    needs: str


_ALL_MODES: tuple[Mode, ...] = ("calibrated", "inverted", "raw")

_WINDOWED: dict[str, _Windowed] = {
    "log-moments": _Windowed(
        summary="log-correlation and the spread of the log ratio read together; common texture hardly counts",
        source="all second moments of the high-passed logarithms, mapped to coherence by simulation",
        window=21,
        modes=("calibrated",),
    ),
    "log-correlation": _Windowed(
        summary="correlation of high-passed logarithms, gamma = sqrt(rho); needs no knowledge of the product",
        source="Touzi et al. 1999 (see touzi-intensity), on logarithms less their 3x3 mean, which takes texture away",
        window=21,
        modes=_ALL_MODES,
    ),
    "guarnieri-prati": _Windowed(
        summary="uncentred correlation of intensities, gamma^2 = (L + 1) rho - L; bright targets fill its window",
        source='Monti Guarnieri & Prati 1997, "SAR interferometry: a quick and dirty coherence estimator for data '
        'browsing", IEEE TGRS 35(3); extended to L looks by the Siegert relation',
        window=15,
        modes=_ALL_MODES,
    ),
    "rignot-van-zyl": _Windowed(
        summary="decorrelation of speckle, gamma^2 = L (E[I1 I2] / (E[I1] E[I2]) - 1); texture counts as coherence",
        source='Rignot & van Zyl 1993, "Change detection techniques for ERS-1 SAR data", IEEE TGRS 31(4), '
        "doi 10.1109/36.239913; here the Siegert relation solved for gamma",
        window=9,
        modes=_ALL_MODES,
    ),
    "touzi-intensity": _Windowed(
        summary="centred sample correlation of intensities, gamma = sqrt(rho); texture counts as coherence",
        source='Touzi, Lopes, Bruniquel & Vachon 1999, "Coherence estimation for SAR imagery", IEEE TGRS 37(1)',
        window=9,
        modes=_ALL_MODES,
    ),
}

_SHIPPED: dict[str, _Network] = {
    "speckle-unet": _Network(
        summary="residual U-Net after a stem that correlates speckle, trained on simulated pairs; uses further dates",
        source="cohmap; its card lies beside its weights in models/coherence/trained",
        needs="",
    ),
}

_NETWORKS: dict[str, _Network] = {
    "beyond-backscatter": _Network(
        summary="the published Residual U-Net with its authors' weights; VV, 10 m, trained on 12 days; sigma is the "
        "published error .108 everywhere, not calibrated",
        source='Sica, Pulella & Schmitt 2026, "Beyond Backscatter: InSAR coherence from detected SAR images"',
        needs="`cohmap weights fetch beyond-backscatter`",
    ),
}


def _networks() -> dict[str, _Network]:
    """The published network, and whatever the user imported under another name."""
    imported = _Network("the published Residual U-Net with weights of yours", "see `cohmap weights list`", needs="")
    taken = _SHIPPED | _NETWORKS | _WINDOWED
    return _NETWORKS | {name: imported for name in weights.names() if name not in taken}


def radiometry_of(name: str) -> str:
    """The radiometry that an estimator of this name was trained on, empty for statistics over a window.

    Networks were trained on sigma0. Brightness itself doesn't enter them, only texture around a pixel: what a slope
    correction adds to that is what they have not seen.
    """
    return "" if is_windowed(name) else "sigma0"


def is_windowed(name: str) -> bool:
    """Whether an estimator of this name is a statistic over a window, which takes no weights."""
    return name in _WINDOWED


def available() -> list[EstimatorInfo]:
    """Every estimator there is, the default first."""
    shipped = [
        EstimatorInfo(name, entry.summary, entry.source, radiometry=radiometry_of(name))
        for name, entry in _SHIPPED.items()
    ]
    classical = [
        EstimatorInfo(name, entry.summary, entry.source, entry.window, windows(name), entry.modes)
        for name, entry in _WINDOWED.items()
    ]
    there = weights.names()
    return (
        shipped
        + classical
        + [
            EstimatorInfo(
                name,
                entry.summary,
                entry.source,
                needs="" if name in there else entry.needs,
                radiometry=radiometry_of(name),
            )
            for name, entry in _networks().items()
        ]
    )


def get(
    name: str = DEFAULT,
    *,
    window: int | None = None,
    mode: str | None = None,
    spacing: float = 10.0,
    device: str = "auto",
    runtime: str = "auto",
) -> Estimator:
    """Build an estimator.

    Parameters
    ----------
    name
        One of `available()`, or the path of weights that `cohmap train` made (.safetensors).
    window
        Side of its window in pixels, one it is calibrated for; its default where left out. Networks have none.
    mode
        calibrated, inverted or raw; its default where left out. Networks have none.
    spacing
        Pixel spacing of the images in metres. The calibration made for the nearest spacing by ratio is taken: that
        for 10 m up to 14 m, for 20 m up to 24 m, for 30 m beyond; more than a factor 1.5 away is refused.
    device
        auto, cpu or cuda.
    runtime
        What computes a network's convolutions: auto (the best that is installed and doesn't round) or one of
        `models.runtimes.choice`. Statistics over a window have no use for it.

    Raises
    ------
    ModelError
        No such estimator, or it has no such window or mode, or no calibration near this spacing, or no such device or
        runtime, or its weights are not there.
    """
    check(name, window=window, mode=mode, spacing=spacing, runtime=runtime)
    if name in _WINDOWED:
        entry = _WINDOWED[name]
        return _classical(name, window or entry.window, _checked_mode(name, entry, mode), spacing, device)
    build = _trained if _is_ours(name) else _network
    return build(name, spacing, device, runtime)


def check(
    name: str = DEFAULT,
    *,
    window: int | None = None,
    mode: str | None = None,
    spacing: float = 10.0,
    runtime: str = "auto",
) -> None:
    """Refuse what `get` refuses, in a moment: but for devices and files that can't be read, which take PyTorch to tell.

    Raises
    ------
    ModelError
        As `get`.
    """
    require_runtime(runtime)
    if name in _WINDOWED:
        entry = _WINDOWED[name]
        find_table(name, entry.window if window is None else window, _checked_mode(name, entry, mode), spacing)
        return
    networks = _SHIPPED | _networks()
    if name not in networks and not _is_ours(name):
        known = [*networks, *_WINDOWED]
        close = difflib.get_close_matches(name, known, n=2)
        hint = f"did you mean {' or '.join(repr(match) for match in close)}? " if close else ""
        raise ModelError(f"unknown estimator '{name}'; {hint}there are: {', '.join(known)}")
    for key, value in (("window", window), ("mode", mode)):
        if value is not None:
            raise ModelError(f"estimator '{name}' is a network and has no {key}; leave {key} out")
    if not _is_ours(name) and name not in weights.names():
        raise ModelError(
            f"estimator '{name}' has no weights in {weights.folder()}; get them with {networks[name].needs}"
        )
    nearest_spacing(name, LEARNED if _is_ours(name) else PUBLISHED, spacing)


def _is_ours(name: str) -> bool:
    """Whether the name means a network of ours: shipped, or a file that `cohmap train` made."""
    return name in _SHIPPED or name.endswith(weights.SUFFIX)


def _classical(name: str, window: int, mode: Mode, spacing: float, device: str) -> Estimator:
    from models.coherence import intensity, logarithm
    from models.coherence.classical import ClassicalEstimator

    statistics = (
        intensity.GUARNIERI_PRATI,
        intensity.RIGNOT_VAN_ZYL,
        intensity.TOUZI_INTENSITY,
        logarithm.LOG_CORRELATION,
        logarithm.LOG_MOMENTS,
    )
    statistic = {each.name: each for each in statistics}[name]
    return ClassicalEstimator(statistic, window=window, mode=mode, spacing=spacing, device=device)


def _trained(name: str, spacing: float, device: str, runtime: str) -> Estimator:
    from models.coherence import learned

    path = learned.SHIPPED / f"{name}{weights.SUFFIX}" if name in _SHIPPED else Path(name)
    return learned.LearnedEstimator(path.stem, path, spacing=spacing, device=device, runtime=runtime)


def _network(name: str, spacing: float, device: str, runtime: str) -> Estimator:
    from models.coherence.residual_unet import ResidualUNetEstimator

    return ResidualUNetEstimator(name, spacing=spacing, device=device, runtime=runtime)


def _checked_mode(name: str, entry: _Windowed, mode: str | None) -> Mode:
    for known in entry.modes:
        if mode in {None, known}:
            return known
    aside = "" if mode in get_args(Mode) else "unknown "
    raise ModelError(f"estimator '{name}' has no {aside}mode '{mode}'; choose one of {', '.join(entry.modes)}")
