"""Tests: read like examples; a package so that they can share the stand-in for Earth Engine."""
