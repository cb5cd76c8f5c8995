"""Images of even and limited brightness, so that a corner reflector counts for a few samples, not for all."""

from __future__ import annotations

import torch
from torch.nn import functional

from models.slc.windows import cleaned

BLOCK = 8
"""Side in samples of the squares whose mean brightness is taken."""
LIMIT = 1.5
"""Greatest modulus of a sample, in units of its surroundings' root mean square. 9 % of pure speckle is beyond it."""
_MEAN_LOG = 0.5772156649
"""Mean of -ln of exponentially distributed power of mean one: Euler's constant."""


def evened(image: torch.Tensor, limit: float = LIMIT) -> tuple[torch.Tensor, torch.Tensor]:
    """Divide by the surroundings' brightness, and cut what stands far out of it; phases stay as they are.

    The brightness is the mean of the logarithm over some 24 samples, which one reflector of 30 dB hardly moves.

    Parameters
    ----------
    image
        Complex samples, shape (…, height, width); NaN or 0 where there is none.
    limit
        Of the moduli that come out.

    Returns
    -------
    image, there
        Evened image, 0 where there is no sample; and where there is one.
    """
    image, there = cleaned(image)
    power = image.real**2 + image.imag**2
    logarithm = torch.where(there, power, 1.0).log()
    brightness = _surroundings(logarithm, there)
    root = (0.5 * (logarithm - brightness - _MEAN_LOG)).exp()  # modulus in units of the root mean square
    factor = root.clamp(max=limit) * torch.where(there, power, 1.0).rsqrt()
    return image * (factor * there), there


def _surroundings(logarithm: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Mean logarithm around, over what is there; interpolated between squares."""
    height, width = logarithm.shape[-2:]
    edges = (0, -width % BLOCK, 0, -height % BLOCK)
    share = functional.pad(there.to(logarithm.dtype), edges).reshape(-1, 1, height + edges[3], width + edges[1])
    total = functional.pad(logarithm * there, edges).reshape(share.shape)
    wide = [
        functional.avg_pool2d(functional.avg_pool2d(part, BLOCK), 3, 1, 1, count_include_pad=False)
        for part in (total, share)
    ]
    mean = wide[0] / wide[1].clamp(min=1e-6)
    full = functional.interpolate(mean, scale_factor=float(BLOCK), mode="bilinear", align_corners=False)
    return full[..., :height, :width].reshape(logarithm.shape)
