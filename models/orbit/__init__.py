"""Circular orbits: where a satellite flies, what its swath sees, and under which angle."""
