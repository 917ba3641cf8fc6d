import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.streams.tests.SmokeTestDriver;

/**
 * Kafka Streams' own SmokeTestDriver, made to wait for whoever runs it: generates once, and verifies as often as a line
 * "verify" is read. It holds results to what exactly_once_v2 must give. It refuses to judge by itself: the verdict and its
 * reasons are the driver's.
 */
public final class Drive {
    private static final boolean EXACTLY_ONCE = true;

    /** Arguments: bootstrap, keys, records a key, seconds that they are spread over. */
    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        int records = Integer.parseInt(arguments[2]);
        Duration length = Duration.ofSeconds(Long.parseLong(arguments[3]));
        Map<String, Set<Integer>> inputs =
                SmokeTestDriver.generate(bootstrap, Integer.parseInt(arguments[1]), records, length);
        System.out.println("DRIVER generated");
        BufferedReader asked = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = asked.readLine(); "verify".equals(line); line = asked.readLine()) {
            boolean passed = SmokeTestDriver.verify(bootstrap, inputs, records, EXACTLY_ONCE).passed();
            System.out.println("DRIVER " + (passed ? "passed" : "refused"));
        }
        System.exit(0);
    }
}
