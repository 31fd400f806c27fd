"""The small vocabulary that plan and kernel share: op-codes, sentinels, row kinds and column positions.

Plain integers, so that compiled code sees constants. What an op does is written beside its name; nothing is computed
here.
"""

from schemas.reasons import REASONS

DAY_MS = 86_400_000
NONE = -(2**63)  # "never happened", "no value": the int64 minimum

# ---- update ops: columns (op, dst, ring_len, tile_days, field, param) ----
ADD_COUNT = 0  # i32 tile += 1
ADD_SUM = 1  # i64 tile += value, when there is one
ADD_PRESENT = 2  # i32 tile += 1, when there is a value
MAX_TILE = 3  # i64 tile = max(tile, value)
SET_DAY = 4  # the bit of the event's day
MAX_TIME = 5  # i64 = max(i64, event time)
MIN_TIME = 6  # i64 = min(i64, event time)
ADD_OPEN = 7  # i64 += param (+1 opened, -1 closed)
LAST_VALUE = 8  # i64[3] = (time, hash of event id, value), the greatest of them
MAX_VALUE = 9  # i64 = max(i64, value)

# ---- regions of a ring ----
RING_I32 = 0
RING_I64 = 1
RING_BITS = 2

# ---- feature ops: columns (op, a, b, c, d, e, f, g) and a float parameter (scale) ----
F_COUNT = 0  # a dst, b len, c tile_days, d window
F_SUM = 1
F_MEAN = 2  # a sum dst, b len, c tile_days, d window, e present dst
F_MAX = 3
F_DAYS = 4  # a dst, b ring days, d window
F_RATIO = (
    5  # a dst, b len, c tile_days, d window of the short; e dst, f len, g tile_days, h window of the long; i 1 = sums
)
F_TREND = 6
F_RECENCY = 7  # a dst
F_TENURE = 8
F_LAST = 9  # a dst
F_UNTIL = 10  # a dst
F_DELAY = 11  # a from, b to
F_OPEN = 12  # a dst
F_CALENDAR = 13  # a part

WEEKDAY = 0
DAY_OF_MONTH = 1
MONTH = 2

# ---- row kinds ----
TICK = 0
EVENT = 1
URGENT = 2
ENDED = 3  # no score: the customer is no longer live and an open alert must close
ROW_KINDS = ("tick", "event", "urgent")

# ---- fixed columns of a row, as int64 positions after the key ----
KEY_LEN = 0  # 0: the slot is free
KEY_HASH = 1
ROW_DAY = 2  # newest event day: the head of every ring
FIRST = 3  # first start
LAST = 4  # newest event
START = 5  # newest start kind
END = 6  # newest end kind
LABEL = 7  # cancel: newest label kind; lapse: newest paid-until; inactivity: newest activity
N_FIXED = 8

# ---- the decision part, relative to its begin ----
TICK_DAY = 0  # day of the newest tick
STEP = 1  # newest score step of event time
SCORE = 2  # last published score, in millionths; -1 none
BAND = 3
N_DECISION = 4
# then for each alert rule: episode number, open since (ms, 0 closed), closed at (ms)
EPISODE = 0
OPEN_SINCE = 1
CLOSED_AT = 2
N_RULE = 3

# ---- labels ----
CANCEL = 0
LAPSE = 1
INACTIVITY = 2

SCORE_BINS = 20
N_BINS = 11  # ten bins of a feature and one for missing

# ---- status of an event in a batch ----
PENDING = 0
APPLIED = 1
DUPLICATE = 2
# 10 + index in schemas.reasons.REASONS: refused
REFUSED = 10

# ---- positions in Plan.rule ----
(
    RULE_SCORE_EVERY,
    RULE_FORGET,
    RULE_IDLE,
    RULE_MIN_TENURE,
    RULE_LABEL,
    RULE_HORIZON_DAYS,
    RULE_GRACE,
    RULE_EVENT_AT,
    RULE_I32_AT,
    RULE_DECISION_AT,
    RULE_STAMPS_AT,
    RULE_MEMORY_AT,
    RULE_MEMORY_DAYS,
    RULE_KEY_BYTES,
    RULE_N_RULES,
    RULE_LATENESS,
) = range(16)
MISROUTED = REFUSED + REASONS.index("misrouted")
