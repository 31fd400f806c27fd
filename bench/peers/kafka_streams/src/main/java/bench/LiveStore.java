package bench;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.query.Position;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * A state store of live objects: nothing is serialised until a commit, which writes the customers that changed to the
 * changelog, each once. The stores that come with the library serialise at every put.
 */
final class LiveStore implements StateStore, CachedStateStore<String, Customer> {
    static final String NAME = "customers";

    private final List<List<Start.Row>> start;
    private final Finish finish;
    private final Map<String, Customer> customers = new HashMap<>();
    private final List<Customer> changed = new ArrayList<>();
    private final CustomerBytes bytes = new CustomerBytes();
    private InternalProcessorContext<?, ?> context;
    private int partition;
    private boolean isOpen;

    private LiveStore(List<List<Start.Row>> start, Finish finish) {
        this.start = start;
        this.finish = finish;
    }

    @Override
    public void init(StateStoreContext context, StateStore root) {
        this.context = (InternalProcessorContext<?, ?>) context;
        partition = context.taskId().partition();
        for (Start.Row row : start.get(partition)) {
            customers.put(row.id(), bytes.decode(row.id(), row.bytes()));
        }
        context.register(root, (key, value) -> {
            String id = new String(key, StandardCharsets.UTF_8);
            customers.put(id, bytes.decode(id, value));
        });
        isOpen = true;
    }

    Customer get(String id) {
        return customers.computeIfAbsent(id, Customer::new);
    }

    Iterable<Customer> all() {
        return customers.values();
    }

    void changed(Customer customer) {
        if (!customer.dirty) {
            customer.dirty = true;
            changed.add(customer);
        }
    }

    @Override
    public void flushCache() {
        long now = System.currentTimeMillis();
        for (Customer customer : changed) {
            customer.dirty = false;
            Bytes key = Bytes.wrap(customer.id.getBytes(StandardCharsets.UTF_8));
            byte[] value = bytes.encode(customer);
            context.logChange(NAME, key, value, now, new RecordHeaders(), Position.emptyPosition());
            finish.changelogBytes.lazySet(finish.changelogBytes.getPlain() + value.length);
        }
        finish.nChanges.lazySet(finish.nChanges.getPlain() + changed.size());
        changed.clear();
        finish.flushed(partition);
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public boolean setFlushListener(CacheFlushListener<String, Customer> listener, boolean sendOldValues) {
        return false;
    }

    @Override
    public void clearCache() {}

    @Override
    public void close() {
        isOpen = false;
    }

    @Override
    public boolean persistent() {
        return false;
    }

    @Override
    public boolean isOpen() {
        return isOpen;
    }

    /** Makes one store for each task. */
    record Builder(List<List<Start.Row>> start, Finish finish) implements StoreBuilder<LiveStore> {
        @Override
        public StoreBuilder<LiveStore> withCachingEnabled() {
            return this;
        }

        @Override
        public StoreBuilder<LiveStore> withCachingDisabled() {
            return this;
        }

        @Override
        public StoreBuilder<LiveStore> withLoggingEnabled(Map<String, String> config) {
            return this;
        }

        @Override
        public StoreBuilder<LiveStore> withLoggingDisabled() {
            return this;
        }

        @Override
        public LiveStore build() {
            return new LiveStore(start, finish);
        }

        @Override
        public Map<String, String> logConfig() {
            return Map.of();
        }

        @Override
        public boolean loggingEnabled() {
            return true;
        }

        @Override
        public String name() {
            return NAME;
        }
    }
}
