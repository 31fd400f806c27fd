"""Where things lie in a customer's row: rings of tiles, maxima of times, last values.

A row is one run of bytes: key, event part (int64, then int32), decision part, offset stamps, remembered score bins.
Everything is derived from the workload; two features that need the same tiles share them. No arithmetic on events here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stream_app import opcodes as op

# (longest window it serves, days in a tile): fine at the head, coarser at the tail ("sawtooth"). A window of W days
# over tiles of
# d days covers the last W to W + d - 1 days: whole tiles, counted from day 0 of the epoch.
LEVELS = ((7, 1), (30, 3), (10_000, 6))


def tile_days_of(window_days: int) -> int:
    """Days in a tile of the level that serves a window of this many days."""
    return next(days for longest, days in LEVELS if window_days <= longest)


@dataclass(frozen=True)
class Ring:
    """One ring of tiles: ``region`` (RING_*), ``at`` (its first element in that region), ``length`` tiles of
    ``tile_days``.
    """

    region: int
    at: int
    length: int
    tile_days: int


@dataclass
class Layout:
    """Hands out places in the event part and remembers how they are cleared and initialised.

    ``at`` of a place is relative to the event part's int64 (or int32) begin; ``ops[kind]`` are the update ops of a
    kind.
    ``field_index`` says in which value column of its topic a kind keeps a field.
    """

    n_kinds: int
    field_index: dict[tuple[int, str], int]
    n_i64: int = op.N_FIXED
    n_i32: int = 0
    rings: list[Ring] = field(default_factory=list)
    ring_clear: list[int] = field(default_factory=list)
    initial: dict[int, int] = field(default_factory=dict)
    ops: list[list[tuple[int, int, int, int, int, int]]] = field(default_factory=list)
    _places: dict[tuple[object, ...], Ring | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ops = [[] for _ in range(self.n_kinds)]
        for place in (op.ROW_DAY, op.FIRST, op.LAST, op.START, op.END, op.LABEL):
            self.initial[place] = op.NONE

    def tiles(self, code: int, kinds: tuple[int, ...], value: str, longest: int, tile_days: int) -> Ring:
        """Ring of tiles kept by update op ``code`` for ``kinds``; made on first demand, shared after."""
        key = ("tiles", code, kinds, value, tile_days)
        if key not in self._places:
            region = op.RING_I64 if code in (op.ADD_SUM, op.MAX_TILE) else op.RING_I32
            length = -(-longest // tile_days) + 2
            ring = Ring(region, self._take(region, length), length, tile_days)
            self._add_ring(ring, op.NONE if code == op.MAX_TILE else 0)
            self._on(kinds, code, (ring.at, length, tile_days), value)
            self._places[key] = ring
        place = self._places[key]
        assert isinstance(place, Ring)
        return place

    def days(self, kinds: tuple[int, ...], longest: int) -> Ring:
        """Bit ring of the days on which one of ``kinds`` happened."""
        key = ("days", kinds)
        if key not in self._places:
            words = -(-(longest + 2) // 64)
            ring = Ring(op.RING_BITS, self._take(op.RING_BITS, words), words * 64, 1)
            self._add_ring(ring, 0)
            self._on(kinds, op.SET_DAY, (ring.at, ring.length, 1))
            self._places[key] = ring
        place = self._places[key]
        assert isinstance(place, Ring)
        return place

    def newest(self, kinds: tuple[int, ...]) -> int:
        """Place of the newest event time of ``kinds``."""
        return self._single(("newest", kinds), 1, op.NONE, [(kinds, op.MAX_TIME, "", 0)])

    def last(self, kinds: tuple[int, ...], value: str) -> int:
        """Place of (time, hash, value) of the last value."""
        return self._single(("last", kinds, value), 3, op.NONE, [(kinds, op.LAST_VALUE, value, 0)])

    def open_items(self, opened: tuple[int, ...], closed: tuple[int, ...]) -> int:
        """Place of the number of items opened and not closed."""
        adds = [(opened, op.ADD_OPEN, "", 1), (closed, op.ADD_OPEN, "", -1)]
        return self._single(("open", opened, closed), 1, 0, adds)

    def fixed(self, place: int, code: int, kinds: tuple[int, ...], value: str = "") -> None:
        """Let ``kinds`` update one of the fixed columns."""
        self._on(kinds, code, (place, 0, 0), value)

    def _single(
        self, key: tuple[object, ...], width: int, initial: int, adds: list[tuple[tuple[int, ...], int, str, int]]
    ) -> int:
        if key not in self._places:
            at = self._take(op.RING_I64, width)
            self.initial[at] = initial
            for kinds, code, value, param in adds:
                self._on(kinds, code, (at, 0, 0), value, param)
            self._places[key] = at
        place = self._places[key]
        assert isinstance(place, int)
        return place

    def _take(self, region: int, length: int) -> int:
        if region == op.RING_I32:
            at, self.n_i32 = self.n_i32, self.n_i32 + length
        else:
            at, self.n_i64 = self.n_i64, self.n_i64 + length
        return at

    def _add_ring(self, ring: Ring, clear: int) -> None:
        self.rings.append(ring)
        self.ring_clear.append(clear)
        if clear:
            self.initial.update({ring.at + i: clear for i in range(ring.length)})

    def _on(
        self, kinds: tuple[int, ...], code: int, place: tuple[int, int, int], value: str = "", param: int = 0
    ) -> None:
        for kind in kinds:
            column = self.field_index[kind, value] if value else 0
            self.ops[kind].append((code, *place, column, param))
