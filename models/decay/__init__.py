"""Coherence against temporal baseline: the curve, its fit, and what an estimator makes of true coherence."""

from models.decay.curve import coherence_at
from models.decay.fit import TOLD, Fit, Quality, fit

__all__ = ["TOLD", "Fit", "Quality", "coherence_at", "fit"]
