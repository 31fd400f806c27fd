package bench;

import java.time.LocalDate;

/** Day of the week and of the month of a moment (UTC), remembered for the day that was asked for last. */
final class Calendar {
    int weekDay;
    int monthDay;
    private long day = Long.MIN_VALUE;

    void set(long asOf) {
        long wanted = Math.floorDiv(asOf, Customer.DAY_MS);
        if (wanted != day) {
            day = wanted;
            weekDay = (int) Math.floorMod(wanted + 3, 7L);
            monthDay = LocalDate.ofEpochDay(wanted).getDayOfMonth();
        }
    }
}
