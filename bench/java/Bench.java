import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.InvalidTxnStateException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;

/**
 * The Java client's side of the benchmarks. One command a run; bench/run starts it.
 *
 *   Bench transactions BOOTSTRAP TOPIC PARTITIONS COUNT WARM    answers with one JSON object
 *   Bench streams BOOTSTRAP INPUT OUTPUT APPLICATION_ID GUARANTEE STATE_DIR pass|json
 *                                                               runs until it is killed
 */
public final class Bench {
  /** Of transactions that are measured; warming takes half of it at most. */
  private static final long NANOSECONDS_MAX = 10_000_000_000L;

  public static void main(String[] arguments) throws Exception {
    String[] rest = Arrays.copyOfRange(arguments, 1, arguments.length);
    switch (arguments[0]) {
      case "transactions" -> transactions(rest);
      case "streams" -> streams(rest);
      default -> throw new IllegalArgumentException(arguments[0]);
    }
  }

  /** As bench/payload.h makes it. */
  private static byte[] payload(long number) {
    StringBuilder text = new StringBuilder("{\"n\":" + (100_000_000_000L + number) + ",\"text\":\"");
    while (text.length() < 98) {
      text.append((char) ('a' + text.length() % 26));
    }
    return text.append("\"}").toString().getBytes(StandardCharsets.UTF_8);
  }

  private static void transactions(String[] arguments) {
    String topic = arguments[1];
    int partitions = Integer.parseInt(arguments[2]);
    int count = Integer.parseInt(arguments[3]);
    int warm = Integer.parseInt(arguments[4]);
    Properties properties = new Properties();
    properties.put("bootstrap.servers", arguments[0]);
    properties.put("transactional.id", "bench-java-" + topic);
    properties.put("linger.ms", "0");
    long[] nanoseconds = new long[count];
    KafkaProducer<byte[], byte[]> producer = newProducer(properties);
    try {
      long started = System.nanoTime();
      int done = 0;
      int measured = 0;
      for (boolean isWarm = warm == 0; measured < count; ++done) {
        if (!isWarm && (done == warm || System.nanoTime() - started > NANOSECONDS_MAX / 2)) {
          isWarm = true;
          started = System.nanoTime();
        }
        if (isWarm && System.nanoTime() - started > NANOSECONDS_MAX) {
          break;
        }
        long beginning = System.nanoTime();
        try {
          producer.beginTransaction();
          producer.send(new ProducerRecord<>(topic, done % partitions, null, payload(done + 1)));
          producer.commitTransaction();
        } catch (InvalidTxnStateException error) {
          // The client asks whether batches are left before it takes the lock in which it takes
          // EndTxn from its queue: a quick application gets its commit sent before its record.
          producer.close();
          producer = newProducer(properties);
          --done;
          continue;
        }
        if (isWarm) {
          nanoseconds[measured++] = System.nanoTime() - beginning;
        }
      }
      double seconds = (System.nanoTime() - started) / 1e9;
      Arrays.sort(nanoseconds, 0, measured);
      System.out.printf(
          "{\"count\": %d, \"seconds\": %.4f, \"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}%n",
          done, seconds, measured / seconds, nanoseconds[measured / 2] / 1e3,
          nanoseconds[(int) (measured * 0.99)] / 1e3);
    } finally {
      producer.close();
    }
  }

  private static KafkaProducer<byte[], byte[]> newProducer(Properties properties) {
    KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    producer.initTransactions();
    return producer;
  }

  private static void streams(String[] arguments) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", arguments[0]);
    properties.put("application.id", arguments[3]);
    properties.put("processing.guarantee", arguments[4]);
    properties.put("state.dir", arguments[5]);
    properties.put("commit.interval.ms", "100");
    properties.put("num.stream.threads", "1");
    properties.put("auto.offset.reset", "earliest");
    properties.put("producer.linger.ms", "5");
    properties.put("producer.batch.size", "262144");
    properties.put("consumer.max.poll.records", "5000");
    var serde = Serdes.ByteArray();
    StreamsBuilder builder = new StreamsBuilder();
    KStream<byte[], byte[]> input = builder.stream(arguments[1], Consumed.with(serde, serde));
    boolean json = arguments[6].equals("json");
    input.mapValues(json ? Bench::setField : value -> value)
        .to(arguments[2], Produced.with(serde, serde));
    KafkaStreams streams = new KafkaStreams(builder.build(), properties);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }

  private static final ObjectMapper MAPPER = new ObjectMapper();

  private static byte[] setField(byte[] value) {
    try {
      ObjectNode node = (ObjectNode) MAPPER.readTree(value);
      node.put("m", node.get("n").asLong() + 1);
      return MAPPER.writeValueAsBytes(node);
    } catch (java.io.IOException error) {
      throw new java.io.UncheckedIOException(error);
    }
  }
}
