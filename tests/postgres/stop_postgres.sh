#!/usr/bin/env bash
# Stops the server that start_postgres.sh started in DIR.
#   stop_postgres.sh DIR [smart|fast|immediate]    fast is the default; immediate is a crash
set -euo pipefail

dir=$(realpath -m "${1:?usage: stop_postgres.sh DIR [smart|fast|immediate]}")
readonly dir
readonly mode=${2:-fast}
# shellcheck source-path=SCRIPTDIR source=postgres_common.sh
source "$(dirname "${BASH_SOURCE[0]}")/postgres_common.sh"

as_owner "$bin/pg_ctl" -D "$dir/data" -m "$mode" -t 30 -w -s stop >/dev/null
