package bench;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Scores and alerts as Avro behind the five bytes of the wire format. */
final class Records {
    private static final byte[] VERSION = "bench".getBytes(StandardCharsets.UTF_8);
    private static final byte[] RULE = "churn_risk".getBytes(StandardCharsets.UTF_8);

    private final Job job;
    private byte[] bytes = new byte[4096];
    private int at;

    Records(Job job) {
        this.job = job;
    }

    /** Reason: 0 the tick, 1 the score moved, 2 the band changed. */
    byte[] score(Customer customer, long asOf, int rowKind, float score, boolean isHigh, int reason) {
        begin(job.scoreHeader);
        text(customer.id + "@" + asOf + "/" + rowKind);
        text(customer.id);
        number(asOf);
        number(rowKind);
        real(score);
        number(isHigh ? 1 : 0);
        text(VERSION);
        number(0); // workload_hash: empty
        number(0); // feature_hash
        number(0); // stamps: none
        number(reason);
        return Arrays.copyOf(bytes, at);
    }

    /** An alert that opened for reasons, or closed where there are none. */
    byte[] alert(Customer customer, long asOf, int rowKind, float score, float[] x, double[] shares) {
        String alert = "churn_risk/" + customer.id + "/" + customer.episode;
        begin(job.alertHeader);
        text(alert + (shares == null ? ":closed" : ":opened"));
        text(alert);
        text(customer.id);
        text(RULE);
        number(customer.episode);
        number(shares == null ? 1 : 0);
        number(asOf);
        number(rowKind);
        real(score);
        real((float) job.threshold[rowKind]);
        text(VERSION);
        reasons(x, shares);
        return Arrays.copyOf(bytes, at);
    }

    private void reasons(float[] x, double[] shares) {
        if (shares != null) {
            int[] best = new int[3];
            int n = 0;
            for (; n < 3; n++) {
                int most = -1;
                for (int j = 0; j < shares.length; j++) {
                    boolean isTaken = n > 0 && best[0] == j || n > 1 && best[1] == j;
                    if (!isTaken && shares[j] > 0 && (most < 0 || shares[j] > shares[most])) {
                        most = j;
                    }
                }
                if (most < 0) {
                    break;
                }
                best[n] = most;
            }
            if (n > 0) {
                number(n);
            }
            for (int i = 0; i < n; i++) {
                text("f" + best[i]);
                real(x[best[i]]);
                real((float) shares[best[i]]);
            }
        }
        number(0);
    }

    private void begin(byte[] header) {
        System.arraycopy(header, 0, bytes, 0, header.length);
        at = header.length;
    }

    private void text(String value) {
        text(value.getBytes(StandardCharsets.UTF_8));
    }

    private void text(byte[] value) {
        number(value.length);
        System.arraycopy(value, 0, bytes, at, value.length);
        at += value.length;
    }

    private void number(long value) {
        long z = value << 1 ^ value >> 63;
        while ((z & ~127L) != 0) {
            bytes[at++] = (byte) (z & 127 | 128);
            z >>>= 7;
        }
        bytes[at++] = (byte) z;
    }

    private void real(float value) {
        int bits = Float.floatToRawIntBits(value);
        for (int i = 0; i < 4; i++) {
            bytes[at++] = (byte) (bits >> 8 * i);
        }
    }
}
