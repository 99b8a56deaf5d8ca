#!/usr/bin/env bash
# Starts a private PostgreSQL server in DIR (made and initialised if it is not there) on a random
# port of the loopback, and prints two lines when it answers:
#   DSN=postgresql://onceflow@127.0.0.1:PORT/onceflow
#   PID=the server's process
# A server that was started in DIR before comes back on its old port, and one that runs is left
# running. Stop it with stop_postgres.sh DIR.
# The server itself refuses to run as root, so root starts it as user postgres.
#
#   start_postgres.sh DIR [-c setting=value ...]
set -euo pipefail

dir=$(realpath -m "${1:?usage: start_postgres.sh DIR [-c setting=value ...]}")
shift
readonly dir
readonly settings=("$@")
# shellcheck source-path=SCRIPTDIR source=postgres_common.sh
source "$(dirname "${BASH_SOURCE[0]}")/postgres_common.sh"

main() {
  mkdir -p "$dir"
  own "$dir"
  if ! as_owner test -w "$dir"; then
    echo "postgres: user postgres cannot reach $dir; choose a directory outside root's home" >&2
    exit 1
  fi
  if [[ ! -s $dir/data/PG_VERSION ]]; then
    as_owner "$bin/initdb" -D "$dir/data" -U onceflow -A trust --no-instructions -E UTF8 \
      --locale=C >"$dir/initdb.log" 2>&1 || fail "initdb failed" "$dir/initdb.log"
  fi
  for _ in 1 2 3 4 5; do
    [[ -s $dir/port ]] || echo $((20000 + RANDOM % 40000)) >"$dir/port"
    if start "$(cat "$dir/port")"; then
      "$bin/psql" -q "$(admin_dsn)" -c 'CREATE DATABASE onceflow' >/dev/null 2>&1 || true
      echo "DSN=postgresql://onceflow@127.0.0.1:$(cat "$dir/port")/onceflow"
      echo "PID=$(head -1 "$dir/data/postmaster.pid")"
      return
    fi
    grep -q 'Address already in use' "$dir/server.log" || break
    rm -f "$dir/port"
  done
  fail "the server did not start" "$dir/server.log"
}

start() {
  local port=$1
  as_owner "$bin/pg_ctl" -D "$dir/data" -s status >/dev/null 2>&1 && return  # It runs already.
  : >"$dir/server.log"
  own "$dir/server.log"
  as_owner "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -t 30 -w -s start -o \
    "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' ${settings[*]:-}" \
    >/dev/null 2>&1
}

admin_dsn() { echo "postgresql://onceflow@127.0.0.1:$(cat "$dir/port")/postgres"; }

main
