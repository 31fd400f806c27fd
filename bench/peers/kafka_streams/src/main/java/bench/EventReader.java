package bench;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.serialization.Deserializer;

/** Avro behind the five bytes of the wire format, read by hand for the schema of one topic. */
final class EventReader implements Deserializer<Event> {
    private final String topic;
    private final Kind[] kinds;
    private final Map<String, List<String>> categories;
    private byte[] bytes;
    private int at;

    EventReader(String topic, List<String> kinds, Map<String, List<String>> categories) {
        this.topic = topic;
        this.kinds = kinds.stream().map(name -> Kind.valueOf(name.toUpperCase())).toArray(Kind[]::new);
        this.categories = categories;
    }

    @Override
    public Event deserialize(String where, byte[] value) {
        bytes = value;
        at = 5;
        Event event = new Event();
        skipString(); // event_id
        if (topic.equals("clock")) {
            event.kind = Kind.CLOCK;
            event.day = readLong();
            event.time = event.known = readLong();
            return event;
        }
        skipString(); // customer_id: the record's key
        event.time = readLong();
        event.known = readLong() == 0 ? event.time : readLong();
        event.kind = kinds[(int) readLong()];
        readValues(event);
        return event;
    }

    private void readValues(Event event) {
        switch (topic) {
            case "usage" -> event.minutes = readDouble(); // nothing uses actions
            case "billing" -> {
                event.amount = readDouble();
                event.price = readDouble();
                event.plan = readCategory("plan");
            }
            case "support" -> event.sentiment = readDouble(); // nothing uses severity
            case "survey" -> event.csat = readDouble();
            default -> {
                event.country = readCategory("country");
                event.channel = readCategory("channel");
                event.seats = readLong() == 0 ? Double.NaN : readLong();
            }
        }
    }

    private long readLong() {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte b = bytes[at++];
            value |= (long) (b & 127) << shift;
            if (b >= 0) {
                return value >>> 1 ^ -(value & 1);
            }
        }
    }

    private void skipString() {
        int n = (int) readLong();
        at += n;
    }

    private double readDouble() {
        if (readLong() == 0) {
            return Double.NaN;
        }
        long bits = 0;
        for (int i = 7; i >= 0; i--) {
            bits = bits << 8 | bytes[at + i] & 255;
        }
        at += 8;
        return Double.longBitsToDouble(bits);
    }

    private double readCategory(String field) {
        if (readLong() == 0) {
            return Double.NaN;
        }
        int n = (int) readLong();
        String name = new String(bytes, at, n, StandardCharsets.UTF_8);
        at += n;
        List<String> known = categories.get(field);
        int found = known.indexOf(name);
        return found < 0 ? known.size() : found;
    }
}
