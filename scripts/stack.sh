#!/usr/bin/env bash
# Real services on this machine's loopback, to try minuet on and to test it with. They come from public registries, are kept in a
# cache outside of this folder, and run without root and without containers.
#
#   scripts/stack.sh up [SERVICE...]        starts them (all, where none is named), waits until they are healthy, says where they are
#   scripts/stack.sh status [SERVICE...]    says how they are; 3 where one is down
#   scripts/stack.sh down [SERVICE...]      stops them; their data stays
#   scripts/stack.sh kill [SERVICE...]      the same by SIGKILL
#   scripts/stack.sh install [SERVICE...]   fetches what they need, starts nothing
#   scripts/stack.sh SERVICE COMMAND...     what one of them understands besides: scripts/stack.sh pulsar help
#
# Services: pulsar, clickhouse, s3. Their files are in ${MINUET_CACHE:-~/.cache/minuet}, their data in ${MINUET_STACK:-~/.cache/minuet/stack}.
set -euo pipefail
services=(pulsar clickhouse s3)
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/stack

usage() { sed -n '2,${/^#/!q;s/^# \{0,1\}//;p;}' "$0"; }

known() {
  local service
  for service in "${services[@]}"; do [[ $1 != "$service" ]] || return 0; done
  return 1
}

command=${1:-help}
[[ $# -eq 0 ]] || shift
case $command in
  up | status | down | kill | install)
    for service in "$@"; do
      known "$service" || { echo "stack.sh: '$service' is no service; there is: ${services[*]}" >&2; exit 2; }
    done
    [[ $# -gt 0 ]] || set -- "${services[@]}"
    result=0
    for service in "$@"; do
      "$folder/$service/$service.sh" "$command" || result=$?
    done
    exit "$result"
    ;;
  -h | --help | help) usage ;;
  *)
    known "$command" || { usage >&2; exit 2; }
    exec "$folder/$command/$command.sh" "$@"
    ;;
esac
