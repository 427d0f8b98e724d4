#!/bin/sh
# Plays the real graph from seeds: real worker threads, one baton, every fault drawn. A seed that breaks a promise is named.
#
#   scripts/simulate.sh --seeds 20000                the seeds from 0 on
#   scripts/simulate.sh --seeds 20000 --from 50000   the seeds from 50000 on
#   scripts/simulate.sh --seed 7                     that seed once more, with its whole trace
set -eu
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

number() {
    case "${2-}" in
        '' | *[!0-9]*)
            printf 'simulate.sh: %s takes a number, not "%s"\n' "$1" "${2-}" >&2
            usage
            ;;
    esac
}

if [ $# -eq 0 ]; then usage; fi
while [ $# -gt 0 ]; do
    case "$1" in
        --seeds) number "$@" && MINUET_SIM_SEEDS=$2 && export MINUET_SIM_SEEDS ;;
        --from) number "$@" && MINUET_SIM_FROM=$2 && export MINUET_SIM_FROM ;;
        --seed) number "$@" && MINUET_SIM_SEED=$2 && export MINUET_SIM_SEED ;;
        *) usage ;;
    esac
    shift 2
done

exec cargo test --locked --features mutations --test sim -- --exact every_seed_keeps_every_promise --nocapture
