"""cohmap's stages: plan, export, infer, mosaic, change, catalogue, report."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cohmap")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
