"""Integer summaries of one partition for the watch: event steps, tick histograms, matured outcomes.

Sums of integers, so that summaries of any split of the same rows merge to the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.reasons import REASONS
from stream_app import opcodes as op
from stream_app.bins import score_bins
from stream_app.columns import Columns
from stream_app.plan import Plan
from stream_app.watch_kernel import count_bins, count_steps

Int64s = npt.NDArray[np.int64]
Floats32 = npt.NDArray[np.float32]


class SummaryBuilder:
    """Collects what happened until the next checkpoint takes it."""

    def __init__(self, plan: Plan) -> None:
        self.step_ms = plan.workload.watch.step_ms
        counts = [len(topic.fields) for topic in plan.workload.topics]
        self._field_at = np.cumsum([0, *counts]).astype(np.int64)
        self._n_fields = np.array(counts, np.int64)
        self._n_kinds, self._n_values = plan.n_kinds, int(self._field_at[-1])
        self._n_features = plan.n_features
        self.step: int | None = None
        self._open = self._empty_step()
        self._ended: list[tuple[int, Int64s]] = []  # steps that wait for the ticks of an open day
        self._is_day_open = False
        self._scored: dict[int, Int64s] = {}  # step -> number of scores and their sum in millionths
        self._done: list[dict[str, Any]] = []
        self._days: dict[tuple[int, str], dict[str, Any]] = {}
        self._outcomes: dict[tuple[int, str], Int64s] = {}
        self._closed_days = -1

    def _empty_step(self) -> Int64s:
        return np.zeros(self._n_kinds + 3 * self._n_values + len(REASONS), np.int64)

    def events(self, columns: Columns, order: Int64s) -> None:
        """Count the events of a batch, in order, once their statuses are final.

        A step is ``known_time // step_ms`` and never goes back: what was known earlier, and what was refused (its times
        may say anything), counts in the newest step so far.
        """
        if not len(order):
            return
        numbers = columns.known_time[order] // self.step_ms
        numbers[columns.status[order] >= op.REFUSED] = op.NONE
        numbers[0] = max(int(numbers[0]), op.NONE if self.step is None else self.step)
        seen, rows = np.unique(np.maximum.accumulate(numbers), return_inverse=True)
        width = self._n_kinds + 3 * self._n_values
        steps = np.zeros((len(seen), width), np.int64)
        refused = np.zeros((len(seen), len(REASONS)), np.int64)
        count_steps(
            order, rows, columns.status, columns.source, columns.kind, columns.values, self._field_at, self._n_fields,
            steps, refused,
        )  # fmt: skip
        for row, step in enumerate(seen.tolist()):
            if step != op.NONE:
                self._advance(step)
            self._open[:width] += steps[row]
            self._open[width:] += refused[row]

    def _advance(self, step: int) -> None:
        """End the open step when a later one begins."""
        if self.step is not None and step > self.step:
            self._ended.append((self.step, self._open))
            self._open = self._empty_step()
            if not self._is_day_open:
                self._close_steps()
        self.step = step if self.step is None else max(step, self.step)

    def _close_steps(self) -> None:
        for step, numbers in self._ended:
            scored = [number for number in self._scored if number <= step]
            sums = np.sum([self._scored.pop(number) for number in scored], axis=0) if scored else np.zeros(2, np.int64)
            if numbers.any() or sums.any():
                self._done.append(self._step_record(step, numbers, sums))
        self._ended = []

    def _step_record(self, step: int, numbers: Int64s, scores: Int64s) -> dict[str, Any]:
        cuts = np.cumsum([self._n_kinds, self._n_values, self._n_values, self._n_values])
        kinds, nulls, sums, present, refused = (part.tolist() for part in np.split(numbers, cuts))
        return {
            "start_ms": step * self.step_ms, "n_events": kinds, "n_refused": refused, "n_null": nulls, "sums": sums,
            "n_values": present, "n_scores": int(scores[0]), "score_micros": int(scores[1]),
        }  # fmt: skip

    def scores(self, rows: Int64s, scores: Floats32, x: Floats32, version: str, edges: Floats32 | None) -> None:
        """Count the scores of a batch of due rows; tick rows go into their day's histograms."""
        ticks = rows[:, 2] == op.TICK
        self._count_scores(rows, scores, ticks)
        for day in np.unique(rows[ticks, 1] // op.DAY_MS).tolist():
            chosen = ticks & (rows[:, 1] == day * op.DAY_MS)
            self._count_day(day, version, x[chosen], rows[chosen], scores[chosen], edges)

    def _count_scores(self, rows: Int64s, scores: Floats32, ticks: npt.NDArray[np.bool_]) -> None:
        """By the step of the moment: an event row's is just after its event, a tick's is the step that begins there."""
        micros = np.rint(scores.astype(np.float64) * 1e6).astype(np.int64)
        numbers = np.where(ticks, rows[:, 1], rows[:, 1] - 1) // self.step_ms
        scored = rows[:, 2] != op.ENDED
        for number in np.unique(numbers[scored]).tolist():
            mine = micros[scored & (numbers == number)]
            before = self._scored.get(number, np.zeros(2, np.int64))
            self._scored[number] = before + np.array([len(mine), int(mine.sum())])

    def _count_day(
        self, day: int, version: str, x: Floats32, rows: Int64s, scores: Floats32, edges: Floats32 | None
    ) -> None:
        record = self._days.setdefault((day, version), self._empty_day())
        record["n_rows"] += len(rows)
        record["scores"] += np.bincount(score_bins(scores), minlength=op.SCORE_BINS)
        if edges is not None:
            count_bins(np.ascontiguousarray(x), np.ascontiguousarray(rows), edges, record["histograms"])

    def _empty_day(self) -> dict[str, Any]:
        histograms = np.zeros((self._n_features, op.N_BINS), np.int64)
        return {"n_rows": 0, "histograms": histograms, "scores": np.zeros(op.SCORE_BINS, np.int64)}

    def outcomes(self, outcomes: Int64s, version_of: Any) -> None:
        """Count matured outcomes (day, score bin, label); ``version_of(day)`` names the model of that day."""
        for day in np.unique(outcomes[:, 0]).tolist():
            mine = outcomes[outcomes[:, 0] == day]
            counts = self._outcomes.setdefault((day, version_of(day)), np.zeros((2, op.SCORE_BINS), np.int64))
            np.add.at(counts, (mine[:, 2], mine[:, 1]), 1)

    def open_day(self, day: int) -> None:
        """A day's 00:00 closes every earlier step; its ticks begin, and no other step closes before `close_day`."""
        self._advance(day * op.DAY_MS // self.step_ms)
        self._is_day_open = True

    def close_day(self, day: int) -> None:
        """All ticks up to ``day`` are in."""
        self._is_day_open = False
        self._closed_days = max(self._closed_days, day)
        self._close_steps()

    def take(self) -> dict[str, Any] | None:
        """What is complete, without partition and number; None when there is nothing new."""
        days = [key for key in sorted(self._days) if key[0] <= self._closed_days]
        settled = sorted(self._outcomes)
        if not (self._done or days or settled):
            return None
        record = {
            "through_day": self._closed_days,
            "through_ms": (self._ended[0][0] if self._ended else self.step or 0) * self.step_ms,
            "steps": self._done,
            "days": [self._day_record(key) for key in days],
            "outcomes": [self._outcome_record(key) for key in settled],
        }
        self._done = []
        return record

    def _day_record(self, key: tuple[int, str]) -> dict[str, Any]:
        day = self._days.pop(key)
        return {
            "day": key[0], "model_version": key[1], "n_rows": day["n_rows"],
            "histograms": day["histograms"].ravel().tolist(), "scores": day["scores"].tolist(),
        }  # fmt: skip

    def _outcome_record(self, key: tuple[int, str]) -> dict[str, Any]:
        negatives, positives = self._outcomes.pop(key).tolist()
        return {"as_of_day": key[0], "model_version": key[1], "negatives": negatives, "positives": positives}

    def snapshot(self) -> dict[str, Any]:
        """What is still open, as plain JSON-able values."""
        days = [
            [day, version, d["n_rows"], d["histograms"].ravel().tolist(), d["scores"].tolist()]
            for (day, version), d in self._days.items()
        ]
        scored = [[step, *sums.tolist()] for step, sums in self._scored.items()]
        return {
            "step": self.step, "open": self._open.tolist(), "scored": scored, "days": days, "closed": self._closed_days,
            "ended": [[step, numbers.tolist()] for step, numbers in self._ended],
        }  # fmt: skip

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a `snapshot` taken after `take`."""
        self.step, self._closed_days = snapshot["step"], snapshot["closed"]
        self._open = np.array(snapshot["open"], np.int64)
        self._ended = [(step, np.array(numbers, np.int64)) for step, numbers in snapshot["ended"]]
        self._scored = {step: np.array(sums, np.int64) for step, *sums in snapshot["scored"]}
        self._done, self._outcomes = [], {}
        self._days = {
            (day, version): {
                "n_rows": n,
                "histograms": np.array(histograms, np.int64).reshape(self._n_features, op.N_BINS),
                "scores": np.array(scores, np.int64),
            }
            for day, version, n, histograms, scores in snapshot["days"]
        }
