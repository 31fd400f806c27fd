package bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.AutoOffsetReset;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * The benchmark's job on Kafka Streams: the day is run several times in one JVM, each pass from the same state and as an
 * application of its own, and the last pass is the measured one, when everything is compiled. Topics are merged by known
 * time, the task's own way; features are live objects, a row is scored at its event, ticks at the clock record.
 *
 * <p>Left out, as in the NumPy loop: dead letters, duplicates, the journal, stamps, hashes, watching beyond the counts.
 */
public final class Main {
    private static final long DEADLINE_S = 240;

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Path path = Path.of(arguments[0]);
        Job job = new Job(path);
        Trees trees = new Trees(job.learner);
        Reasons reasons = new Reasons(job.learner);
        List<List<Start.Row>> start = Start.read(job);
        List<Map<String, Object>> passes = new ArrayList<>();
        for (int pass = 0; pass < job.json.get("passes").asInt(); pass++) {
            passes.add(run(job, trees, reasons, start, job.text("application") + "-" + pass, path.getParent()));
        }
        Map<String, Object> result = new LinkedHashMap<>(passes.get(passes.size() - 1));
        result.put("rss_mb", peakRssMb());
        result.put("passes", passes);
        new ObjectMapper().writeValue(path.resolveSibling("result.json").toFile(), result);
        System.exit(0);
    }

    private static Map<String, Object> run(
            Job job, Trees trees, Reasons reasons, List<List<Start.Row>> start, String application, Path folder)
            throws Exception {
        Finish finish = new Finish(job.partitions);
        commit(job, application);
        StreamsConfig config = new StreamsConfig(config(job, application, folder));
        try (KafkaStreams streams = new KafkaStreams(topology(job, trees, reasons, start, finish), config, finish)) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                System.exit(1);
                return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
            });
            streams.start();
            if (!finish.await(DEADLINE_S)) {
                throw new IllegalStateException("not done in time after " + finish.nEvents.get() + " events");
            }
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", job.text("bootstrap")))) {
            admin.deleteTopics(List.of(application + "-" + LiveStore.NAME + "-changelog")).all().get();
        }
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("n_events", finish.nEvents.get());
        found.put("n_rows", finish.nRows.get());
        found.put("seconds", finish.seconds());
        found.put("cpu_s", finish.cpuSeconds());
        found.put("published", finish.nPublished.get());
        found.put("opened", finish.nOpened.get());
        found.put("changes", finish.nChanges.get());
        found.put("changelog_bytes", finish.changelogBytes.get());
        return found;
    }

    private static Topology topology(
            Job job, Trees trees, Reasons reasons, List<List<Start.Row>> start, Finish finish) {
        Topology topology = new Topology();
        List<String> sources = new ArrayList<>();
        for (String topic : job.topics()) {
            topology.addSource(
                    (AutoOffsetReset) null, topic, (record, partitionTime) -> ((Event) record.value()).known, new StringDeserializer(),
                    job.reader(topic), job.prefix + topic);
            sources.add(topic);
        }
        topology.addProcessor("churn", () -> new Churn(job, trees, reasons, finish), sources.toArray(String[]::new));
        topology.addStateStore(new LiveStore.Builder(start, finish), "churn");
        for (String sink : List.of("scores", "latest", "alerts")) {
            topology.addSink(
                    sink, job.text("out_" + sink), new StringSerializer(), new ByteArraySerializer(), "churn");
        }
        return topology;
    }

    private static Properties config(Job job, String application, Path folder) {
        Properties config = new Properties();
        config.put("application.id", application);
        config.put("bootstrap.servers", job.text("bootstrap"));
        config.put("processing.guarantee", job.text("guarantee"));
        config.put("state.dir", folder.resolve(application).toString());
        config.put("num.stream.threads", 1);
        config.put("commit.interval.ms", 1000);
        config.put("replication.factor", 1);
        config.put("metrics.recording.level", "INFO");
        config.put("buffered.records.per.partition", 20_000);
        config.put("consumer.max.poll.records", 20_000);
        config.put("consumer.fetch.max.wait.ms", 20);
        config.put("consumer.session.timeout.ms", 10_000);
        config.put("consumer.heartbeat.interval.ms", 3_000);
        config.put("consumer.auto.offset.reset", "earliest");
        config.put("producer.linger.ms", 20);
        config.put("producer.batch.size", 1 << 20);
        config.put("producer.buffer.memory", 256 << 20);
        job.json.get("config").properties().forEach(e -> config.put(e.getKey(), e.getValue().asText()));
        return config;
    }

    /** Let a new application begin where the measured day does. */
    private static void commit(Job job, String application) {
        Map<String, Object> config = Map.of("bootstrap.servers", job.text("bootstrap"), "group.id", application);
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            job.begin().forEach((where, offset) -> offsets.put(where, new OffsetAndMetadata(offset)));
            consumer.commitSync(offsets);
        }
    }

    private static double peakRssMb() throws Exception {
        Path status = Path.of("/proc/self/status");
        if (Files.exists(status)) {
            for (String line : Files.readAllLines(status)) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
                }
            }
        }
        return 0;
    }
}
