// The franz-go client of tests/interop: client BOOTSTRAP CASE... runs cases, a line each.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	bootstrap string
	counter   int
)

func unique(name string) string {
	counter++
	return fmt.Sprintf("g-%s-%d-%d", name, time.Now().UnixNano(), counter)
}

func must(err error, what string) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", what, err))
	}
}

func check(good bool, format string, arguments ...any) {
	if !good {
		panic(fmt.Sprintf(format, arguments...))
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap))...)
	must(err, "NewClient")
	return made
}

func admin() *kadm.Client { return kadm.NewClient(client()) }

func create(topic string, partitions int32) {
	made := admin()
	defer made.Close()
	_, err := made.CreateTopic(context.Background(), partitions, 3, nil, topic)
	must(err, "CreateTopic")
}

func send(producer *kgo.Client, topic string, first, count int) error {
	var records []*kgo.Record
	for number := first; number < first+count; number++ {
		text := strconv.Itoa(number)
		records = append(records, &kgo.Record{Topic: topic, Key: []byte("k" + text), Value: []byte(text)})
	}
	return producer.ProduceSync(context.Background(), records...).FirstErr()
}

func countsOf(topic string, isolation kgo.IsolationLevel) map[int]int {
	context, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	looking := admin()
	defer looking.Close()
	ends, err := looking.ListEndOffsets(context, topic)
	must(err, "ListEndOffsets")
	reader := client(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(isolation),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())
	defer reader.Close()
	left := map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if end.Offset > 0 {
			left[end.Partition] = end.Offset
		}
	})
	counts := map[int]int{}
	for len(left) > 0 {
		fetches := reader.PollFetches(context)
		must(fetches.Err(), "PollFetches of "+topic)
		fetches.EachRecord(func(record *kgo.Record) {
			if !record.Attrs.IsControl() {
				number, _ := strconv.Atoi(string(record.Value))
				counts[number]++
			}
			if record.Offset+1 >= left[record.Partition] {
				delete(left, record.Partition)
			}
		})
	}
	return counts
}

func expectOnce(topic string, isolation kgo.IsolationLevel, limit int) {
	counts := countsOf(topic, isolation)
	for number := 0; number < limit; number++ {
		check(counts[number] == 1, "%s: record %d is there %d times", topic, number, counts[number])
	}
	check(len(counts) == limit, "%s: %d numbers, not %d", topic, len(counts), limit)
}

func produce() {
	topic := unique("produce")
	create(topic, 3)
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(),
		kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	for index, codec := range codecs {
		producer := client(kgo.ProducerBatchCompression(codec), kgo.DisableIdempotentWrite(),
			kgo.RequiredAcks(kgo.LeaderAck()))
		must(send(producer, topic, index*1000, 1000), "produce")
		producer.Close()
	}
	expectOnce(topic, kgo.ReadUncommitted(), 5000)
}

func consume() {
	topic, group := unique("consume"), unique("group")
	create(topic, 1)
	producer := client()
	must(send(producer, topic, 0, 200), "produce")
	producer.Close()
	for half := int64(0); half < 2; half++ {
		context, cancel := context.WithTimeout(context.Background(), 120*time.Second)
		reader := client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
			kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		expected := half * 100
		for expected < (half+1)*100 {
			fetches := reader.PollRecords(context, int((half+1)*100-expected))
			must(fetches.Err(), "PollRecords")
			for _, record := range fetches.Records() {
				check(record.Offset == expected, "offset %d, not %d", record.Offset, expected)
				expected++
			}
		}
		must(reader.CommitUncommittedOffsets(context), "commit")
		reader.Close()
		cancel()
	}
}

func idempotent() {
	topic := unique("idempotent")
	create(topic, 2)
	producer := client(kgo.ProducerBatchMaxBytes(1024))
	must(send(producer, topic, 0, 5000), "produce")
	producer.Close()
	expectOnce(topic, kgo.ReadUncommitted(), 5000)
}

func transactional(id string) *kgo.Client {
	return client(kgo.TransactionalID(id), kgo.TransactionTimeout(20*time.Second))
}

func transactions() {
	background := context.Background()
	topic, id := unique("transactions"), unique("id")
	create(topic, 3)
	producer := transactional(id)
	for turn := 0; turn < 20; turn++ {
		must(producer.BeginTransaction(), "begin")
		must(send(producer, topic, turn*10, 10), "produce")
		must(producer.EndTransaction(background, kgo.TryCommit), "commit")
		must(producer.BeginTransaction(), "begin")
		must(send(producer, topic, 1000, 5), "produce")
		must(producer.EndTransaction(background, kgo.TryAbort), "abort")
	}
	must(producer.BeginTransaction(), "begin")
	must(send(producer, topic, 2000, 5), "produce")
	next := transactional(id)
	must(next.BeginTransaction(), "begin")
	must(send(next, topic, 200, 1), "produce")
	must(next.EndTransaction(background, kgo.TryCommit), "commit of the next instance")
	next.Close()
	err := send(producer, topic, 3000, 1)
	if err == nil {
		err = producer.EndTransaction(background, kgo.TryCommit)
	}
	check(errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch),
		"the old instance was not fenced: %v", err)
	producer.Close()
	expectOnce(topic, kgo.ReadCommitted(), 201)
	check(countsOf(topic, kgo.ReadUncommitted())[1000] == 20,
		"who reads uncommitted does not see what was aborted")
	looking := admin()
	defer looking.Close()
	described, err := looking.DescribeTransactions(background, id)
	must(err, "DescribeTransactions")
	// With transactions v2, whose EndTxn is version 5, each end of a transaction has taken an epoch.
	request := kmsg.NewEndTxnRequest()
	check(request.MaxVersion() < 5 || described[id].ProducerEpoch > 40,
		"epoch %d: not transactions v2", described[id].ProducerEpoch)
}

func transform() {
	background := context.Background()
	input, output := unique("input"), unique("output")
	group, id := unique("group"), unique("id")
	create(input, 2)
	create(output, 2)
	producer := client()
	must(send(producer, input, 0, 1500), "produce")
	producer.Close()
	done := 0
	for life := 0; life < 3; life++ {
		limit := (life + 1) * 500
		session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap),
			kgo.TransactionalID(id), kgo.TransactionTimeout(20*time.Second),
			kgo.ConsumerGroup(group), kgo.ConsumeTopics(input),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		must(err, "NewGroupTransactSession")
		limited, cancel := context.WithTimeout(background, 120*time.Second)
		for done < limit {
			fetches := session.PollRecords(limited, 50)
			must(fetches.Err(), "PollRecords")
			must(session.Begin(), "Begin")
			var records []*kgo.Record
			fetches.EachRecord(func(record *kgo.Record) {
				records = append(records,
					&kgo.Record{Topic: output, Key: record.Key, Value: record.Value})
			})
			must(session.ProduceSync(limited, records...).FirstErr(), "produce")
			committed, err := session.End(limited, kgo.TryCommit)
			must(err, "End")
			if committed {
				done += len(records)
			}
		}
		cancel()
		session.Close()
	}
	expectOnce(output, kgo.ReadCommitted(), 1500)
}

func rebalance() {
	topic, group := unique("rebalance"), unique("group")
	create(topic, 4)
	for name, balancer := range map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "cooperative": kgo.CooperativeStickyBalancer()} {
		counts := make(chan [2]int, 100)
		member := func(index int) *kgo.Client {
			owned := 0
			return client(kgo.ConsumerGroup(group+name), kgo.ConsumeTopics(topic),
				kgo.Balancers(balancer), kgo.HeartbeatInterval(200*time.Millisecond),
				kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
					owned += len(got[topic])
					counts <- [2]int{index, owned}
				}),
				kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
					owned -= len(lost[topic])
					counts <- [2]int{index, owned}
				}))
		}
		owned := [2]int{}
		until := func(one, two int) {
			deadline := time.After(120 * time.Second)
			for owned != [2]int{one, two} {
				select {
				case change := <-counts:
					owned[change[0]] = change[1]
				case <-deadline:
					panic(fmt.Sprintf("no assignment of %d and %d, but %v", one, two, owned))
				}
			}
		}
		first := member(0)
		until(4, 0)
		second := member(1)
		until(2, 2)
		first.Close()
		until(0, 4)
		second.Close()
	}
}

func run(name string, body func()) (good bool) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Printf("%s: FAIL: %v\n", name, problem)
			good = false
		}
	}()
	body()
	fmt.Printf("%s: ok\n", name)
	return true
}

func main() {
	bootstrap = os.Args[1]
	cases := map[string]func(){"produce": produce, "consume": consume, "idempotent": idempotent,
		"transactions": transactions, "transform": transform, "rebalance": rebalance}
	good := true
	for _, name := range os.Args[2:] {
		good = run(name, cases[name]) && good
	}
	if !good {
		os.Exit(1)
	}
}
