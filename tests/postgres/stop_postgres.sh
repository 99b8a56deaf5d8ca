#!/usr/bin/env bash
# Stops the server that start_postgres.sh started in DIR.
#   stop_postgres.sh DIR [smart|fast|immediate]    fast is the default; immediate is a crash
set -euo pipefail

readonly dir=$(realpath -m "${1:?usage: stop_postgres.sh DIR [smart|fast|immediate]}")
readonly mode=${2:-fast}
source "$(dirname "${BASH_SOURCE[0]}")/postgres_common.sh"

as_owner "$bin/pg_ctl" -D "$dir/data" -m "$mode" -t 30 -w -s stop >/dev/null
