"""Batch export: Earth Engine's tasks write files to a bucket, and the files are read from there."""
