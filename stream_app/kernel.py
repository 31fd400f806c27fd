"""The compiled heart: find a customer's row, tick it, apply an event, take a feature row.

Table-driven: every number that depends on the workload comes from a `Plan`, so one compile serves all workloads.
State is one run of bytes per partition seen as int64 (``s64``), int32 (``s32``) and uint8 (``s8``).
Not here: decoding (`decode_kernel`), merging (`merge_kernel`), scores and alerts (`decide_kernel`), features
(`feature_kernel`). Long because Numba takes tables one by one: half of the lines name arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, allocating, compiled, inlined
from stream_app import opcodes as op
from stream_app.feature_kernel import new_frames, take_features
from stream_app.key_kernel import find_slot, murmur2_partition
from stream_app.opcodes import (
    RULE_DECISION_AT,
    RULE_EVENT_AT,
    RULE_FORGET,
    RULE_GRACE,
    RULE_HORIZON_DAYS,
    RULE_I32_AT,
    RULE_IDLE,
    RULE_LABEL,
    RULE_MEMORY_AT,
    RULE_MEMORY_DAYS,
    RULE_MIN_TENURE,
    RULE_N_RULES,
    RULE_SCORE_EVERY,
    RULE_STAMPS_AT,
)
from stream_app.prefetch_kernel import prefetch

# control: the scalars of a partition that kernels read and write
N_SLOTS, N_FREE, N_OUT, N_OUTCOMES, CLOCK_DAY, FAILED, PARTITION, N_PARTITIONS, ALL_TICKS, SAMPLE, SEED = range(11)
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
FAR, NEAR = 8, 4  # events ahead: to look for the row, to fetch it
PLACE_DAYS = 4  # days whose tiles' places are remembered: events are of today, a few of the days before
NEAR_DAYS = 8  # heads that move by fewer days share the list of what to clear
FOREVER_DAYS = 100_000  # longer than any ring
ALL_EVENTS = 1 << 31  # in SAMPLE: every event row is due; below, that share of 2^31


@compiled
def _put_clears(rings: Array, old_day: Integer, new_day: Integer, clears: Array, g: Integer) -> None:
    """Write to ``clears[g]`` which tiles come into view when a head moves: day, number, then (region, at, value)."""
    n = 0
    for j in range(rings.shape[0]):
        region, at, length, tile_days, clear = rings[j, 0], rings[j, 1], rings[j, 2], rings[j, 3], rings[j, 4]
        head, target = old_day // tile_days, new_day // tile_days
        for tile in range(max(head, target - length) + 1, target + 1):
            place = tile % length
            is_bit = region == op.RING_BITS
            clears[g, 2 + 3 * n] = region
            clears[g, 3 + 3 * n] = at + place // 64 if is_bit else at + place
            clears[g, 4 + 3 * n] = ~(np.int64(1) << (place % 64)) if is_bit else clear
            n += 1
    clears[g, 0], clears[g, 1] = new_day, n


@inlined
def _advance(
    s64: Array, s32: Array, e64: Integer, e32: Integer, rings: Array, old_day: Integer, new_day: Integer, clears: Array
) -> None:
    """Move every ring's head from ``old_day`` to ``new_day``, clearing the tiles that come into view.

    Which these are follows from the two days; for the usual short ways it is looked up in ``clears``.
    """
    gap = new_day - old_day
    g = 0
    if old_day == op.NONE:
        _put_clears(rings, new_day - FOREVER_DAYS, new_day, clears, 0)
    elif gap < len(clears):
        g = gap
        if clears[g, 0] != new_day:
            _put_clears(rings, old_day, new_day, clears, g)
    else:
        _put_clears(rings, old_day, new_day, clears, 0)
    for n in range(clears[g, 1]):
        region, at = clears[g, 2 + 3 * n], clears[g, 3 + 3 * n]
        if region == op.RING_I32:
            s32[e32 + at] = 0
        elif region == op.RING_I64:
            s64[e64 + at] = clears[g, 4 + 3 * n]
        else:
            s64[e64 + at] &= clears[g, 4 + 3 * n]


@allocating
def new_memory(ops: Array, rings: Array, fops: Array) -> Any:
    """What `apply` and `sweep` remember of the days that they met, for one plan: frames of `feature_kernel`, the days
    and places of `_places_of`, the lists of `_advance` (the first is for long ways); for no days yet.
    """
    n = 0
    for j in range(rings.shape[0]):
        n += rings[j, 2]
    clears = np.zeros((NEAR_DAYS, 2 + 3 * n), np.int64)
    clears[:, 0] = op.NONE
    return new_frames(fops), np.full(PLACE_DAYS, op.NONE, np.int64), np.zeros((PLACE_DAYS, len(ops)), np.int64), clears


@inlined
def _update(
    s64: Array,
    s32: Array,
    e64: Integer,
    e32: Integer,
    kind: Integer,
    day: Integer,
    time: Integer,
    id_hash: Array,
    values: Array,
    kind_ptr: Array,
    ops: Array,
    rings: Array,
    places: Array,
    w: Integer,
    clears: Array,
) -> Any:
    """Apply one event to the event part; False when a sum would overflow. ``places[w]`` are those of its day."""
    head = s64[e64 + op.ROW_DAY]
    if head == op.NONE or day > head:
        _advance(s64, s32, e64, e32, rings, head, day, clears)
        s64[e64 + op.ROW_DAY] = day
        head = day
    for j in range(kind_ptr[kind], kind_ptr[kind + 1]):
        code = ops[j, 0]
        at = ops[j, 1]
        if code <= op.SET_DAY:
            if day < head and day // ops[j, 3] <= head // ops[j, 3] - ops[j, 2]:
                continue
            place = places[w, j]
            if code == op.ADD_COUNT:
                s32[e32 + at + place] += 1
            elif code == op.SET_DAY:
                s64[e64 + at + place // 64] |= np.int64(1) << (place % 64)
            else:
                value = values[ops[j, 4]]
                if value == op.NONE:
                    continue
                if code == op.ADD_SUM:
                    # compared before adding: compiled code may assume that a signed sum does not overflow
                    old = s64[e64 + at + place]
                    if (value > 0 and old > LARGEST - value) or (value < 0 and old < SMALLEST - value):
                        return False
                    s64[e64 + at + place] = old + value
                elif code == op.ADD_PRESENT:
                    s32[e32 + at + place] += 1
                elif value > s64[e64 + at + place]:
                    s64[e64 + at + place] = value
        elif code == op.MAX_TIME:
            if time > s64[e64 + at]:
                s64[e64 + at] = time
        elif code == op.MIN_TIME:
            if s64[e64 + at] == op.NONE or time < s64[e64 + at]:
                s64[e64 + at] = time
        elif code == op.ADD_OPEN:
            s64[e64 + at] += ops[j, 5]
        else:
            value = values[ops[j, 4]]
            if value == op.NONE:
                continue
            if code == op.MAX_VALUE:
                if value > s64[e64 + at]:
                    s64[e64 + at] = value
            else:
                _keep_last(s64, e64 + at, time, id_hash, value)
    return True


@inlined
def _places_of(day: Integer, ops: Array, days: Array, places: Array) -> Any:
    """Row of ``places`` with the tile of each op on ``day``: divisions once a day, not once an event."""
    w = day & (len(days) - 1)
    if days[w] != day:
        days[w] = day
        for j in range(len(ops)):
            if ops[j, 0] <= op.SET_DAY:
                places[w, j] = day // ops[j, 3] % ops[j, 2]
    return w


@compiled
def _keep_last(s64: Array, at: Integer, time: Integer, id_hash: Array, value: Integer) -> None:
    """Keep the greatest (time, hash, value): the same whatever the order of arrival."""
    if time > s64[at]:
        newer = True
    elif time < s64[at]:
        newer = False
    elif id_hash != s64[at + 1]:
        newer = id_hash > s64[at + 1]
    else:
        newer = value > s64[at + 2]
    if newer:
        s64[at] = time
        s64[at + 1] = id_hash
        s64[at + 2] = value


@compiled
def is_live(s64: Array, e64: Integer, as_of: Integer, rule: Array) -> Any:
    """Whether the customer is live at ``as_of``: started, not ended since, not idle, not lapsed.

    A clock that is ahead by minutes may stamp a start after ``as_of``: who had started before stays live.
    """
    start = s64[e64 + op.START]
    if start == op.NONE or s64[e64 + op.FIRST] >= as_of or s64[e64 + op.END] >= start:
        return False
    if rule[RULE_IDLE] > 0 and as_of - s64[e64 + op.LAST] > rule[RULE_IDLE]:
        return False
    return not (
        rule[RULE_LABEL] == op.LAPSE
        and (s64[e64 + op.LABEL] == op.NONE or s64[e64 + op.LABEL] + rule[RULE_GRACE] <= as_of)
    )


@compiled
def _outcome(s64: Array, e64: Integer, scored_at: Integer, horizon_end: Integer, rule: Array) -> Any:
    """1 when the label came true in (scored_at, horizon_end], by what the row knows now."""
    label = s64[e64 + op.LABEL]
    if rule[RULE_LABEL] == op.INACTIVITY:
        return 0 if label > scored_at else 1
    if label == op.NONE:
        return 0
    moment = label + rule[RULE_GRACE]
    return 1 if scored_at < moment <= horizon_end else 0


@compiled
def _remember_outcomes(
    s64: Array,
    s8: Array,
    slot: Integer,
    row64: Integer,
    row8: Integer,
    day: Integer,
    rule: Array,
    control: Array,
    outcomes: Array,
) -> None:
    """Settle the tick scores whose horizon has passed by ``day``; free their place for the days to come."""
    e64 = slot * row64 + rule[RULE_EVENT_AT]
    ring = slot * row8 + rule[RULE_MEMORY_AT]
    days, horizon = rule[RULE_MEMORY_DAYS], rule[RULE_HORIZON_DAYS]
    last = s64[slot * row64 + rule[RULE_DECISION_AT] + op.TICK_DAY]
    for scored_day in range(last + 1 - horizon, min(last, day - horizon) + 1):
        place = ring + scored_day % days
        if s8[place] != 0:
            n = control[N_OUTCOMES]
            outcomes[n, 0] = scored_day
            outcomes[n, 1] = s8[place] - 1
            scored_at = scored_day * op.DAY_MS
            outcomes[n, 2] = _outcome(s64, e64, scored_at, scored_at + horizon * op.DAY_MS, rule)
            control[N_OUTCOMES] = n + 1
            s8[place] = 0


@compiled
def _emit(
    s64: Array,
    s32: Array,
    slot: Integer,
    row64: Integer,
    as_of: Integer,
    row_kind: Integer,
    rule: Array,
    fops: Array,
    fscale: Array,
    zone: Array,
    frames: Array,
    control: Array,
    out_rows: Array,
    out_stamps: Array,
    out_x: Array,
) -> None:
    """Put a feature row into the batch to be scored."""
    n = control[N_OUT]
    e64 = slot * row64 + rule[RULE_EVENT_AT]
    out_rows[n, 0] = slot
    out_rows[n, 1] = as_of
    out_rows[n, 2] = row_kind
    stamps = slot * row64 + rule[RULE_STAMPS_AT]
    for j in range(out_stamps.shape[1]):
        out_stamps[n, j] = s64[stamps + j]
    take_features(s64, s32, e64, slot * row64 * 2 + rule[RULE_I32_AT], as_of, fops, fscale, zone, frames, out_x, n)
    control[N_OUT] = n + 1


@compiled
def _has_open_alert(s64: Array, decision: Integer, rule: Array) -> Any:
    for r in range(rule[RULE_N_RULES]):
        if s64[decision + op.N_DECISION + r * op.N_RULE + op.OPEN_SINCE] != 0:
            return True
    return False


@compiled
def _tick(
    s64: Array,
    s32: Array,
    s8: Array,
    slot: Integer,
    row64: Integer,
    day: Integer,
    rule: Array,
    fops: Array,
    fscale: Array,
    zone: Array,
    frames: Array,
    control: Array,
    tick_days: Array,
    out_rows: Array,
    out_stamps: Array,
    out_x: Array,
    outcomes: Array,
) -> None:
    """The daily tick of one row: outcomes that matured, then a feature row as of the day's 00:00."""
    decision = slot * row64 + rule[RULE_DECISION_AT]
    _remember_outcomes(s64, s8, slot, row64, row64 * 8, day, rule, control, outcomes)
    s64[decision + op.TICK_DAY] = day
    e64 = slot * row64 + rule[RULE_EVENT_AT]
    as_of = day * op.DAY_MS
    if is_live(s64, e64, as_of, rule):
        if control[ALL_TICKS] == 0 and not _wanted(tick_days, day):
            return
        if as_of - s64[e64 + op.FIRST] >= rule[RULE_MIN_TENURE]:
            _emit(
                s64,
                s32,
                slot,
                row64,
                as_of,
                op.TICK,
                rule,
                fops,
                fscale,
                zone,
                frames,
                control,
                out_rows,
                out_stamps,
                out_x,
            )
    elif _has_open_alert(s64, decision, rule):
        _emit(
            s64,
            s32,
            slot,
            row64,
            as_of,
            op.ENDED,
            rule,
            fops,
            fscale,
            zone,
            frames,
            control,
            out_rows,
            out_stamps,
            out_x,
        )


@compiled
def _is_forgotten(s64: Array, e64: Integer, decision: Integer, day: Integer, rule: Array) -> Any:
    """Whether the tick of ``day`` drops the row: silent for longer than ``forget_after``, no longer live, no alert to
    close.
    """
    as_of = day * op.DAY_MS
    if as_of - s64[e64 + op.LAST] <= rule[RULE_FORGET] or is_live(s64, e64, as_of, rule):
        return False
    return not _has_open_alert(s64, decision, rule)


@compiled
def _wanted(days: Array, day: Integer) -> Any:
    """Whether ``day`` is in the ascending array ``days``."""
    place = np.searchsorted(days, day)
    return place < len(days) and days[place] == day


@compiled
def _score_point(
    s64: Array,
    e64: Integer,
    decision: Integer,
    kind: Integer,
    time: Integer,
    as_of: Integer,
    urgent: Array,
    rule: Array,
) -> Any:
    """Row kind of a score taken at this event, or -1."""
    step = time // rule[RULE_SCORE_EVERY]
    is_new_step = step > s64[decision + op.STEP]
    if is_new_step:
        s64[decision + op.STEP] = step
    if not (is_new_step or urgent[kind]):
        return -1
    if not is_live(s64, e64, as_of, rule) or as_of - s64[e64 + op.FIRST] < rule[RULE_MIN_TENURE]:
        return -1
    return op.URGENT if urgent[kind] else op.EVENT


@compiled
def _is_sampled(key_hash: Array, as_of: Integer, control: Array) -> Any:
    """Whether an event row is due: all of them in the stream, a seeded sample (by customer and moment) in a
    recording.
    """
    if control[SAMPLE] >= ALL_EVENTS:
        return True
    h = np.uint64(key_hash) ^ (np.uint64(as_of) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(control[SEED])
    h = (h ^ (h >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64(h >> np.uint64(33)) < control[SAMPLE]


@compiled
def _start_row(
    s64: Array,
    s8: Array,
    slot: Integer,
    row64: Integer,
    keys: Array,
    at: Integer,
    length: Integer,
    key_hash: Array,
    initial: Array,
    day: Integer,
    rule: Array,
) -> None:
    """Turn a free slot into the row of a new customer."""
    row = slot * row64
    for j in range(row64):
        s64[row + j] = 0
    for j in range(length):
        s8[row * 8 + j] = keys[at + j]
    e64 = row + rule[RULE_EVENT_AT]
    for j in range(len(initial)):
        s64[e64 + j] = initial[j]
    s64[e64 + op.KEY_LEN] = length
    s64[e64 + op.KEY_HASH] = key_hash
    decision = row + rule[RULE_DECISION_AT]
    s64[decision + op.TICK_DAY] = day
    s64[decision + op.STEP] = op.NONE
    s64[decision + op.SCORE] = -1
    for j in range(rule[RULE_STAMPS_AT], rule[RULE_MEMORY_AT] // 8):
        s64[row + j] = -1


@inlined
def _prefetch_row(s64: Array, row64: Integer, slot: Integer) -> None:
    """Bring a row near, by lines of 64 bytes; no slot, or one that is not the customer's after all, does no harm."""
    first = max(slot, 0) * row64
    for place in range(first, first + row64, 8):
        prefetch(s64, place)


@compiled
def apply(
    start: Integer,
    order: Array,
    source: Array,
    status: Array,
    event_time: Array,
    known_time: Array,
    kind: Array,
    id_hash: Array,
    key_hash: Array,
    key_at: Array,
    key_len: Array,
    offset: Array,
    values: Array,
    keys: Array,
    s64: Array,
    s32: Array,
    s8: Array,
    row64: Integer,
    dirty: Array,
    index: Array,
    free: Array,
    control: Array,
    rule: Array,
    initial: Array,
    kind_ptr: Array,
    ops: Array,
    rings: Array,
    urgent: Array,
    fops: Array,
    fscale: Array,
    zone: Array,
    tick_days: Array,
    memory: Any,
    out_rows: Array,
    out_stamps: Array,
    out_x: Array,
    outcomes: Array,
) -> Any:
    """Apply events ``order[start:]`` one after the other; return how far it came.

    Stops early when the rows to be scored, the outcomes or the slots are full, or (``control[FAILED]``) a sum would
    overflow. ``status`` becomes APPLIED, or REFUSED + reason when a new customer's key does not belong to this
    partition.
    """
    room = len(out_rows) - 3
    outcome_room = len(outcomes) - 3 * rule[RULE_MEMORY_DAYS]
    capacity = len(s64) // row64
    frames, place_days, places, clears = memory
    for q in range(start, len(order)):
        i = order[q]
        if q + FAR < len(order):
            prefetch(index, key_hash[order[q + FAR]] & (len(index) - 1))
            _prefetch_row(s64, row64, index[key_hash[order[q + NEAR]] & (len(index) - 1)])
        if status[i] != op.PENDING:
            continue
        if control[N_OUT] > room or control[N_OUTCOMES] > outcome_room:
            return q
        known_day = known_time[i] // op.DAY_MS
        today = max(control[CLOCK_DAY], known_day)
        slot, place = find_slot(s64, s8, index, row64, keys, key_at[i], key_len[i], key_hash[i], rule[RULE_EVENT_AT])
        if slot < 0:
            if murmur2_partition(keys, key_at[i], key_len[i], control[N_PARTITIONS]) != control[PARTITION]:
                status[i] = op.MISROUTED
                continue
            if control[N_FREE] > 0:
                control[N_FREE] -= 1
                slot = free[control[N_FREE]]
            elif control[N_SLOTS] < capacity:
                slot = control[N_SLOTS]
                control[N_SLOTS] += 1
            else:
                return q
            index[place] = slot
            _start_row(s64, s8, slot, row64, keys, key_at[i], key_len[i], key_hash[i], initial, today, rule)
        decision = slot * row64 + rule[RULE_DECISION_AT]
        e64 = slot * row64 + rule[RULE_EVENT_AT]
        if s64[decision + op.TICK_DAY] < today:
            if s64[decision + op.TICK_DAY] < control[CLOCK_DAY]:
                _tick(
                    s64,
                    s32,
                    s8,
                    slot,
                    row64,
                    control[CLOCK_DAY],
                    rule,
                    fops,
                    fscale,
                    zone,
                    frames,
                    control,
                    tick_days,
                    out_rows,
                    out_stamps,
                    out_x,
                    outcomes,
                )
            if s64[decision + op.TICK_DAY] < known_day:
                _tick(
                    s64,
                    s32,
                    s8,
                    slot,
                    row64,
                    known_day,
                    rule,
                    fops,
                    fscale,
                    zone,
                    frames,
                    control,
                    tick_days,
                    out_rows,
                    out_stamps,
                    out_x,
                    outcomes,
                )
            if _is_forgotten(s64, e64, decision, today, rule):  # as a sweep would have done: the same without one
                _start_row(s64, s8, slot, row64, keys, key_at[i], key_len[i], key_hash[i], initial, today, rule)
        dirty[slot] = 1
        e32 = slot * row64 * 2 + rule[RULE_I32_AT]
        time = event_time[i]
        k = kind[i]
        day = time // op.DAY_MS
        w = _places_of(day, ops, place_days, places)
        if not _update(
            s64, s32, e64, e32, k, day, time, id_hash[i], values[i], kind_ptr, ops, rings, places, w, clears
        ):
            control[FAILED] = 1
            return q
        s64[slot * row64 + rule[RULE_STAMPS_AT] + source[i]] = offset[i]
        status[i] = op.APPLIED
        as_of = max(time, known_time[i]) + 1
        row_kind = _score_point(s64, e64, decision, k, time, as_of, urgent, rule)
        if row_kind >= 0:
            if _is_sampled(key_hash[i], as_of, control):
                _emit(
                    s64,
                    s32,
                    slot,
                    row64,
                    as_of,
                    row_kind,
                    rule,
                    fops,
                    fscale,
                    zone,
                    frames,
                    control,
                    out_rows,
                    out_stamps,
                    out_x,
                )
        elif rule[RULE_N_RULES] > 0 and s64[e64 + op.END] == time and not is_live(s64, e64, as_of, rule):
            # whether an alert is open is known after `decide` alone: it may have opened a few rows above
            _emit(
                s64,
                s32,
                slot,
                row64,
                as_of,
                op.ENDED,
                rule,
                fops,
                fscale,
                zone,
                frames,
                control,
                out_rows,
                out_stamps,
                out_x,
            )
    return len(order)


@compiled
def sweep(
    first: Integer,
    last: Integer,
    s64: Array,
    s32: Array,
    s8: Array,
    row64: Integer,
    dirty: Array,
    control: Array,
    rule: Array,
    fops: Array,
    fscale: Array,
    zone: Array,
    tick_days: Array,
    memory: Any,
    out_rows: Array,
    out_stamps: Array,
    out_x: Array,
    outcomes: Array,
) -> Any:
    """Tick the slots ``[first, last)`` that have not had the clock day's tick; return how far it came.

    A row that is forgotten is zeroed: its slot is free again.
    """
    room = len(out_rows) - 3
    outcome_room = len(outcomes) - 3 * rule[RULE_MEMORY_DAYS]
    day = control[CLOCK_DAY]
    frames = memory[0]
    for slot in range(first, last):
        e64 = slot * row64 + rule[RULE_EVENT_AT]
        decision = slot * row64 + rule[RULE_DECISION_AT]
        if s64[e64 + op.KEY_LEN] == 0 or s64[decision + op.TICK_DAY] >= day:
            continue
        if control[N_OUT] > room or control[N_OUTCOMES] > outcome_room:
            return slot
        dirty[slot] = 1
        _tick(
            s64,
            s32,
            s8,
            slot,
            row64,
            day,
            rule,
            fops,
            fscale,
            zone,
            frames,
            control,
            tick_days,
            out_rows,
            out_stamps,
            out_x,
            outcomes,
        )
        if _is_forgotten(s64, e64, decision, day, rule):
            for j in range(row64):
                s64[slot * row64 + j] = 0
    return last
