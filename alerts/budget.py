"""Error budget: how much the objective allows to fail, how much has failed, how much is left.

What: the budget of one group over its period, by occurrences. Why: spent plus left is the total, always, and one
place says what each means. It refuses to forecast.
"""

from __future__ import annotations

import dataclasses

from alerts import limits


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """Measurements that may be bad in the period (`allowed`), that were (`spent`), and the difference (`left`)."""

    allowed: float
    spent: float

    @property
    def left(self) -> float:
        """What may still fail; negative when the objective is missed."""
        return self.allowed - self.spent

    @property
    def share_left(self) -> float:
        """Left over allowed; 1 when nothing was measured. Negative when the objective is missed."""
        return 1.0 - self.spent / self.allowed if self.allowed > 0 else 1.0


def budget_of(good: int, total: int, allowed: float) -> Budget:
    """Budget of a period's good and total (units of 2**-20): (1 - target) x total allowed, total - good spent.

    Source: The Site Reliability Workbook (2018), ch. 2, event-based error budgets.
    """
    return Budget(max(total, 0) * allowed / limits.FIXED_ONE, max(total - good, 0) / limits.FIXED_ONE)
