"""Coherence against temporal baseline."""
