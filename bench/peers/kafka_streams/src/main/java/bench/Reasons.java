package bench;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/**
 * Shapley values of the margin, leaf by leaf. A leaf adds for feature i of its path v (o_i - z_i) times the integral over
 * t in [0, 1] of the product of o_j t + z_j (1 - t) over the other features: o is 1 where the row goes along, z the share
 * of training rows that did. Four Gauss-Legendre points are exact up to eight features on a path.
 */
final class Reasons {
    private static final double[] T = {
        0.06943184420297371, 0.33000947820757187, 0.6699905217924281, 0.9305681557970262
    };
    private static final double[] W = {0.17392742256872692, 0.32607257743127307, 0.32607257743127307, 0.17392742256872692};

    /** What a path asks of one feature. */
    private static final class Step {
        final int feature;
        double low = Double.NEGATIVE_INFINITY, high = Double.POSITIVE_INFINITY, z = 1;
        boolean missing = true;

        Step(int feature) {
            this.feature = feature;
        }

        Step copy() {
            Step step = new Step(feature);
            step.low = low;
            step.high = high;
            step.z = z;
            step.missing = missing;
            return step;
        }
    }

    private record Leaf(double value, Step[] steps) {}

    private final List<Leaf> leaves = new ArrayList<>();

    Reasons(JsonNode learner) {
        for (JsonNode tree : learner.get("gradient_booster").get("model").get("trees")) {
            descend(tree, 0, List.of());
        }
    }

    private void descend(JsonNode tree, int node, List<Step> path) {
        int left = tree.get("left_children").get(node).asInt(), right = tree.get("right_children").get(node).asInt();
        double value = tree.get("split_conditions").get(node).floatValue();
        if (left < 0) {
            leaves.add(new Leaf(value, path.toArray(Step[]::new)));
            return;
        }
        int feature = tree.get("split_indices").get(node).asInt();
        boolean missingLeft = tree.get("default_left").get(node).asInt() == 1;
        JsonNode cover = tree.get("sum_hessian");
        for (int child : new int[] {left, right}) {
            List<Step> steps = new ArrayList<>();
            path.forEach(step -> steps.add(step.copy()));
            Step step = steps.stream().filter(s -> s.feature == feature).findFirst().orElse(null);
            if (step == null) {
                step = new Step(feature);
                steps.add(step);
            }
            step.low = child == right ? Math.max(step.low, value) : step.low;
            step.high = child == left ? Math.min(step.high, value) : step.high;
            step.missing &= missingLeft == (child == left);
            step.z *= cover.get(child).floatValue() / cover.get(node).floatValue();
            descend(tree, child, steps);
        }
    }

    /** Contributions of all features to the margin of a row. */
    double[] contributions(float[] x) {
        double[] out = new double[x.length], factors = new double[4 * 64], product = new double[4];
        for (Leaf leaf : leaves) {
            Step[] steps = leaf.steps;
            for (int q = 0; q < 4; q++) {
                product[q] = W[q] * leaf.value;
            }
            for (int i = 0; i < steps.length; i++) {
                int o = goesAlong(steps[i], x) ? 1 : 0;
                for (int q = 0; q < 4; q++) {
                    factors[4 * i + q] = o * T[q] + steps[i].z * (1 - T[q]);
                    product[q] *= factors[4 * i + q];
                }
            }
            for (int i = 0; i < steps.length; i++) {
                double sum = 0;
                for (int q = 0; q < 4; q++) {
                    sum += product[q] / factors[4 * i + q];
                }
                out[steps[i].feature] += sum * ((goesAlong(steps[i], x) ? 1 : 0) - steps[i].z);
            }
        }
        return out;
    }

    private static boolean goesAlong(Step step, float[] x) {
        float value = x[step.feature];
        return Float.isNaN(value) ? step.missing : step.low <= value && value < step.high;
    }
}
