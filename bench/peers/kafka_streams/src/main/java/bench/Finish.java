package bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.processor.internals.DefaultKafkaClientSupplier;

/**
 * The clock of one pass: it starts at the first event and stops when the first commit after the last partition's tick has
 * been acknowledged. Called by the one stream thread.
 */
final class Finish extends DefaultKafkaClientSupplier {
    private static final OperatingSystemMXBean PROCESS =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    final AtomicLong nEvents = new AtomicLong();
    final AtomicLong nRows = new AtomicLong();
    final AtomicLong nPublished = new AtomicLong();
    final AtomicLong nOpened = new AtomicLong();
    final AtomicLong nChanges = new AtomicLong();
    final AtomicLong changelogBytes = new AtomicLong();
    private final int partitions;
    private final Set<Integer> ticked = new HashSet<>();
    private final Set<Integer> saved = new HashSet<>();
    private final CountDownLatch done = new CountDownLatch(1);
    private long firstNs, firstCpuNs, doneNs, doneCpuNs;

    Finish(int partitions) {
        this.partitions = partitions;
    }

    void began() {
        if (firstNs == 0) {
            firstNs = System.nanoTime();
            firstCpuNs = PROCESS.getProcessCpuTime();
        }
    }

    void ticked(int partition) {
        ticked.add(partition);
    }

    void flushed(int partition) {
        if (ticked.contains(partition)) {
            saved.add(partition);
        }
    }

    private void acknowledged() {
        if (saved.size() == partitions && doneNs == 0) {
            doneNs = System.nanoTime();
            doneCpuNs = PROCESS.getProcessCpuTime();
            done.countDown();
        }
    }

    boolean await(long seconds) throws InterruptedException {
        return done.await(seconds, TimeUnit.SECONDS);
    }

    double seconds() {
        return (doneNs - firstNs) / 1e9;
    }

    double cpuSeconds() {
        return (doneCpuNs - firstCpuNs) / 1e9;
    }

    @Override
    public Consumer<byte[], byte[]> getConsumer(Map<String, Object> config) {
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer()) {
            @Override
            public void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets) {
                super.commitSync(offsets);
                acknowledged();
            }
        };
    }

    @Override
    public Producer<byte[], byte[]> getProducer(Map<String, Object> config) {
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()) {
            @Override
            public void commitTransaction() {
                super.commitTransaction();
                acknowledged();
            }
        };
    }
}
