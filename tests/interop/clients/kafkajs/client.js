// The KafkaJS client of tests/interop: client.js BOOTSTRAP CASE... runs cases, a line each.
const { CompressionTypes, Kafka, logLevel } = require('kafkajs');
const { randomUUID } = require('crypto');

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.NOTHING });
const unique = (name) => `n-${name}-${randomUUID().slice(0, 13)}`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const range = (first, count) => Array.from({ length: count }, (_, index) => first + index);
const messages = (numbers) =>
  numbers.map((number) => ({ key: `k${number}`, value: String(number) }));

function check(good, text) {
  if (!good) throw new Error(text);
}

async function create(topic, numPartitions) {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 3 }] });
  await admin.disconnect();
}

function consumer(groupId, settings = {}) {
  return kafka.consumer({
    groupId,
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 200,
    ...settings,
  });
}

// Counts each number of the topic up to its end.
async function countsOf(topic, readUncommitted) {
  const admin = kafka.admin();
  await admin.connect();
  const ends = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  const counts = new Map();
  const positions = new Map(ends.map(({ partition }) => [partition, 0]));
  const reader = consumer(unique('reader'), { readUncommitted });
  await reader.connect();
  await reader.subscribe({ topics: [topic], fromBeginning: true });
  await reader.run({
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch }) => {
      for (const { value } of batch.messages) {
        const number = Number(value.toString());
        counts.set(number, (counts.get(number) || 0) + 1);
      }
      positions.set(batch.partition, Number(batch.lastOffset()) + 1);
    },
  });
  // A transaction's marker at the very end is passed over without a batch, so one less is enough.
  const deadline = Date.now() + 120000;
  let quiet = 0;
  while (quiet < 5) {
    check(Date.now() < deadline, `no end of ${topic}`);
    const ended = ends.every(({ partition, high }) => positions.get(partition) >= Number(high) - 1);
    quiet = ended ? quiet + 1 : 0;
    await sleep(50);
  }
  await reader.disconnect();
  return counts;
}

async function expectOnce(topic, readUncommitted, limit) {
  const counts = await countsOf(topic, readUncommitted);
  for (const number of range(0, limit)) {
    check(counts.get(number) === 1, `${topic}: record ${number} is there ${counts.get(number)} times`);
  }
  check(counts.size === limit, `${topic}: ${counts.size} numbers, not ${limit}`);
}

async function produce() {
  const topic = unique('produce');
  await create(topic, 3);
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: messages(range(0, 1000)) });
  await producer.send({
    topic,
    compression: CompressionTypes.GZIP,
    messages: messages(range(1000, 1000)),
  });
  await producer.disconnect();
  await expectOnce(topic, true, 2000);
}

async function consume() {
  const topic = unique('consume');
  const group = unique('group');
  await create(topic, 1);
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: messages(range(0, 200)) });
  await producer.disconnect();
  for (const half of [0, 1]) {
    let expected = half * 100;
    const reader = consumer(group);
    await reader.connect();
    await reader.subscribe({ topics: [topic], fromBeginning: true });
    let wrong = null;
    await reader.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        if (expected >= (half + 1) * 100) return;
        if (Number(message.offset) !== expected) wrong = message.offset;
        ++expected;
      },
    });
    const deadline = Date.now() + 120000;
    while (expected < (half + 1) * 100) {
      check(Date.now() < deadline, `only ${expected} records`);
      await sleep(20);
    }
    check(wrong === null, `offset ${wrong}`);
    await reader.commitOffsets([{ topic, partition: 0, offset: String((half + 1) * 100) }]);
    await reader.disconnect();
  }
}

async function idempotent() {
  const topic = unique('idempotent');
  await create(topic, 2);
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  for (const turn of range(0, 50)) {
    await producer.send({ topic, messages: messages(range(turn * 20, 20)) });
  }
  await producer.disconnect();
  await expectOnce(topic, true, 1000);
}

async function transactional(transactionalId) {
  const producer = kafka.producer({
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: 20000,
  });
  await producer.connect();
  return producer;
}

async function transactions() {
  const topic = unique('transactions');
  await create(topic, 3);
  const producer = await transactional(unique('id'));
  for (const turn of range(0, 10)) {
    const good = await producer.transaction();
    await good.send({ topic, messages: messages(range(turn * 10, 10)) });
    await good.commit();
    const bad = await producer.transaction();
    await bad.send({ topic, messages: messages(range(1000, 5)) });
    await bad.abort();
  }
  await producer.disconnect();
  await expectOnce(topic, false, 100);
  const all = await countsOf(topic, true);
  check(all.get(1000) === 10, 'who reads uncommitted does not see what was aborted');
}

async function transform() {
  const source = unique('input');
  const target = unique('output');
  const group = unique('group');
  const id = unique('id');
  await create(source, 2);
  await create(target, 2);
  const plain = kafka.producer();
  await plain.connect();
  await plain.send({ topic: source, messages: messages(range(0, 600)) });
  await plain.disconnect();
  let done = 0;
  for (const limit of [300, 600]) {
    const producer = await transactional(id);
    const reader = consumer(group, { maxBytesPerPartition: 2000 });
    await reader.connect();
    await reader.subscribe({ topics: [source], fromBeginning: true });
    await reader.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
        for (let place = 0; place < batch.messages.length && done < limit; place += 50) {
          const some = batch.messages.slice(place, place + 50);
          const last = some[some.length - 1].offset;
          const transaction = await producer.transaction();
          await transaction.send({
            topic: target,
            messages: some.map(({ key, value }) => ({ key, value })),
          });
          await transaction.sendOffsets({
            consumerGroupId: group,
            topics: [{ topic: source, partitions: [{ partition: batch.partition, offset: String(Number(last) + 1) }] }],
          });
          await transaction.commit();
          done += some.length;
          resolveOffset(last);
          await heartbeat();
        }
      },
    });
    const deadline = Date.now() + 120000;
    while (done < limit) {
      check(Date.now() < deadline, `only ${done} in time`);
      await sleep(20);
    }
    await reader.disconnect();
    await producer.disconnect();
  }
  await expectOnce(target, false, 600);
}

async function rebalance() {
  const topic = unique('rebalance');
  const group = unique('group');
  await create(topic, 4);
  const assigned = [0, 0];
  const members = [consumer(group), consumer(group)];
  const until = async (one, two) => {
    const deadline = Date.now() + 120000;
    while (assigned[0] !== one || assigned[1] !== two) {
      check(Date.now() < deadline, `no assignment of ${one} and ${two}, but ${assigned}`);
      await sleep(50);
    }
  };
  for (const index of [0, 1]) {
    members[index].on(members[index].events.GROUP_JOIN, ({ payload }) => {
      assigned[index] = (payload.memberAssignment[topic] || []).length;
    });
    await members[index].connect();
    await members[index].subscribe({ topics: [topic], fromBeginning: true });
    await members[index].run({ eachMessage: async () => {} });
    await (index === 0 ? until(4, 0) : until(2, 2));
  }
  await members[0].disconnect();
  assigned[0] = 0;
  await until(0, 4);
  await members[1].disconnect();
}

const cases = { produce, consume, idempotent, transactions, transform, rebalance };

async function main() {
  let good = true;
  for (const name of process.argv.slice(3)) {
    try {
      await cases[name]();
      console.log(`${name}: ok`);
    } catch (problem) {
      good = false;
      console.log(`${name}: FAIL: ${problem.message}`);
      console.error(problem.stack);
    }
  }
  process.exit(good ? 0 : 1);
}

main();
