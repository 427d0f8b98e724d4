#!/usr/bin/env bash
# A real S3 server (versitygw, pinned) on loopback: one folder per bucket, one file per object, conditional puts that are atomic. It
# does not fsync, so it says nothing about a loss of power. scripts/stack.sh calls it.
#
#   s3.sh install                      builds it with Go (about 4 CPU minutes, once) into the cache
#   s3.sh up | down | kill | status    starts it, waits until it answers and makes the bucket minuet; stops it; SIGKILL; says how it
#                                      is (3: down)
#   s3.sh request METHOD PATH ARGS...  a signed request by curl, with more arguments for it: s3.sh request GET '/minuet?list-type=2'
#   s3.sh serve                        a server to be thrown away: it and its data end with standard input, on which kill, stop and
#                                      start are understood; each is answered by a line
#
# Environment: MINUET_CACHE (program), MINUET_STACK (data), MINUET_S3_PORT (9000). Access key minuet, secret minuet-demo-secret.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(realpath -m "${MINUET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/minuet}")
state=$(realpath -m "${MINUET_STACK:-$cache/stack}")/s3
readonly version=v1.8.0 go_needed=1.26
service=s3 port=${MINUET_S3_PORT:-9000} ports_from=MINUET_S3_PORT
ports=("$port") address=http://127.0.0.1:$port
program=$cache/versitygw-$version
readonly key=minuet secret=minuet-demo-secret region=us-east-1 bucket=minuet
# shellcheck source=scripts/stack/daemon.sh
source "$here/../daemon.sh"

demand_go() {
  local how="it builds the server; install Go $go_needed or later from https://go.dev/dl (Debian 12 has an older one only)" found
  demand go "$how"
  found=$(GOTOOLCHAIN=local go env GOVERSION)
  [[ $(printf '%s\n' "go$go_needed" "$found" | sort --version-sort | head -n 1) == "go$go_needed" ]] || die "$found is too old; $how"
}

install() (
  [[ ! -x $program ]] || return 0
  demand_go
  mkdir -p "$cache"
  exec 8> "$program.lock"
  flock 8
  [[ ! -x $program ]] || return 0
  say "building versitygw $version, some minutes ..."
  rm -rf "$program.part"
  # Go checks what it fetches against its public list of sums.
  GOBIN=$program.part GOTOOLCHAIN=local go install -ldflags '-s -w' "github.com/versity/versitygw/cmd/versitygw@$version" >&2 ||
    die "Go could not build the server; what it said is above"
  mv "$program.part/versitygw" "$program"
  rmdir "$program.part"
)

configure() { :; }
ours() { runs "$1" "$program"; }

launch() {
  # Clients of today keep their connections; a server that closes each would hide what a stale one does to them.
  ROOT_ACCESS_KEY_ID=$key ROOT_SECRET_ACCESS_KEY=$secret exec "${leash[@]}" "$program" --port "127.0.0.1:$port" --region "$region" \
    --keep-alive --quiet --health /healthz posix "$state/data"
}

ready() { curl --silent --fail --output /dev/null --max-time 1 "http://127.0.0.1:$port/healthz"; }

request() { # METHOD PATH ARGS...
  [[ -n ${2:-} ]] || die "request is followed by a method and a path"
  curl --silent --show-error --fail-with-body --max-time 30 --aws-sigv4 "aws:amz:$region:s3" --user "$key:$secret" \
    --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --request "$1" "${@:3}" "http://127.0.0.1:$port$2"
}

prepare() {
  [[ ! -d $state/data/$bucket ]] || return 0
  request PUT "/$bucket" > /dev/null || die "the bucket $bucket cannot be made"
}

tell() {
  echo "  bucket $bucket, path style; what clients need:"
  echo "  export AWS_ENDPOINT_URL_S3=http://127.0.0.1:$port AWS_REGION=$region AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret"
}

case ${1:-} in
  request) "$@" ;;
  *) obey "$@" ;;
esac
