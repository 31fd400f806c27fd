package bench;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * The booster's JSON as complete trees: a node is one long (threshold, column), a row is walked through eight trees at a
 * time without a branch. Floats are compared as integers of the same order; column 2j is feature j whose missing value
 * goes right, 2j + 1 the one whose missing value goes left.
 */
final class Trees {
    private static final int TOGETHER = 8;
    final int n;
    private final int depth;
    private final int size;
    private final long[] nodes;
    private final float[] leaves;
    private final float base;
    private final int[] row = new int[2 * Customer.N_FEATURES];

    Trees(JsonNode learner) {
        JsonNode trees = learner.get("gradient_booster").get("model").get("trees");
        n = trees.size();
        int deepest = 1;
        for (JsonNode tree : trees) {
            deepest = Math.max(deepest, depthOf(tree, 0));
        }
        depth = deepest;
        size = 1 << depth;
        int padded = (n + TOGETHER - 1) / TOGETHER * TOGETHER;
        nodes = new long[padded * size];
        leaves = new float[padded * size];
        for (int t = 0; t < n; t++) {
            fill(trees.get(t), 0, t * size, 0, 0);
        }
        float p = Float.parseFloat(learner.get("learner_model_param").get("base_score").asText().replaceAll("[\\[\\]]", ""));
        base = (float) -Math.log(1.0f / p - 1.0f);
    }

    private static int depthOf(JsonNode tree, int node) {
        int left = tree.get("left_children").get(node).asInt();
        if (left < 0) {
            return 0;
        }
        return 1 + Math.max(depthOf(tree, left), depthOf(tree, tree.get("right_children").get(node).asInt()));
    }

    /** Place a node and what is below it; a leaf that comes early is repeated to the right of nodes that send all there. */
    private void fill(JsonNode tree, int node, int first, int place, int level) {
        boolean isLeaf = tree.get("left_children").get(node).asInt() < 0;
        if (level == depth) {
            leaves[first + place - (size - 1)] = tree.get("split_conditions").get(node).floatValue();
        } else if (isLeaf) {
            nodes[first + place] = (long) Integer.MIN_VALUE << 32;
            fill(tree, node, first, 2 * place + 2, level + 1);
        } else {
            int left = tree.get("default_left").get(node).asInt();
            int threshold = ordered(tree.get("split_conditions").get(node).floatValue());
            nodes[first + place] = (long) threshold << 32 | 2 * tree.get("split_indices").get(node).asInt() + left;
            fill(tree, tree.get("left_children").get(node).asInt(), first, 2 * place + 1, level + 1);
            fill(tree, tree.get("right_children").get(node).asInt(), first, 2 * place + 2, level + 1);
        }
    }

    /** An integer that sorts as the float does; NaN is above everything. */
    private static int ordered(float value) {
        int bits = Float.floatToIntBits(value + 0.0f);
        return bits ^ bits >> 31 & Integer.MAX_VALUE;
    }

    float margin(float[] x) {
        int lowest = ordered(Float.NEGATIVE_INFINITY);
        for (int j = 0; j < Customer.N_FEATURES; j++) {
            int value = ordered(x[j]);
            row[2 * j] = value;
            row[2 * j + 1] = x[j] != x[j] ? lowest : value;
        }
        float total = base;
        int s = size, last = size - 1;
        for (int t = 0; t < n; t += TOGETHER) {
            int f = t * s, a = 0, b = 0, c = 0, d = 0, e = 0, g = 0, h = 0, i = 0;
            for (int level = 0; level < depth; level++) {
                a = next(f, a);
                b = next(f + s, b);
                c = next(f + 2 * s, c);
                d = next(f + 3 * s, d);
                e = next(f + 4 * s, e);
                g = next(f + 5 * s, g);
                h = next(f + 6 * s, h);
                i = next(f + 7 * s, i);
            }
            f -= last;
            total += leaves[f + a];
            total += leaves[f + s + b];
            total += leaves[f + 2 * s + c];
            total += leaves[f + 3 * s + d];
            total += leaves[f + 4 * s + e];
            total += leaves[f + 5 * s + g];
            total += leaves[f + 6 * s + h];
            total += leaves[f + 7 * s + i];
        }
        return total;
    }

    private int next(int first, int place) {
        long node = nodes[first + place];
        return 2 * place + 2 - (int) (row[(int) node] - (node >> 32) >>> 63);
    }
}
