// A client on librdkafka, for tests/interop: `client BOOTSTRAP CASE` runs one case with topics of its own
// and ends with 0, or prints what is wrong and ends with 1.
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *bootstrap;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  fflush(stdout);
  _exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static const char *unique(const char *name) {
  static char names[16][128];
  static int next;
  char *place = names[next++ % 16];
  snprintf(place, sizeof names[0], "c-%s-%d-%ld", name, getpid(), (long)time(NULL));
  return place;
}

// `settings` are pairs, ended by NULL.
static rd_kafka_t *make(rd_kafka_type_t type, const char **settings) {
  char error[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, NULL, 0);
  // It grows to 10 s by itself if kills follow each other, which is longer than the session.
  rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "500", NULL, 0);
  for (; *settings; settings += 2)
    if (rd_kafka_conf_set(conf, settings[0], settings[1], error, sizeof error))
      die("%s: %s", settings[0], error);
  rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
  if (!client) die("rd_kafka_new: %s", error);
  return client;
}

static void check(rd_kafka_error_t *error, const char *what) {
  if (error) die("%s: %s", what, rd_kafka_error_string(error));
}

static void send_to(rd_kafka_t *producer, const char *topic, int partition, const char *value) {
  for (;;) {
    rd_kafka_resp_err_t error = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE((void *)value, strlen(value)),
        RD_KAFKA_V_END);
    if (!error) return;
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) die("produce: %s", rd_kafka_err2str(error));
    rd_kafka_poll(producer, 10);
  }
}

static void send_numbers(rd_kafka_t *producer, const char *topic, int partition, int first,
                         int count) {
  for (int number = first; number < first + count; ++number) {
    char value[32];
    snprintf(value, sizeof value, "%d", number);
    send_to(producer, topic, partition, value);
  }
}

static void flush(rd_kafka_t *producer) {
  if (rd_kafka_flush(producer, 30000)) die("flush timed out");
}

static void create_topic(const char *topic, int partitions) {
  rd_kafka_t *client = make(RD_KAFKA_PRODUCER, (const char *[]){NULL});
  char error[256];
  rd_kafka_NewTopic_t *new_topic =
      rd_kafka_NewTopic_new(topic, partitions, 3, error, sizeof error);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
  rd_kafka_CreateTopics(client, &new_topic, 1, NULL, queue);
  rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
  if (!event || rd_kafka_event_error(event)) die("CreateTopics failed");
  size_t count;
  const rd_kafka_topic_result_t **results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  if (rd_kafka_topic_result_error(results[0]))
    die("CreateTopics: %s", rd_kafka_topic_result_error_string(results[0]));
  rd_kafka_event_destroy(event);
  rd_kafka_NewTopic_destroy(new_topic);
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(client);
}

static rd_kafka_t *make_consumer(const char *group, const char *isolation) {
  rd_kafka_t *consumer = make(
      RD_KAFKA_CONSUMER,
      (const char *[]){"group.id", group, "isolation.level", isolation, "auto.offset.reset",
                       "earliest", "enable.auto.commit", "false", "session.timeout.ms", "6000",
                       "heartbeat.interval.ms", "500", "check.crcs", "true", NULL});
  rd_kafka_poll_set_consumer(consumer);
  return consumer;
}

static void subscribe(rd_kafka_t *consumer, const char *topic) {
  rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
  if (rd_kafka_subscribe(consumer, topics)) die("subscribe");
  rd_kafka_topic_partition_list_destroy(topics);
}

static void assign_all(rd_kafka_t *consumer, const char *topic, int partitions) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
  for (int partition = 0; partition < partitions; ++partition)
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
  if (rd_kafka_assign(consumer, list)) die("assign");
  rd_kafka_topic_partition_list_destroy(list);
}

// Reads all there is and counts each number below `limit`; others are an error.
static void count_numbers(const char *topic, int partitions, const char *isolation, int *counts,
                          int limit) {
  rd_kafka_t *consumer =
      make(RD_KAFKA_CONSUMER,
           (const char *[]){"group.id", "reader", "isolation.level", isolation, "check.crcs",
                            "true", "enable.partition.eof", "true", NULL});
  assign_all(consumer, topic, partitions);
  int ended = 0;
  double deadline = now() + 120;
  while (ended < partitions) {
    if (now() > deadline) die("no end of %s with %s", topic, isolation);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 200);
    if (!message) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      ++ended;
    } else if (message->err) {
      die("consume: %s", rd_kafka_message_errstr(message));
    } else {
      char value[32] = {0};
      memcpy(value, message->payload, message->len < 31 ? message->len : 31);
      int number = atoi(value);
      if (number < 0 || number >= limit) die("strange record '%s' in %s", value, topic);
      ++counts[number];
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
}

static void expect_once(const char *topic, int partitions, const char *isolation, int count) {
  int *counts = calloc(count + 1, sizeof *counts);
  count_numbers(topic, partitions, isolation, counts, count);
  for (int number = 0; number < count; ++number)
    if (counts[number] != 1)
      die("%s: record %d is there %d times", topic, number, counts[number]);
  free(counts);
}

// ------------------------------------------------------------------------------------------- cases

static void produce_case(void) {
  const char *codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
  const char *topic = unique("produce");
  create_topic(topic, 3);
  for (int codec = 0; codec < 5; ++codec) {
    rd_kafka_t *producer =
        make(RD_KAFKA_PRODUCER,
             (const char *[]){"compression.type", codecs[codec], "linger.ms", "5", NULL});
    send_numbers(producer, topic, RD_KAFKA_PARTITION_UA, codec * 2000, 2000);
    flush(producer);
    rd_kafka_destroy(producer);
  }
  expect_once(topic, 3, "read_uncommitted", 10000);
}

static void consume_case(void) {
  const char *topic = unique("consume");
  rd_kafka_t *producer = make(RD_KAFKA_PRODUCER, (const char *[]){NULL});
  send_numbers(producer, topic, 0, 0, 1000);  // makes the topic
  flush(producer);
  const char *group = unique("group");
  for (int half = 0; half < 2; ++half) {
    rd_kafka_t *consumer = make_consumer(group, "read_committed");
    subscribe(consumer, topic);
    double deadline = now() + 120;
    for (int expected = half * 500; expected < (half + 1) * 500;) {
      if (now() > deadline) die("only %d records", expected);
      rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 200);
      if (!message) continue;
      if (message->err) die("consume: %s", rd_kafka_message_errstr(message));
      if (message->offset != expected)
        die("offset %ld instead of %d", (long)message->offset, expected);
      ++expected;
      if (expected == (half + 1) * 500 && rd_kafka_commit_message(consumer, message, 0))
        die("commit");
      rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
  }
  int64_t low, high;
  if (rd_kafka_query_watermark_offsets(producer, topic, 0, &low, &high, 5000)) die("watermarks");
  if (low != 0 || high != 1000) die("watermarks %ld and %ld", (long)low, (long)high);
  rd_kafka_destroy(producer);
}

static void idempotent_case(void) {
  const char *topic = unique("idempotent");
  create_topic(topic, 2);
  rd_kafka_t *producer = make(RD_KAFKA_PRODUCER,
                              (const char *[]){"enable.idempotence", "true", "linger.ms", "1",
                                               "batch.num.messages", "10", NULL});
  send_numbers(producer, topic, 0, 0, 5000);
  send_numbers(producer, topic, 1, 5000, 5000);
  flush(producer);
  rd_kafka_destroy(producer);
  expect_once(topic, 2, "read_uncommitted", 10000);
}

static rd_kafka_t *make_transactional(const char *id) {
  rd_kafka_t *producer = make(RD_KAFKA_PRODUCER,
                              (const char *[]){"transactional.id", id, "linger.ms", "1",
                                               "transaction.timeout.ms", "20000", NULL});
  check(rd_kafka_init_transactions(producer, 20000), "init_transactions");
  return producer;
}

static void transactions_case(void) {
  const char *topic = unique("transactions");
  create_topic(topic, 3);
  const char *id = unique("id");
  rd_kafka_t *producer = make_transactional(id);
  for (int number = 0; number < 20; ++number) {
    check(rd_kafka_begin_transaction(producer), "begin");
    send_numbers(producer, topic, RD_KAFKA_PARTITION_UA, number * 10, 10);
    check(rd_kafka_commit_transaction(producer, -1), "commit");
    check(rd_kafka_begin_transaction(producer), "begin");
    send_numbers(producer, topic, RD_KAFKA_PARTITION_UA, 1000, 5);
    flush(producer);
    check(rd_kafka_abort_transaction(producer, -1), "abort");
  }
  // An open transaction is taken over and aborted by the next instance, and the old one fenced.
  check(rd_kafka_begin_transaction(producer), "begin");
  send_numbers(producer, topic, 0, 2000, 5);
  flush(producer);
  rd_kafka_t *next = make_transactional(id);
  check(rd_kafka_begin_transaction(next), "begin");
  send_numbers(next, topic, 0, 200, 1);
  check(rd_kafka_commit_transaction(next, -1), "commit of the next instance");
  send_numbers(producer, topic, 0, 3000, 1);
  rd_kafka_error_t *fenced = rd_kafka_commit_transaction(producer, 10000);
  if (!fenced || !rd_kafka_error_is_fatal(fenced)) die("the old instance was not fenced");
  rd_kafka_error_destroy(fenced);
  rd_kafka_destroy(next);
  rd_kafka_destroy(producer);
  expect_once(topic, 3, "read_committed", 201);
  int counts[4000] = {0};
  count_numbers(topic, 3, "read_uncommitted", counts, 4000);
  if (counts[1000] != 20 || counts[2000] != 1)
    die("who reads uncommitted does not see what was aborted");
}

// One transaction of the loop: a message in, the same number out, the position with it.
static int transform_some(rd_kafka_t *consumer, rd_kafka_t *producer, const char *output) {
  rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 200);
  if (!message) return 0;
  if (message->err) {
    rd_kafka_message_destroy(message);
    return 0;
  }
  check(rd_kafka_begin_transaction(producer), "begin");
  int count = 0;
  while (message && count < 50) {
    if (!message->err) {
      char value[32] = {0};
      memcpy(value, message->payload, message->len < 31 ? message->len : 31);
      send_to(producer, output, RD_KAFKA_PARTITION_UA, value);
      ++count;
    }
    rd_kafka_message_destroy(message);
    message = count < 50 ? rd_kafka_consumer_poll(consumer, 0) : NULL;
  }
  rd_kafka_topic_partition_list_t *positions;
  rd_kafka_assignment(consumer, &positions);
  rd_kafka_position(consumer, positions);
  rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(consumer);
  check(rd_kafka_send_offsets_to_transaction(producer, positions, metadata, 20000),
        "send_offsets_to_transaction");
  rd_kafka_consumer_group_metadata_destroy(metadata);
  rd_kafka_topic_partition_list_destroy(positions);
  check(rd_kafka_commit_transaction(producer, -1), "commit");
  return count;
}

static void transform_case(void) {
  const char *input = unique("input"), *output = unique("output");
  create_topic(input, 2);
  create_topic(output, 2);
  rd_kafka_t *plain = make(RD_KAFKA_PRODUCER, (const char *[]){NULL});
  send_numbers(plain, input, RD_KAFKA_PARTITION_UA, 0, 2000);
  flush(plain);
  rd_kafka_destroy(plain);
  const char *group = unique("group"), *id = unique("id");
  int done = 0;
  double deadline = now() + 120;
  for (int life = 0; life < 3; ++life) {
    rd_kafka_t *consumer = make_consumer(group, "read_committed");
    rd_kafka_t *producer = make_transactional(id);
    subscribe(consumer, input);
    while (done < (life == 2 ? 2000 : (life + 1) * 600)) {
      if (now() > deadline) die("only %d of 2000 in time", done);
      done += transform_some(consumer, producer, output);
    }
    // Leaves a transaction open: its output and its positions must not count.
    check(rd_kafka_begin_transaction(producer), "begin");
    send_numbers(producer, output, 0, 0, 3);
    flush(producer);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
  }
  rd_kafka_destroy(make_transactional(id));
  expect_once(output, 2, "read_committed", 2000);
}

static int partitions_of(rd_kafka_t *consumer) {
  rd_kafka_topic_partition_list_t *list;
  rd_kafka_assignment(consumer, &list);
  int count = list->cnt;
  rd_kafka_topic_partition_list_destroy(list);
  return count;
}

static void poll_until(rd_kafka_t *one, int of_one, rd_kafka_t *two, int of_two) {
  double deadline = now() + 120;
  while (partitions_of(one) != of_one || (two && partitions_of(two) != of_two)) {
    if (now() > deadline) die("no assignment of %d and %d", of_one, of_two);
    for (int turn = 0; turn < 2; ++turn) {
      rd_kafka_t *consumer = turn ? two : one;
      rd_kafka_message_t *message = consumer ? rd_kafka_consumer_poll(consumer, 50) : NULL;
      if (message) rd_kafka_message_destroy(message);
    }
  }
}

static void rebalance_case(void) {
  const char *topic = unique("rebalance"), *group = unique("group");
  create_topic(topic, 4);
  rd_kafka_t *one = make_consumer(group, "read_committed");
  subscribe(one, topic);
  poll_until(one, 4, NULL, 0);
  rd_kafka_t *two = make_consumer(group, "read_committed");
  subscribe(two, topic);
  poll_until(one, 2, two, 2);
  rd_kafka_consumer_close(one);
  rd_kafka_destroy(one);
  poll_until(two, 4, NULL, 0);
  rd_kafka_consumer_close(two);
  rd_kafka_destroy(two);
}

static bool standard_input_has_ended(void) {
  struct pollfd descriptor = {.fd = STDIN_FILENO, .events = POLLIN};
  char byte;
  return poll(&descriptor, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

// Goes on through kills of the broker, which are the runner's, until standard input ends. The
// loop's input comes from an idempotent producer meanwhile, so that a kill meets its batches too.
static void crash_loop(void) {
  const char *input = unique("input"), *output = unique("output");
  create_topic(input, 2);
  create_topic(output, 2);
  rd_kafka_t *feeder =
      make(RD_KAFKA_PRODUCER,
           (const char *[]){"enable.idempotence", "true", "linger.ms", "1", NULL});
  rd_kafka_t *consumer = make_consumer(unique("group"), "read_committed");
  rd_kafka_t *producer = make_transactional(unique("id"));
  subscribe(consumer, input);
  int fed = 0, done = 0;
  double deadline = now() + 120;
  for (bool ended = false; !ended || done < fed;) {
    if (now() > deadline) die("only %d of %d in time", done, fed);
    ended = ended || standard_input_has_ended();
    if (!ended && fed < done + 1000) {
      send_numbers(feeder, input, RD_KAFKA_PARTITION_UA, fed, 50);
      fed += 50;
    }
    rd_kafka_poll(feeder, 0);
    int count = transform_some(consumer, producer, output);
    done += count;
    if (count) printf("committed %d\n", done);
    fflush(stdout);
  }
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  rd_kafka_destroy(producer);
  rd_kafka_destroy(feeder);
  expect_once(output, 2, "read_committed", fed);
}

// Before and after a kill: `crash-before TOPIC`, then `crash-after TOPIC`.
static void crash_before(const char *topic) {
  create_topic(topic, 1);
  rd_kafka_t *producer = make_transactional(topic);
  check(rd_kafka_begin_transaction(producer), "begin");
  send_numbers(producer, topic, 0, 0, 10);
  check(rd_kafka_commit_transaction(producer, -1), "commit");
  rd_kafka_t *consumer = make_consumer(topic, "read_committed");
  rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(offsets, topic, 0)->offset = 7;
  if (rd_kafka_commit(consumer, offsets, 0)) die("commit of offsets");
  rd_kafka_topic_partition_list_destroy(offsets);
  check(rd_kafka_begin_transaction(producer), "begin");
  send_numbers(producer, topic, 0, 100, 5);
  flush(producer);
  _exit(0);  // with the transaction open
}

static void crash_after(const char *topic) {
  rd_kafka_t *consumer = make_consumer(topic, "read_uncommitted");
  rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(offsets, topic, 0);
  if (rd_kafka_committed(consumer, offsets, 10000)) die("committed");
  if (offsets->elems[0].offset != 7)
    die("committed offset %ld instead of 7", (long)offsets->elems[0].offset);
  rd_kafka_topic_partition_list_destroy(offsets);
  rd_kafka_destroy(consumer);
  // The open transaction is still there: the LSO is before it, until the next instance aborts it.
  expect_once(topic, 1, "read_committed", 10);
  int counts[200] = {0};
  count_numbers(topic, 1, "read_uncommitted", counts, 200);
  if (counts[104] != 1) die("an acknowledged record of the open transaction is gone");
  rd_kafka_t *producer = make_transactional(topic);
  check(rd_kafka_begin_transaction(producer), "begin");
  send_numbers(producer, topic, 0, 10, 1);
  check(rd_kafka_commit_transaction(producer, -1), "commit");
  rd_kafka_destroy(producer);
  expect_once(topic, 1, "read_committed", 11);
}

int main(int argc, char **argv) {
  if (argc < 3) die("usage: client BOOTSTRAP CASE [ARGUMENT...]");
  bootstrap = argv[1];
  const char *name = argv[2];
  const struct {
    const char *name;
    void (*run)(void);
  } cases[] = {{"produce", produce_case},           {"consume", consume_case},
               {"idempotent", idempotent_case},     {"transactions", transactions_case},
               {"transform", transform_case},       {"rebalance", rebalance_case},
               {"crash-loop", crash_loop}};
  for (size_t index = 0; index < sizeof cases / sizeof *cases; ++index)
    if (!strcmp(name, cases[index].name)) {
      cases[index].run();
      return 0;
    }
  if (!strcmp(name, "crash-before") && argc == 4) {
    crash_before(argv[3]);
  } else if (!strcmp(name, "crash-after") && argc == 4) {
    crash_after(argv[3]);
  } else {
    die("no such case: %s", name);
  }
  return 0;
}
