"""When tokens and leases are renewed, and when they are replaced instead."""

from __future__ import annotations

import random

RENEW_AT = 2 / 3
LEAST_PAUSE_SECONDS = 0.2


def pause_before_renewal(seconds: float) -> float:
    """Seconds to wait before renewing what lives for `seconds`: two thirds, jittered downwards."""
    return max(seconds * RENEW_AT * random.uniform(0.9, 1.0), LEAST_PAUSE_SECONDS)


def is_capped(renewed: float, granted: float) -> bool:
    """Whether a renewal gave clearly less than at first: its longest life (max TTL) is near."""
    return renewed < granted * RENEW_AT
