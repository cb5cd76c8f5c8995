"""Coherence from two images: one subject a file, all of them behind the contract in `models.estimator`."""
