/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creates the topics that deploy/create-topics hands over, all with one JVM and one connection,
 * where Kafka's own command takes a JVM per topic. Run from source:
 *
 *   java CreateTopics.java BOOTSTRAP [CLIENT_PROPERTIES] < topics
 *
 * Standard input has one topic per line: NAME PARTITIONS REPLICATION OPTION SETTING=VALUE…, where
 * OPTION is the one of create-topics that sets the partition count, or "-". Topics that exist are
 * left as they are; where one has another partition count nothing is created. Returns when every
 * topic has its leaders. Exit status 0, or 1 with the reason on standard error.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

public class CreateTopics {
    private static final int ANSWER_MS_MAX = 30_000;

    private record Wanted(NewTopic topic, String option) {}

    public static void main(String[] args) throws Exception {
        Map<String, Wanted> wanted = readTopics();
        boolean done = false;
        try (Admin admin = Admin.create(clientSettings(args))) {
            if (partitionsAgree(wanted, describe(admin, wanted))) {
                create(admin, wanted);
                done = awaitLeaders(admin, wanted);
            }
        } catch (ExecutionException error) {
            fail(args[0] + ": " + error.getCause().getMessage());
        }
        System.exit(done ? 0 : 1);
    }

    private static Map<String, Wanted> readTopics() throws Exception {
        Map<String, Wanted> wanted = new LinkedHashMap<>();
        var input = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = input.readLine()) != null; ) {
            String[] words = line.split(" ");
            Map<String, String> settings = new HashMap<>();
            for (int i = 4; i < words.length; i++)
                settings.put(words[i].split("=", 2)[0], words[i].split("=", 2)[1]);
            int partitions = Integer.parseInt(words[1]);
            var topic = new NewTopic(words[0], partitions, Short.parseShort(words[2]));
            wanted.put(words[0], new Wanted(topic.configs(settings), words[3]));
        }
        return wanted;
    }

    private static Properties clientSettings(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("default.api.timeout.ms", String.valueOf(ANSWER_MS_MAX));
        settings.put("request.timeout.ms", String.valueOf(ANSWER_MS_MAX / 2));
        if (args.length > 1) {
            try (var file = Files.newInputStream(Path.of(args[1]))) {
                settings.load(file);
            }
        }
        settings.put("bootstrap.servers", args[0]);
        return settings;
    }

    /* Those of the wanted topics that exist. */
    private static Map<String, TopicDescription> describe(Admin admin, Map<String, Wanted> wanted)
            throws Exception {
        Map<String, TopicDescription> existing = new HashMap<>();
        for (var answer : admin.describeTopics(wanted.keySet()).topicNameValues().entrySet()) {
            try {
                existing.put(answer.getKey(), answer.getValue().get());
            } catch (ExecutionException error) {
                if (!(error.getCause() instanceof UnknownTopicOrPartitionException)) throw error;
            }
        }
        return existing;
    }

    private static boolean partitionsAgree(Map<String, Wanted> wanted,
                                           Map<String, TopicDescription> existing) {
        boolean agree = true;
        for (Wanted other : wanted.values()) {
            String name = other.topic().name();
            if (!existing.containsKey(name)) continue;
            int count = existing.get(name).partitions().size();
            if (count == other.topic().numPartitions()) {
                System.out.println("exists   " + name);
                continue;
            }
            String option = other.option();
            fail("topic " + name + " has " + count + " partitions, not "
                 + other.topic().numPartitions() + ": "
                 + (option.equals("-") ? "" : "say " + option + " " + count + ", or ")
                 + "delete the topic with all its records");
            agree = false;
        }
        return agree;
    }

    private static void create(Admin admin, Map<String, Wanted> wanted) throws Exception {
        var missing = wanted.values().stream().map(Wanted::topic).toList();
        var answers = admin.createTopics(missing).values();
        for (NewTopic topic : missing) {
            try {
                answers.get(topic.name()).get();
                System.out.println("created  " + topic.name() + " with "
                                   + topic.numPartitions() + " partitions");
            } catch (ExecutionException error) {
                if (!(error.getCause() instanceof TopicExistsException)) throw error;
            }
        }
    }

    /* A topic is usable a moment after its creation, when brokers and leaders know of it. */
    private static boolean awaitLeaders(Admin admin, Map<String, Wanted> wanted) throws Exception {
        long deadline = System.nanoTime() + ANSWER_MS_MAX * 1_000_000L;
        while (System.nanoTime() < deadline) {
            var existing = describe(admin, wanted);
            if (existing.size() == wanted.size() && existing.values().stream().allMatch(
                    topic -> topic.partitions().stream().allMatch(p -> p.leader() != null)))
                return true;
            Thread.sleep(50);
        }
        fail("not every topic had its leaders within " + ANSWER_MS_MAX + " ms");
        return false;
    }

    private static void fail(String text) {
        System.err.println("create-topics: " + text);
    }
}
