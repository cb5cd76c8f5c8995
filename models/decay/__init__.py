"""Coherence against temporal baseline: the curve, its fit, and what an estimator makes of true coherence."""

from models.decay.curve import coherence_at
from models.decay.fit import Fit, Quality, fit

__all__ = ["Fit", "Quality", "coherence_at", "fit"]
