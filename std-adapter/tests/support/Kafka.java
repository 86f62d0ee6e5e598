import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Kafka's own client, for tests of another one.
 *
 * usage: Kafka.java BROKER create TOPIC PARTITIONS [KEY=VALUE]...
 *        Kafka.java BROKER read TOPIC
 *
 * "read" prints each record of the topic in a line: its partition, the partition that Kafka's producer chooses for its key, the key, the header
 * content-type, its time in milliseconds and its value, with tabs between them. What is not there is "-".
 */
public class Kafka {
    public static void main(String[] args) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", args[0]);
        switch (args[1]) {
            case "create" -> {
                var settings = List.of(args).subList(4, args.length).stream().map(it -> it.split("=", 2));
                var topic = new NewTopic(args[2], Optional.of(Integer.valueOf(args[3])), Optional.empty())
                    .configs(settings.collect(Collectors.toMap(it -> it[0], it -> it[1])));
                try (var admin = Admin.create(config)) {
                    admin.createTopics(List.of(topic)).all().get();
                }
            }
            case "read" -> read(config, args[2]);
            default -> throw new IllegalArgumentException(args[1]);
        }
    }

    static void read(Map<String, Object> config, String topic) {
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(config, bytes, bytes)) {
            var partitions =
                consumer.partitionsFor(topic).stream().map(it -> new TopicPartition(topic, it.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            var ends = consumer.endOffsets(partitions);
            var out = new StringBuilder();
            while (partitions.stream().anyMatch(it -> consumer.position(it) < ends.get(it))) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    var key = record.key();
                    var header = record.headers().lastHeader("content-type");
                    out.append(record.partition()).append('\t')
                        .append(key == null ? "-" : BuiltInPartitioner.partitionForKey(key, partitions.size())).append('\t')
                        .append(key == null ? "-" : new String(key)).append('\t')
                        .append(header == null ? "-" : new String(header.value())).append('\t')
                        .append(record.timestamp()).append('\t')
                        .append(new String(record.value())).append('\n');
                }
            }
            System.out.print(out);
        }
    }
}
