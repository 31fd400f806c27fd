package bench;

/** Where the tiles of a window lie in a customer's array: {@code length} tiles of {@code tileDays} days. */
enum Ring {
    LOGIN1(9, 1), LOGIN3(12, 3), SESSION1(9, 1), SESSION3(12, 3), SESSION6(12, 6), ERROR1(9, 1), ERROR3(12, 3),
    EXPORT1(9, 1), EXPORT3(12, 3), TIMED3(12, 3), FAILED3(12, 3), FAILED6(17, 6), TICKET3(12, 3), MOOD6(12, 6),
    MINUTES1(9, 1), MINUTES3(12, 3), PAID6(12, 6), MOODS6(12, 6), LONGEST3(7, 3);

    static final Ring[] ALL = values();
    static final int N_TILES = place();

    final int length;
    final int tileDays;
    int first;

    Ring(int length, int tileDays) {
        this.length = length;
        this.tileDays = tileDays;
    }

    private static int place() {
        int at = 0;
        for (Ring ring : values()) {
            ring.first = at;
            at += ring.length;
        }
        return at;
    }
}
