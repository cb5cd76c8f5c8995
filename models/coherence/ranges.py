"""What a network may answer."""

LOWEST_LOG, HIGHEST_LOG = -11.0, -2.0
"""Limits of the logarithm of variance: sigma from 0.004 to 0.37."""
