package bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** The customers as they are before the measured day: prelude read from the topics, decisions from a file. */
final class Start {
    record Row(String id, byte[] bytes) {}

    private Start() {}

    /** By partition. */
    static List<List<Row>> read(Job job) throws IOException {
        Map<String, Customer> customers = new HashMap<>();
        List<List<Customer>> byPartition = new ArrayList<>();
        for (int p = 0; p < job.partitions; p++) {
            byPartition.add(new ArrayList<>());
        }
        Map<String, Object> config = Map.of("bootstrap.servers", job.text("bootstrap"), "max.poll.records", 20_000);
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer())) {
            Map<TopicPartition, Long> end = new HashMap<>(job.begin());
            end.entrySet().removeIf(entry -> entry.getKey().topic().endsWith("clock") || entry.getValue() == 0);
            Map<String, EventReader> readers = new HashMap<>();
            job.topics().forEach(topic -> readers.put(job.prefix + topic, job.reader(topic)));
            consumer.assign(end.keySet());
            consumer.seekToBeginning(end.keySet());
            while (!end.isEmpty()) {
                for (ConsumerRecord<String, byte[]> found : consumer.poll(Duration.ofMillis(100))) {
                    TopicPartition where = new TopicPartition(found.topic(), found.partition());
                    if (found.offset() >= end.getOrDefault(where, 0L)) {
                        continue;
                    }
                    Customer customer = customers.computeIfAbsent(found.key(), id -> {
                        Customer fresh = new Customer(id);
                        byPartition.get(found.partition()).add(fresh);
                        return fresh;
                    });
                    customer.update(readers.get(found.topic()).deserialize(found.topic(), found.value()));
                    if (found.offset() + 1 == end.get(where)) {
                        end.remove(where);
                        consumer.pause(List.of(where));
                    }
                }
            }
        }
        decide(customers, Path.of(job.text("decisions")));
        return rows(byPartition);
    }

    private static void decide(Map<String, Customer> customers, Path path) throws IOException {
        for (String line : Files.readAllLines(path)) {
            String[] part = line.split(" ");
            Customer c = customers.get(part[0]);
            c.step = Long.parseLong(part[1]);
            c.score = Long.parseLong(part[2]);
            c.band = Long.parseLong(part[3]);
            c.episode = Long.parseLong(part[4]);
            c.since = Long.parseLong(part[5]);
            c.closed = Long.parseLong(part[6]);
        }
    }

    private static List<List<Row>> rows(List<List<Customer>> byPartition) {
        CustomerBytes bytes = new CustomerBytes();
        List<List<Row>> found = new ArrayList<>();
        for (List<Customer> customers : byPartition) {
            List<Row> rows = new ArrayList<>(customers.size());
            customers.forEach(customer -> rows.add(new Row(customer.id, bytes.encode(customer))));
            found.add(rows);
        }
        return found;
    }
}
