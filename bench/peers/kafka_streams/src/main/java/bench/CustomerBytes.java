package bench;

import java.nio.ByteBuffer;
import java.util.Arrays;

/** A customer as the bytes of the changelog: variable-length integers, since most tiles are zero. */
final class CustomerBytes {
    private final byte[] out = new byte[4096];
    private byte[] in;
    private int at;

    byte[] encode(Customer c) {
        at = 0;
        for (int tile : c.tiles) {
            writeLong(tile);
        }
        for (int tile : c.newest) {
            writeLong(tile);
        }
        for (long time : c.times) {
            writeLong(time == Customer.NEVER ? 0 : time);
        }
        for (double value : c.values) {
            writeFixed(Double.doubleToRawLongBits(value));
        }
        writeFixed(c.activeLow);
        writeFixed(c.activeHigh);
        for (long value : new long[] {c.activeDay, c.open, c.step, c.score, c.band, c.episode, c.since, c.closed}) {
            writeLong(value);
        }
        return Arrays.copyOf(out, at);
    }

    Customer decode(String id, byte[] from) {
        in = from;
        at = 0;
        Customer c = new Customer(id);
        for (int i = 0; i < c.tiles.length; i++) {
            c.tiles[i] = (int) readLong();
        }
        for (int i = 0; i < c.newest.length; i++) {
            c.newest[i] = (int) readLong();
        }
        for (int i = 0; i < c.times.length; i++) {
            long time = readLong();
            c.times[i] = time == 0 ? Customer.NEVER : time;
        }
        for (int i = 0; i < c.values.length; i++) {
            c.values[i] = Double.longBitsToDouble(readFixed());
        }
        c.activeLow = readFixed();
        c.activeHigh = readFixed();
        c.activeDay = (int) readLong();
        c.open = (int) readLong();
        c.step = readLong();
        c.score = readLong();
        c.band = readLong();
        c.episode = readLong();
        c.since = readLong();
        c.closed = readLong();
        return c;
    }

    private void writeLong(long value) {
        long z = value << 1 ^ value >> 63;
        while ((z & ~127L) != 0) {
            out[at++] = (byte) (z & 127 | 128);
            z >>>= 7;
        }
        out[at++] = (byte) z;
    }

    private long readLong() {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte b = in[at++];
            value |= (long) (b & 127) << shift;
            if (b >= 0) {
                return value >>> 1 ^ -(value & 1);
            }
        }
    }

    private void writeFixed(long value) {
        ByteBuffer.wrap(out).putLong(at, value);
        at += 8;
    }

    private long readFixed() {
        at += 8;
        return ByteBuffer.wrap(in).getLong(at - 8);
    }
}
