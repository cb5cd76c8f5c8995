"""Rasters on disk or object storage, found by file name or by STAC."""

from pipeline.sources.archive.source import ArchiveSource

__all__ = ["ArchiveSource"]
