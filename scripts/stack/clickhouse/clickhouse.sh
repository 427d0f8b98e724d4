#!/usr/bin/env bash
# The real engine of ClickHouse 26.7 on loopback: libchdb from npm, pinned, behind tests/clickhouse, which speaks the HTTP interface.
# It is one server with one user; it has no Keeper, no queue of small inserts, no native port. scripts/stack.sh calls it.
#
#   clickhouse.sh install                      fetches the engine (180 MB, once) into the cache, builds the front
#   clickhouse.sh up | down | kill | status    starts it and waits until it answers; stops it; SIGKILL; says how it is (3: down)
#   clickhouse.sh query SQL                    runs a statement, prints what it answers
#   clickhouse.sh serve                        a server to be thrown away: it and its data end with standard input, on which
#                                              kill, stop and start are understood; each is answered by a line
#
# Environment: MINUET_CACHE (engine), MINUET_STACK (data, password), MINUET_CLICKHOUSE_PORT (8123). User minuet, password minuet-demo.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../../.." && pwd)
cache=$(realpath -m "${MINUET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/minuet}")
state=$(realpath -m "${MINUET_STACK:-$cache/stack}")/clickhouse
# npm's "latest" is older and has no streaming inserts.
readonly version=26.7.3-stable.1
readonly sum=36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5
library=$cache/libchdb-$version.so
service=clickhouse port=${MINUET_CLICKHOUSE_PORT:-8123} ports_from=MINUET_CLICKHOUSE_PORT
ports=("$port") address=http://127.0.0.1:$port
program=$(cd "$project" && realpath -m "${CARGO_TARGET_DIR:-target}")/debug/clickhouse-front
readonly user=minuet password=minuet-demo
# shellcheck source=scripts/stack/daemon.sh
source "$here/../daemon.sh"

fetch() (
  [[ ! -s $library ]] || return 0
  [[ $(uname -sm) == "Linux x86_64" ]] || die "the pinned engine is for Linux on x86_64, this is $(uname -sm)"
  demand npm "it fetches the engine; install Node.js 20 or later, on Debian or Ubuntu by: apt-get install npm"
  mkdir -p "$cache"
  exec 8> "$library.lock"
  flock 8
  [[ ! -s $library ]] || return 0
  say "fetching the engine, about 20 seconds ..."
  local part=$library.part
  rm -rf "$part"
  mkdir "$part"
  trap 'rm -rf "$part"' EXIT
  cd "$part"
  npm pack --silent --cache "$part/npm" "@chdb/lib-linux-x64-gnu@$version" > /dev/null || die "npm could not fetch the engine; what it said is above"
  tar -xzf ./*.tgz package/libchdb.so
  echo "$sum  package/libchdb.so" | sha256sum --check --quiet - >&2 || die "what npm fetched is not the engine that was tried"
  mv package/libchdb.so "$library"
)

install() {
  fetch
  demand cargo "it builds the front; see https://rustup.rs"
  # cargo itself knows whether there is anything to do.
  (cd "$project" && cargo build --locked --quiet --package clickhouse-front) >&2 8>&-
}

configure() { :; }
ours() { runs "$1" "$program"; }

launch() {
  CLICKHOUSE_FRONT_PASSWORD=$password exec "${leash[@]}" "$program" --library "$library" --path "$state/data" \
    --listen "127.0.0.1:$port" --user "$user"
}

ready() { [[ $(curl --silent --fail --max-time 1 "http://127.0.0.1:$port/ping") == Ok. ]]; }
prepare() { :; }

tell() {
  echo "  user $user, password $password"
  echo "  next: scripts/stack.sh clickhouse query 'SHOW TABLES'"
}

query() { # SQL
  [[ -n ${1:-} ]] || die "query is followed by a statement"
  curl --silent --show-error --fail-with-body --user "$user:$password" --data-binary "$1" "http://127.0.0.1:$port/"
}

case ${1:-} in
  query) "$@" ;;
  *) obey "$@" ;;
esac
