package bench;

import static bench.Ring.*;

/** A customer's live state: tiles, newest times, last values and the decisions about scores and alerts. */
final class Customer {
    static final long NEVER = Long.MIN_VALUE / 2;
    static final long DAY_MS = 86_400_000L;
    static final long MIN_TENURE_MS = 14 * DAY_MS;
    static final long MINUTE_MS = 60_000L;
    static final int N_FEATURES = 41;
    // times
    static final int FIRST = 0, START = 1, END = 2, SESSION = 3, LOGIN = 4, INVOICE = 5, PAYMENT = 6, CHANGE = 7;
    static final int TICKET = 8, PRICED = 9, SURVEYED = 10, PROFILED = 11, N_TIMES = 12;
    // last values
    static final int PRICE = 0, PLAN = 1, CSAT = 2, SEATS = 3, COUNTRY = 4, CHANNEL = 5, N_VALUES = 6;
    private static final int ACTIVE_DAYS = 94;

    final String id;
    final int[] tiles = new int[Ring.N_TILES]; // counts and scaled sums; the longest session plus one
    final int[] newest = new int[Ring.ALL.length]; // tile number
    final long[] times = new long[N_TIMES];
    final double[] values = new double[N_VALUES];
    long activeLow, activeHigh; // bit i: active i days before activeDay
    int activeDay;
    int open;
    long step = NEVER;
    long score = -1, band, episode, since, closed;
    boolean dirty;

    Customer(String id) {
        this.id = id;
        java.util.Arrays.fill(times, NEVER);
        java.util.Arrays.fill(values, Double.NaN);
    }

    // ---- update ----
    void update(Event e) {
        int day = (int) Math.floorDiv(e.time, DAY_MS);
        switch (e.kind) {
            case LOGIN -> {
                count(LOGIN1, day);
                count(LOGIN3, day);
                seen(day, LOGIN, e.time);
            }
            case SESSION -> session(e, day);
            case EXPORT -> {
                count(EXPORT1, day);
                count(EXPORT3, day);
            }
            case ERROR -> {
                count(ERROR1, day);
                count(ERROR3, day);
            }
            case SUBSCRIBE -> {
                latest(START, e.time);
                times[FIRST] = times[FIRST] == NEVER ? e.time : Math.min(times[FIRST], e.time);
                contract(e);
            }
            case PLAN_CHANGE -> {
                latest(CHANGE, e.time);
                contract(e);
            }
            case CANCEL -> latest(END, e.time);
            case INVOICE -> latest(INVOICE, e.time);
            case PAYMENT -> {
                latest(PAYMENT, e.time);
                add(PAID6, day, e.amount, 100);
            }
            case PAYMENT_FAILED -> {
                count(FAILED3, day);
                count(FAILED6, day);
            }
            case TICKET_OPENED -> ticket(e, day);
            case TICKET_RESOLVED -> open--;
            case SURVEY_ANSWERED -> {
                if (e.time >= times[SURVEYED]) {
                    times[SURVEYED] = e.time;
                    values[CSAT] = e.csat;
                }
            }
            case PROFILE_CHANGED -> profile(e);
            default -> throw new IllegalArgumentException(e.kind.name());
        }
    }

    private void session(Event e, int day) {
        count(SESSION1, day);
        count(SESSION3, day);
        count(SESSION6, day);
        seen(day, LOGIN, e.time);
        latest(SESSION, e.time);
        if (!Double.isNaN(e.minutes)) {
            int minutes = (int) Math.rint(e.minutes * 10);
            add(MINUTES1, day, minutes);
            add(MINUTES3, day, minutes);
            count(TIMED3, day);
            int at = slot(LONGEST3, day);
            if (at >= 0) {
                tiles[at] = Math.max(tiles[at], minutes + 1);
            }
        }
    }

    private void contract(Event e) {
        if (e.time >= times[PRICED]) {
            times[PRICED] = e.time;
            values[PRICE] = e.price;
            values[PLAN] = e.plan;
        }
    }

    private void ticket(Event e, int day) {
        count(TICKET3, day);
        latest(TICKET, e.time);
        open++;
        if (!Double.isNaN(e.sentiment)) {
            add(MOODS6, day, e.sentiment, 1000);
            count(MOOD6, day);
        }
    }

    private void profile(Event e) {
        if (e.time >= times[PROFILED]) {
            times[PROFILED] = e.time;
            values[SEATS] = e.seats;
            values[COUNTRY] = e.country;
            values[CHANNEL] = e.channel;
        }
    }

    private void latest(int which, long time) {
        times[which] = Math.max(times[which], time);
    }

    private void seen(int day, int which, long time) {
        latest(which, time);
        int ahead = day - activeDay;
        if (ahead > 0) {
            shiftActive(ahead);
            activeDay = day;
            ahead = 0;
        }
        int back = -ahead;
        if (back < 64) {
            activeLow |= 1L << back;
        } else if (back < ACTIVE_DAYS) {
            activeHigh |= 1L << back - 64;
        }
    }

    private void shiftActive(int days) {
        if (days >= 128) {
            activeLow = activeHigh = 0;
        } else if (days >= 64) {
            activeHigh = activeLow << days - 64;
            activeLow = 0;
        } else {
            activeHigh = activeHigh << days | activeLow >>> 64 - days;
            activeLow <<= days;
        }
    }

    private void count(Ring ring, int day) {
        add(ring, day, 1);
    }

    private void add(Ring ring, int day, double value, int scale) {
        if (!Double.isNaN(value)) {
            add(ring, day, (int) Math.rint(value * scale));
        }
    }

    private void add(Ring ring, int day, int value) {
        int at = slot(ring, day);
        if (at >= 0) {
            tiles[at] += value;
        }
    }

    /** Index of a day's tile, after the ring has moved there; negative when the day has left the ring. */
    private int slot(Ring ring, int day) {
        int tile = day / ring.tileDays, number = ring.ordinal(), top = newest[number];
        if (tile > top) {
            for (int t = Math.max(top + 1, tile - ring.length + 1); t <= tile; t++) {
                tiles[ring.first + t % ring.length] = 0;
            }
            newest[number] = tile;
        } else if (tile <= top - ring.length) {
            return -1;
        }
        return ring.first + tile % ring.length;
    }

    // ---- score points ----
    /** Whether a score is taken at this event, which was applied before. */
    boolean isDue(Event e, long asOf) {
        long minute = Math.floorDiv(e.time, MINUTE_MS);
        boolean isNew = minute > step;
        step = Math.max(step, minute);
        return (isNew || e.kind.isUrgent()) && isLive() && asOf - times[FIRST] >= MIN_TENURE_MS;
    }

    boolean isDueAtTick(long asOf) {
        return isLive() && times[FIRST] < asOf && asOf - times[FIRST] >= MIN_TENURE_MS;
    }

    private boolean isLive() {
        return times[START] != NEVER && times[END] < times[START];
    }

    // ---- features ----
    /** Write the 41 features as of a moment. */
    void features(long asOf, Calendar calendar, float[] x) {
        int day = (int) Math.floorDiv(asOf - 1, DAY_MS);
        double week = total(MINUTES1, day, 7) / 10.0, month = total(MINUTES3, day, 30) / 10.0;
        int timed = total(TIMED3, day, 30), moods = total(MOOD6, day, 60), sessions = total(SESSION3, day, 30);
        int sessionsOfWeek = total(SESSION1, day, 7), longest = longest(day);
        x[0] = total(LOGIN1, day, 7);
        x[1] = total(LOGIN3, day, 30);
        x[2] = total(SESSION1, day, 1);
        x[3] = sessionsOfWeek;
        x[4] = total(SESSION3, day, 14);
        x[5] = sessions;
        x[6] = total(SESSION6, day, 60);
        x[7] = total(ERROR1, day, 7);
        x[8] = total(ERROR3, day, 30);
        x[9] = total(EXPORT1, day, 7);
        x[10] = total(EXPORT3, day, 30);
        x[11] = (float) week;
        x[12] = (float) month;
        x[13] = timed == 0 ? Float.NaN : (float) (month / timed);
        x[14] = longest == 0 ? Float.NaN : (float) ((longest - 1) / 10.0);
        x[15] = activeDays(day, 7);
        x[16] = activeDays(day, 30);
        x[17] = activeDays(day, 90);
        x[18] = sessions == 0 ? Float.NaN : (float) (sessionsOfWeek * 30 / (sessions * 7.0));
        x[19] = (float) (week / 7 - month / 30);
        x[20] = since(SESSION, asOf);
        x[21] = since(LOGIN, asOf);
        x[22] = since(FIRST, asOf);
        x[23] = total(FAILED3, day, 30);
        x[24] = total(FAILED6, day, 90);
        x[25] = (float) (total(PAID6, day, 60) / 100.0);
        x[26] = unpaid(asOf);
        x[27] = (float) values[PRICE];
        x[28] = (float) values[PLAN];
        x[29] = since(CHANGE, asOf);
        x[30] = total(TICKET3, day, 14);
        x[31] = total(TICKET3, day, 30);
        x[32] = open;
        x[33] = moods == 0 ? Float.NaN : (float) (total(MOODS6, day, 60) / 1000.0 / moods);
        x[34] = since(TICKET, asOf);
        x[35] = (float) values[CSAT];
        x[36] = (float) values[SEATS];
        x[37] = (float) values[COUNTRY];
        x[38] = (float) values[CHANNEL];
        calendar.set(asOf);
        x[39] = calendar.weekDay;
        x[40] = calendar.monthDay;
    }

    private int total(Ring ring, int day, int window) {
        int top = newest[ring.ordinal()], n = ring.length;
        int first = Math.max((day - window + 1) / ring.tileDays, top - n + 1);
        int end = Math.min(day / ring.tileDays, top), sum = 0;
        for (int t = first, at = first % n; t <= end; t++) {
            sum += tiles[ring.first + at];
            at = at + 1 == n ? 0 : at + 1;
        }
        return sum;
    }

    private int longest(int day) {
        Ring ring = LONGEST3;
        int top = newest[ring.ordinal()], most = 0;
        for (int t = Math.max((day - 13) / 3, top - ring.length + 1); t <= Math.min(day / 3, top); t++) {
            most = Math.max(most, tiles[ring.first + t % ring.length]);
        }
        return most;
    }

    /** Active days among the {@code window} days that end with a day. */
    private int activeDays(int day, int window) {
        int newestBack = Math.max(activeDay - day, 0), oldestBack = activeDay - day + window - 1;
        return oldestBack < newestBack ? 0 : bits(oldestBack + 1) - bits(newestBack);
    }

    private int bits(int n) {
        if (n <= 0) {
            return 0;
        }
        int low = Long.bitCount(n >= 64 ? activeLow : activeLow & (1L << n) - 1);
        return n <= 64 ? low : low + Long.bitCount(n >= 128 ? activeHigh : activeHigh & (1L << n - 64) - 1);
    }

    private float since(int which, long asOf) {
        return times[which] == NEVER ? Float.NaN : (float) (Math.max(asOf - times[which], 0) / (double) DAY_MS);
    }

    private float unpaid(long asOf) {
        if (times[INVOICE] == NEVER) {
            return Float.NaN;
        }
        long paid = times[PAYMENT] >= times[INVOICE] ? times[PAYMENT] : asOf;
        return (float) (Math.max(paid - times[INVOICE], 0) / (double) DAY_MS);
    }
}
