package bench;

import java.util.Arrays;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** One event: state, features, score, what is published, which alerts open and close. One of these for each task. */
final class Churn implements Processor<String, Event, String, byte[]> {
    private static final int TICK = 0, EVENT = 1, URGENT = 2;
    private static final int MOVED_MICROS = 50_000;
    private static final long COOL_DOWN_MS = 14 * Customer.DAY_MS;
    private static final double CLOSE_SHARE = 0.7;

    private final Job job;
    private final Trees trees;
    private final Reasons reasons;
    private final Finish finish;
    private final Records records;
    private final Calendar calendar = new Calendar();
    private final float[] x = new float[Customer.N_FEATURES];
    private final long[][] histograms = new long[Customer.N_FEATURES][11];
    private final long lastDay;
    private ProcessorContext<String, byte[]> context;
    private LiveStore customers;

    Churn(Job job, Trees trees, Reasons reasons, Finish finish) {
        this.job = job;
        this.trees = trees;
        this.reasons = reasons;
        this.finish = finish;
        records = new Records(job);
        lastDay = job.json.get("last_day").asLong();
    }

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
        this.context = context;
        customers = context.getStateStore(LiveStore.NAME);
    }

    @Override
    public void process(Record<String, Event> record) {
        finish.began();
        Event event = record.value();
        if (event.kind == Kind.CLOCK) {
            tick(event);
            return;
        }
        Customer customer = customers.get(record.key());
        customer.update(event);
        customers.changed(customer);
        long asOf = Math.max(event.time, event.known) + 1;
        if (customer.isDue(event, asOf)) {
            score(customer, asOf, event.kind.isUrgent() ? URGENT : EVENT);
        } else if (event.kind == Kind.CANCEL && customer.since != 0) {
            customer.since = 0;
            customer.closed = asOf;
            publish(customer, asOf, "alerts", records.alert(customer, asOf, TICK, value(customer, asOf, TICK), x, null));
        }
        finish.nEvents.lazySet(finish.nEvents.getPlain() + 1);
    }

    private void tick(Event clock) {
        if (clock.day < lastDay) {
            return;
        }
        for (Customer customer : customers.all()) {
            if (customer.isDueAtTick(clock.time)) {
                score(customer, clock.time, TICK);
                customers.changed(customer);
                countBins();
            }
        }
        finish.ticked(context.taskId().partition());
        context.commit();
    }

    private float value(Customer customer, long asOf, int rowKind) {
        customer.features(asOf, calendar, x);
        double margin = trees.margin(x);
        return (float) (1 / (1 + Math.exp(-(job.slope[rowKind] * margin + job.intercept[rowKind]))));
    }

    private void score(Customer customer, long asOf, int rowKind) {
        float score = value(customer, asOf, rowKind);
        finish.nRows.lazySet(finish.nRows.getPlain() + 1);
        long micros = (long) (score * 1e6 + 0.5);
        int band = score >= job.threshold[rowKind] ? 1 : 0;
        boolean isNew = customer.score < 0, isOther = !isNew && band != customer.band;
        if (rowKind == TICK || isNew || isOther || Math.abs(micros - customer.score) > MOVED_MICROS) {
            customer.score = micros;
            customer.band = band;
            int reason = rowKind == TICK ? 0 : isOther ? 2 : 1;
            byte[] bytes = records.score(customer, asOf, rowKind, score, band == 1, reason);
            publish(customer, asOf, "scores", bytes);
            publish(customer, asOf, "latest", bytes);
            finish.nPublished.lazySet(finish.nPublished.getPlain() + 1);
        }
        alert(customer, asOf, rowKind, score);
    }

    private void alert(Customer customer, long asOf, int rowKind, float score) {
        double limit = job.threshold[rowKind];
        if (customer.since == 0) {
            if (score >= limit && (customer.closed == 0 || asOf - customer.closed >= COOL_DOWN_MS)) {
                customer.episode++;
                customer.since = asOf;
                double[] shares = reasons.contributions(x);
                publish(customer, asOf, "alerts", records.alert(customer, asOf, rowKind, score, x, shares));
                finish.nOpened.lazySet(finish.nOpened.getPlain() + 1);
            }
        } else if (score < limit * CLOSE_SHARE) {
            customer.since = 0;
            customer.closed = asOf;
            publish(customer, asOf, "alerts", records.alert(customer, asOf, rowKind, score, x, null));
        }
    }

    private void publish(Customer customer, long time, String sink, byte[] value) {
        context.forward(new Record<>(customer.id, value, time), sink);
    }

    private void countBins() {
        for (int j = 0; j < x.length; j++) {
            if (Float.isNaN(x[j])) {
                histograms[j][10]++;
            } else {
                int found = Arrays.binarySearch(job.edges[j], x[j]);
                while (found >= 0 && found + 1 < job.edges[j].length && job.edges[j][found + 1] == x[j]) {
                    found++;
                }
                histograms[j][found < 0 ? -found - 1 : found + 1]++;
            }
        }
    }
}
