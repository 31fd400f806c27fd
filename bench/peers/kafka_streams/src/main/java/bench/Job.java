package bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.TopicPartition;

/** What the benchmark asks for: its job.json, and the booster beside it. */
final class Job {
    final JsonNode json;
    final JsonNode learner;
    final String prefix;
    final int partitions;
    final double[] slope, intercept, threshold;
    final float[][] edges;
    final byte[] scoreHeader, alertHeader;
    private final Map<String, List<String>> kinds = new LinkedHashMap<>();
    private final Map<String, List<String>> categories = new HashMap<>();

    Job(Path path) throws IOException {
        ObjectMapper mapper = new ObjectMapper();
        json = mapper.readTree(path.toFile());
        learner = mapper.readTree(Path.of(text("model_json")).toFile()).get("learner");
        prefix = text("prefix");
        partitions = json.get("partitions").asInt();
        slope = doubles(json.get("slope"));
        intercept = doubles(json.get("intercept"));
        threshold = doubles(json.get("threshold"));
        edges = new float[json.get("edges").size()][];
        for (int j = 0; j < edges.length; j++) {
            double[] row = doubles(json.get("edges").get(j));
            edges[j] = new float[row.length];
            for (int i = 0; i < row.length; i++) {
                edges[j][i] = (float) row[i];
            }
        }
        scoreHeader = HexFormat.of().parseHex(text("score_header"));
        alertHeader = HexFormat.of().parseHex(text("alert_header"));
        json.get("topics").properties().forEach(topic -> {
            kinds.put(topic.getKey(), texts(topic.getValue().get("kinds")));
            topic.getValue().get("categories").properties().forEach(field -> {
                if (!field.getValue().isNull()) {
                    categories.put(field.getKey(), texts(field.getValue()));
                }
            });
        });
        kinds.put("clock", List.of());
    }

    String text(String name) {
        return json.get(name).asText();
    }

    /** Sources, the clock last. */
    Iterable<String> topics() {
        return kinds.keySet();
    }

    EventReader reader(String topic) {
        return new EventReader(topic, kinds.get(topic), categories);
    }

    /** Where the measured day begins. */
    Map<TopicPartition, Long> begin() {
        Map<TopicPartition, Long> found = new HashMap<>();
        for (String topic : topics()) {
            for (int p = 0; p < partitions; p++) {
                found.put(new TopicPartition(prefix + topic, p), json.get("offsets").get(topic).get(p).asLong());
            }
        }
        return found;
    }

    private static double[] doubles(JsonNode list) {
        double[] found = new double[list.size()];
        for (int i = 0; i < found.length; i++) {
            found[i] = list.get(i).isNull() ? Double.POSITIVE_INFINITY : list.get(i).asDouble();
        }
        return found;
    }

    private static List<String> texts(JsonNode list) {
        List<String> found = new ArrayList<>();
        list.forEach(item -> found.add(item.asText()));
        return found;
    }
}
