"""A leaky bucket, refilled by the time that passed."""

from __future__ import annotations

import random
import time


class RateLimiter:
    """Credits flow in per second up to `max_balance`; it starts with a random part of that,
    so that services started together do not sample together."""

    def __init__(self, credits_per_second: float, max_balance: float) -> None:
        self.credits_per_second = credits_per_second
        self.max_balance = max_balance
        self.balance = max_balance * random.random()
        self.last_tick = self.timestamp()

    @staticmethod
    def timestamp() -> float:
        return time.time()

    def update(self, credits_per_second: float, max_balance: float) -> None:
        """Changes the rate; the balance keeps its proportion."""
        self._refill()
        self.credits_per_second = credits_per_second
        self.balance = max_balance * self.balance / self.max_balance
        self.max_balance = max_balance

    def check_credit(self, item_cost: float) -> bool:
        """Pays `item_cost` if the balance allows."""
        self._refill()
        if self.balance < item_cost:
            return False
        self.balance -= item_cost
        return True

    def _refill(self) -> None:
        now = self.timestamp()
        elapsed = max(now - self.last_tick, 0.0)  # the clock may have been set back
        self.last_tick = now
        self.balance = min(self.balance + elapsed * self.credits_per_second, self.max_balance)
