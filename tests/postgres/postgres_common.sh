# What start_postgres.sh and stop_postgres.sh share: where the programs are and who runs them.
# shellcheck shell=bash

find_programs() {
  local candidate
  for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V -r); do
    if [[ -x $candidate/initdb && -x $candidate/pg_ctl ]]; then
      echo "$candidate"
      return
    fi
  done
  if command -v pg_ctl >/dev/null; then
    dirname "$(command -v pg_ctl)"
    return
  fi
  echo "postgres: no initdb and pg_ctl found; install the package postgresql" >&2
  return 1
}

# Runs a command as the user who owns the server's files.
as_owner() {
  if [[ $(id -u) == 0 ]]; then
    (cd / && setpriv --reuid=postgres --regid=postgres --init-groups -- "$@")
  else
    "$@"
  fi
}

own() {
  if [[ $(id -u) == 0 ]]; then
    chown postgres "$@"
  fi
}

fail() {
  echo "postgres: $1; its log:" >&2
  tail -20 "$2" >&2
  exit 1
}

bin=$(find_programs)
readonly bin
