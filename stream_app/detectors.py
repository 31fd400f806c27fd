"""Sequential detectors for the fast loop: River's ADWIN and Page-Hinkley behind one small interface.

River is imported here alone and only when a detector is made (4-5 s, 160 MB): workers never pay for it. A snapshot is
the last values seen, not River's internals: restoring replays them, so it is exact until the buffer was full once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Self

from stream_app.drift import Verdict

BUFFER: Final = 4096


class Detector:
    """Looks at one value after the other and says whether their mean has moved.

    Use the subclasses. `verdict` is ``too_few`` for the first `min_values`, ``drifted`` on the very value that gave
    the alarm, else ``steady``; after an alarm the detector begins anew, as River's do.
    """

    min_values: int

    def __init__(self, **settings: float) -> None:
        self._settings = settings
        self._river = self._create(**settings)
        self._seen: deque[float] = deque(maxlen=BUFFER)
        self.n_seen = 0

    @property
    def verdict(self) -> Verdict:
        """Of the last value."""
        if self._river.drift_detected:
            return "drifted"
        return "too_few" if self.n_seen < self.min_values else "steady"

    def update(self, value: float) -> Self:
        """Take the next value (finite)."""
        self._river.update(value)
        self._seen.append(value)
        self.n_seen += 1
        return self

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state: settings, how many values were seen, and the last ones."""
        return {"settings": dict(self._settings), "n_seen": self.n_seen, "values": list(self._seen)}

    @classmethod
    def restore(cls, snapshot: Mapping[str, Any]) -> Self:
        """The detector that `snapshot` was taken of, by replay."""
        detector = cls(**snapshot["settings"])
        for value in snapshot["values"]:
            detector.update(value)
        detector.n_seen = snapshot["n_seen"]
        return detector

    @staticmethod
    def _create(**settings: float) -> Any:
        raise NotImplementedError


class Adwin(Detector):
    """ADWIN: a window that shrinks when two parts of it differ in mean (Bifet and Gavalda 2007; `river.drift.ADWIN`).

    Parameters
    ----------
    delta
        Confidence; smaller is calmer.
    """

    min_values = 32

    def __init__(self, delta: float = 0.002) -> None:
        super().__init__(delta=delta)

    @staticmethod
    def _create(**settings: float) -> Any:
        from river import drift

        adwin: Any = drift.ADWIN
        return adwin(delta=settings["delta"])


class PageHinkley(Detector):
    """Page-Hinkley: the summed distance from the running mean, both ways (Page 1954; `river.drift.PageHinkley`).

    Parameters
    ----------
    delta
        Change of the mean that is tolerated, in the values' unit.
    threshold
        Summed excess that gives the alarm.
    min_values
        Values before the first alarm.
    """

    def __init__(self, delta: float = 0.005, threshold: float = 50.0, min_values: int = 30) -> None:
        self.min_values = int(min_values)
        super().__init__(delta=delta, threshold=threshold, min_values=min_values)

    @staticmethod
    def _create(**settings: float) -> Any:
        from river import drift

        return drift.PageHinkley(
            min_instances=int(settings["min_values"]),
            delta=settings["delta"],
            threshold=settings["threshold"],
            mode="both",
        )


def fast_loop_detector() -> Detector:
    """The fast loop's detector for standardised residuals: one scale unit is tolerated, an excess of 30 alarms."""
    return PageHinkley(delta=1.0, threshold=30.0, min_values=30)
