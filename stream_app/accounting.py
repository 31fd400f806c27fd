"""What became of every record of a partition."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.reasons import REASONS
from stream_app import opcodes as op

Int64s = npt.NDArray[np.int64]


@dataclass
class Accounting:
    """What became of every record: in = applied + duplicate + refused (late ones are among the refused)."""

    n_in: int = 0
    applied: int = 0
    duplicate: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def late(self) -> int:
        """Refused as too late."""
        return self.refused.get("too_late", 0)

    @property
    def n_refused(self) -> int:
        """Refused for any reason."""
        return sum(self.refused.values())

    def adds_up(self) -> bool:
        """The promise."""
        return self.n_in == self.applied + self.duplicate + self.n_refused

    def update(self, status: Int64s) -> None:
        """Count a batch by its final statuses."""
        self.n_in += len(status)
        self.applied += int((status == op.APPLIED).sum())
        self.duplicate += int((status == op.DUPLICATE).sum())
        for code, n in zip(*np.unique(status[status >= op.REFUSED], return_counts=True), strict=True):
            reason = REASONS[int(code) - op.REFUSED]
            self.refused[reason] = self.refused.get(reason, 0) + int(n)
