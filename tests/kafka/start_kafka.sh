#!/usr/bin/env bash
# Starts a real Apache Kafka (one KRaft node, loopback, free ports), for tests and benchmarks.
#
#   tests/kafka/start_kafka.sh [--dir DIR] [--port PORT] [--transaction-version 1|2] [--heap 1G]
#                              [--quick] [KEY=VALUE...]
#
# --quick: soon there and modest, for tests that do not measure it.
# Jars come by tests/kafka/pom.xml into build/kafka/lib, once. KEY=VALUE are broker properties.
# When the broker answers, prints one line and leaves it running:
#
#   PORT PID DIR
#
# Stop it with `kill PID`. DIR holds server.properties, the data and kafka.log; started again with
# the same --dir, it goes on with the same data (give --port to keep its port). Without --dir a new
# folder below build/kafka/run is made.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
readonly jars=$root/build/kafka/lib

dir='' port='' transaction_version='' heap=1G properties=()
jvm=(-XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35
  -XX:+ExplicitGCInvokesConcurrent)
while [[ $# -gt 0 ]]; do
  case $1 in
    --dir) dir=$2; shift 2 ;;
    --port) port=$2; shift 2 ;;
    --transaction-version) transaction_version=$2; shift 2 ;;
    --heap) heap=$2; shift 2 ;;
    --quick) jvm=(-XX:TieredStopAtLevel=1 -XX:+UseSerialGC); shift ;;
    *=*) properties+=("$1"); shift ;;
    *) echo "start_kafka.sh: unknown argument '$1'" >&2; exit 2 ;;
  esac
done

if [[ ! -e $root/build/kafka/complete ]]; then
  mkdir -p "$root/build/kafka"
  (
    flock 9
    if [[ ! -e $root/build/kafka/complete ]]; then
      mvn -q -B -f "$root/tests/kafka/pom.xml" dependency:copy-dependencies \
        -DoutputDirectory="$jars" -DincludeScope=runtime >&2
      touch "$root/build/kafka/complete"
    fi
  ) 9>"$root/build/kafka/lock"
fi

if [[ -z $dir ]]; then
  mkdir -p "$root/build/kafka/run"
  dir=$(mktemp -d "$root/build/kafka/run/XXXXXX")
fi
mkdir -p "$dir"

free_ports() {
  python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))'
}
read -r free_port controller_port < <(free_ports)
port=${port:-$free_port}

cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
[[ ${#properties[@]} == 0 ]] || printf '%s\n' "${properties[@]}" >>"$dir/server.properties"

readonly flags=(-Djava.awt.headless=true -Dorg.slf4j.simpleLogger.defaultLogLevel=warn)
java_of_kafka() {
  java -Xms64M -Xmx"$heap" "${jvm[@]}" "${flags[@]}" -cp "$jars/*" "$@"
}

if [[ ! -e $dir/data/meta.properties ]]; then
  feature=()
  [[ -z $transaction_version ]] || feature=(--feature "transaction.version=$transaction_version")
  cluster_id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')
  java_of_kafka kafka.tools.StorageTool format -t "$cluster_id" "${feature[@]}" \
    -c "$dir/server.properties" >"$dir/format.log" 2>&1 ||
    { cat "$dir/format.log" >&2; exit 1; }
fi

# In a session of its own, with nothing of ours open: who reads our output is not kept waiting.
setsid java -Xms"$heap" -Xmx"$heap" "${jvm[@]}" "${flags[@]}" -cp "$jars/*" \
  kafka.Kafka "$dir/server.properties" >"$dir/kafka.log" 2>&1 </dev/null 9>&- &
pid=$!

# Ready when it answers ApiVersions, not when its log says so.
python3 - "$port" "$pid" <<'PYTHON' || failed=1
import os, socket, struct, sys, time
port, pid = int(sys.argv[1]), int(sys.argv[2])
body = struct.pack(">hhih", 18, 0, 1, -1)
for _ in range(1800):
    os.kill(pid, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            connection.settimeout(2)
            if len(connection.recv(4)) == 4:
                sys.exit(0)
    except OSError:
        pass
    time.sleep(0.1)
sys.exit("no answer within three minutes")
PYTHON
if [[ -n ${failed:-} ]]; then
  tail -n 30 "$dir/kafka.log" >&2
  kill "$pid" 2>/dev/null
  exit 1
fi
echo "$port $pid $dir"
