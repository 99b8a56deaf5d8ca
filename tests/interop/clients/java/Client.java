import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java client for tests/interop: Client BOOTSTRAP CASE... runs cases, a line each. */
public final class Client {
  private static String bootstrap;
  private static int names;

  private interface Case {
    void run() throws Exception;
  }

  private static String unique(String name) {
    return "j-" + name + "-" + ProcessHandle.current().pid() + "-" + System.nanoTime() + names++;
  }

  private static void check(boolean good, String text) {
    if (!good) throw new IllegalStateException(text);
  }

  private static Properties properties(String... pairs) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    for (int i = 0; i < pairs.length; i += 2) properties.put(pairs[i], pairs[i + 1]);
    return properties;
  }

  private static KafkaProducer<String, String> producer(String... pairs) {
    return new KafkaProducer<>(
        properties(pairs), new StringSerializer(), new StringSerializer());
  }

  private static KafkaConsumer<String, String> consumer(String group, String... pairs) {
    Properties properties = properties(pairs);
    if (group != null) properties.put("group.id", group);
    properties.putIfAbsent("isolation.level", "read_committed");
    properties.put("auto.offset.reset", "earliest");
    properties.put("enable.auto.commit", "false");
    properties.put("session.timeout.ms", "6000");
    properties.put("heartbeat.interval.ms", "500");
    properties.put("max.poll.records", "50");
    return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
  }

  private static void create(String topic, int partitions) throws Exception {
    try (Admin admin = Admin.create(properties())) {
      admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 3))).all().get();
    }
  }

  private static void send(
      KafkaProducer<String, String> producer, String topic, int first, int count)
      throws Exception {
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (int number = first; number < first + count; ++number)
      sent.add(producer.send(new ProducerRecord<>(topic, "k" + number, "" + number)));
    producer.flush();
    for (Future<RecordMetadata> future : sent) future.get();
  }

  /** Counts each number of the topic up to its end for this isolation level. */
  private static Map<Integer, Integer> count(String topic, String isolation) {
    Map<Integer, Integer> counts = new HashMap<>();
    try (var consumer = consumer(null, "isolation.level", isolation)) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(info -> new TopicPartition(topic, info.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      long deadline = System.nanoTime() + 120_000_000_000L;
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        check(System.nanoTime() < deadline, "no end of " + topic + " with " + isolation);
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100)))
          counts.merge(Integer.parseInt(record.value()), 1, Integer::sum);
      }
    }
    return counts;
  }

  private static void expectOnce(String topic, String isolation, int limit) {
    Map<Integer, Integer> counts = count(topic, isolation);
    for (int number = 0; number < limit; ++number)
      check(
          counts.getOrDefault(number, 0) == 1,
          topic + ": record " + number + " is there " + counts.getOrDefault(number, 0) + " times");
    check(counts.size() == limit, topic + ": " + counts.size() + " numbers, not " + limit);
  }

  private static void produce() throws Exception {
    String topic = unique("produce");
    create(topic, 3);
    String[] codecs = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (int i = 0; i < codecs.length; ++i)
      try (var producer =
          producer("compression.type", codecs[i], "enable.idempotence", "false", "acks", "1")) {
        send(producer, topic, i * 1000, 1000);
      }
    expectOnce(topic, "read_uncommitted", 5000);
  }

  private static void consume() throws Exception {
    String topic = unique("consume"), group = unique("group");
    create(topic, 1);
    try (var producer = producer()) {
      send(producer, topic, 0, 200);
    }
    for (int half = 0; half < 2; ++half)
      try (var consumer = consumer(group)) {
        consumer.subscribe(List.of(topic));
        int expected = half * 100;
        long deadline = System.nanoTime() + 120_000_000_000L;
        while (expected < (half + 1) * 100) {
          check(System.nanoTime() < deadline, "only " + expected + " records");
          ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
          for (ConsumerRecord<String, String> record : records)
            check(record.offset() == expected++, "offset " + record.offset());
        }
        consumer.commitSync(
            Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata((half + 1) * 100)));
        check(
            consumer.committed(Set.of(new TopicPartition(topic, 0)))
                    .get(new TopicPartition(topic, 0)).offset()
                == (half + 1) * 100,
            "committed offset");
      }
  }

  private static void idempotent() throws Exception {
    String topic = unique("idempotent");
    create(topic, 2);
    try (var producer = producer("enable.idempotence", "true", "batch.size", "200")) {
      send(producer, topic, 0, 5000);
    }
    expectOnce(topic, "read_uncommitted", 5000);
  }

  private static KafkaProducer<String, String> transactional(String id) {
    var producer = producer("transactional.id", id, "transaction.timeout.ms", "20000");
    producer.initTransactions();
    return producer;
  }

  private static void transactions() throws Exception {
    String topic = unique("transactions"), id = unique("id");
    create(topic, 3);
    try (Admin admin = Admin.create(properties())) {
      FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
      check(
          features.finalizedFeatures().get("transaction.version").maxVersionLevel() == 2,
          "transaction.version is not 2");
    }
    try (var producer = transactional(id)) {
      for (int i = 0; i < 20; ++i) {
        producer.beginTransaction();
        send(producer, topic, i * 10, 10);
        producer.commitTransaction();
        producer.beginTransaction();
        send(producer, topic, 1000, 5);
        producer.abortTransaction();
      }
      producer.beginTransaction();
      producer.abortTransaction();  // of nothing
      producer.beginTransaction();
      send(producer, topic, 2000, 5);
      try (var next = transactional(id)) {
        next.beginTransaction();
        send(next, topic, 200, 1);
        next.commitTransaction();
        boolean fenced = false;
        try {
          send(producer, topic, 3000, 1);
          producer.commitTransaction();
        } catch (Exception refused) {
          Throwable cause = refused.getCause() == null ? refused : refused.getCause();
          fenced =
              cause instanceof ProducerFencedException
                  || cause instanceof InvalidProducerEpochException;
          check(fenced, "not fenced but " + refused);
        }
        check(fenced, "the old instance was not fenced");
      }
    }
    expectOnce(topic, "read_committed", 201);
    check(
        count(topic, "read_uncommitted").get(1000) == 20,
        "who reads uncommitted does not see what was aborted");
  }

  private static int transformSome(
      KafkaConsumer<String, String> consumer,
      KafkaProducer<String, String> producer,
      String output) {
    ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
    if (records.isEmpty()) return 0;
    producer.beginTransaction();
    Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
    for (ConsumerRecord<String, String> record : records) {
      producer.send(new ProducerRecord<>(output, record.key(), record.value()));
      positions.put(
          new TopicPartition(record.topic(), record.partition()),
          new OffsetAndMetadata(record.offset() + 1));
    }
    producer.sendOffsetsToTransaction(positions, consumer.groupMetadata());
    producer.commitTransaction();
    return records.count();
  }

  private static void transform() throws Exception {
    String input = unique("input"), output = unique("output");
    String group = unique("group"), id = unique("id");
    create(input, 2);
    create(output, 2);
    try (var producer = producer()) {
      send(producer, input, 0, 1500);
    }
    int done = 0;
    long deadline = System.nanoTime() + 120_000_000_000L;
    for (int life = 0; life < 3; ++life)
      try (var consumer = consumer(group);
          var producer = transactional(id)) {
        consumer.subscribe(List.of(input));
        while (done < (life == 2 ? 1500 : (life + 1) * 500)) {
          check(System.nanoTime() < deadline, "only " + done + " in time");
          done += transformSome(consumer, producer, output);
        }
        producer.beginTransaction();
        send(producer, output, 0, 3);  // left open
      }
    transactional(id).close();
    expectOnce(output, "read_committed", 1500);
  }

  private static void rebalance() throws Exception {
    String topic = unique("rebalance"), group = unique("group");
    create(topic, 4);
    for (String assignor : List.of("RangeAssignor", "CooperativeStickyAssignor")) {
      String strategy = "org.apache.kafka.clients.consumer." + assignor;
      var one = consumer(group + assignor, "partition.assignment.strategy", strategy);
      var two = consumer(group + assignor, "partition.assignment.strategy", strategy);
      one.subscribe(List.of(topic));
      pollUntil(one, 4, null, 0);
      two.subscribe(List.of(topic));
      pollUntil(one, 2, two, 2);
      one.close();
      pollUntil(two, 4, null, 0);
      two.close();
    }
    // A static member that comes back keeps what it had, without a rebalance for the other.
    String[] instance = {"group.instance.id", "first"};
    var one = consumer(group, instance);
    var two = consumer(group, "group.instance.id", "second");
    one.subscribe(List.of(topic));
    two.subscribe(List.of(topic));
    pollUntil(one, 2, two, 2);
    int generation = two.groupMetadata().generationId();
    one.close();
    var again = consumer(group, instance);
    again.subscribe(List.of(topic));
    pollUntil(again, 2, two, 2);
    check(two.groupMetadata().generationId() == generation, "a static member caused a rebalance");
    again.close();
    two.close();
  }

  private static void pollUntil(
      KafkaConsumer<String, String> one, int ofOne, KafkaConsumer<String, String> two, int ofTwo) {
    long deadline = System.nanoTime() + 120_000_000_000L;
    while (one.assignment().size() != ofOne || (two != null && two.assignment().size() != ofTwo)) {
      check(System.nanoTime() < deadline, "no assignment of " + ofOne + " and " + ofTwo);
      one.poll(Duration.ofMillis(50));
      if (two != null) two.poll(Duration.ofMillis(50));
    }
  }

  private static void admin() throws Exception {
    String topic = unique("admin"), group = unique("group"), id = unique("id");
    TopicPartition partition = new TopicPartition(topic, 0);
    try (Admin admin = Admin.create(properties())) {
      admin
          .createTopics(
              List.of(
                  new NewTopic(topic, 2, (short) 1).configs(Map.of("retention.ms", "123456"))))
          .all()
          .get();
      check(admin.describeCluster().nodes().get().size() == 1, "nodes");
      check(!admin.describeCluster().clusterId().get().isEmpty(), "cluster id");
      admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
      check(
          admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic)
                  .partitions().size()
              == 3,
          "partitions");
      ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
      check(
          admin.describeConfigs(List.of(resource)).all().get().get(resource)
              .get("retention.ms").value().equals("123456"),
          "retention.ms");
      ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
      check(
          admin.describeConfigs(List.of(broker)).all().get().get(broker)
                  .get("num.partitions") != null,
          "num.partitions");
      try (var producer = transactional(id)) {
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 0, null, "1")).get();
        check(
            admin.listTransactions(new ListTransactionsOptions().filterStates(
                        Set.of(TransactionState.ONGOING))).all().get().stream()
                .anyMatch(listing -> listing.transactionalId().equals(id)),
            "listTransactions");
        check(
            admin.describeTransactions(List.of(id)).description(id).get().topicPartitions()
                .contains(partition),
            "describeTransactions");
        check(
            admin.describeProducers(List.of(partition)).partitionResult(partition).get()
                    .activeProducers().get(0).currentTransactionStartOffset().getAsLong()
                == 0,
            "describeProducers");
        producer.commitTransaction();
      }
      check(
          admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get().get(partition)
                  .offset()
              == 2,
          "latest offset with its marker");
      check(
          admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).all().get()
                  .get(partition).offset()
              >= 0,
          "offset of the greatest timestamp");
      try (var consumer = consumer(group)) {
        consumer.subscribe(List.of(topic));
        pollUntil(consumer, 3, null, 0);
        consumer.commitSync(Map.of(partition, new OffsetAndMetadata(1)));
        ConsumerGroupDescription description =
            admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        check(description.members().size() == 1, "members");
      }
      check(
          admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                  .get(partition).offset()
              == 1,
          "listConsumerGroupOffsets");
      check(
          admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)),
          "listGroups");
      admin.deleteConsumerGroups(List.of(group)).all().get();
      admin.deleteTopics(List.of(topic)).all().get();
      check(!admin.listTopics().names().get().contains(topic), "the topic is still there");
    }
  }

  /** Becomes true once standard input has ended. */
  private static AtomicBoolean endOfStandardInput() {
    AtomicBoolean ended = new AtomicBoolean();
    Thread reader =
        new Thread(
            () -> {
              try {
                while (System.in.read() >= 0) {}
              } catch (IOException gone) {
                // Ended, too.
              }
              ended.set(true);
            });
    reader.setDaemon(true);
    reader.start();
    return ended;
  }

  /**
   * Goes on through kills of the broker, which are the runner's, until standard input ends. The
   * loop's input comes from an idempotent producer meanwhile, so that a kill meets its batches too.
   */
  private static void crashLoop() throws Exception {
    String input = unique("input"), output = unique("output");
    String group = unique("group"), id = unique("id");
    create(input, 2);
    create(output, 2);
    AtomicBoolean ended = endOfStandardInput();
    List<Future<RecordMetadata>> fed = new ArrayList<>();
    int done = 0;
    long deadline = System.nanoTime() + 120_000_000_000L;
    var feeder = producer();
    var consumer = consumer(group);
    var producer = transactional(id);
    consumer.subscribe(List.of(input));
    while (!ended.get() || done < fed.size()) {
      check(System.nanoTime() < deadline, "only " + done + " of " + fed.size() + " in time");
      for (int i = 0; i < 50 && !ended.get() && fed.size() < done + 1000; ++i)
        fed.add(feeder.send(new ProducerRecord<>(input, "k" + fed.size(), "" + fed.size())));
      try {
        int count = transformSome(consumer, producer, output);
        done += count;
        if (count > 0) System.out.println("committed " + done);
      } catch (KafkaException doubt) {
        // A new life: the fate of the last transaction is read from the group's positions.
        System.err.println("new life after " + doubt);
        producer.close(Duration.ZERO);
        consumer.close(Duration.ZERO);
        producer = transactional(id);
        consumer = consumer(group);
        consumer.subscribe(List.of(input));
        done = committed(group, input);
      }
    }
    for (Future<RecordMetadata> future : fed) future.get();
    feeder.close();
    producer.close();
    consumer.close();
    expectOnce(output, "read_committed", fed.size());
  }

  private static int committed(String group, String input) throws Exception {
    try (Admin admin = Admin.create(properties())) {
      Collection<OffsetAndMetadata> offsets =
          admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().values();
      return (int) offsets.stream().mapToLong(OffsetAndMetadata::offset).sum();
    }
  }

  public static void main(String[] arguments) throws Exception {
    bootstrap = arguments[0];
    Map<String, Case> cases = new HashMap<>();
    cases.put("produce", Client::produce);
    cases.put("consume", Client::consume);
    cases.put("idempotent", Client::idempotent);
    cases.put("transactions", Client::transactions);
    cases.put("transform", Client::transform);
    cases.put("rebalance", Client::rebalance);
    cases.put("admin", Client::admin);
    cases.put("crash-loop", Client::crashLoop);
    boolean good = true;
    for (int i = 1; i < arguments.length; ++i) {
      try {
        cases.get(arguments[i]).run();
        System.out.println(arguments[i] + ": ok");
      } catch (Throwable problem) {
        good = false;
        System.out.println(arguments[i] + ": FAIL: " + problem);
        problem.printStackTrace();
      }
    }
    System.exit(good ? 0 : 1);
  }
}
