#!/bin/sh
# Kills, stops and terminates the processes of running pipelines at random moments, in all shapes, and compares the rows with those of
# undisturbed runs; as often as one likes.
#
#   scripts/crash.sh                             100 kills, with other dice every time
#   scripts/crash.sh --rounds 5000               so many kills
#   scripts/crash.sh --rounds 300 --seed 7       with dice thrown from 7: the same blows, as far as the machine keeps time
#   scripts/crash.sh --pulsar --rounds 300       on a real broker, which is struck as well, with six blows to a pipeline
#   scripts/crash.sh --systems --rounds 300      from a real broker into ClickHouse with state in S3, each of which is struck as well, with
#                                                eight blows to a pipeline
#   scripts/crash.sh --away 600                  no blows of chance: ClickHouse and then S3 are away for so many seconds each, while 50,000
#                                                events of 1,000 sources come in every second (MINUET_SYSTEMS_RATE and
#                                                MINUET_SYSTEMS_SOURCES say otherwise); the program as it is released
set -eu
cd "$(dirname "$0")/.."

rounds=100
pulsar=
systems=
away=
while [ $# -gt 0 ]; do
    case "$1" in
        --rounds | --seed | --away)
            [ $# -ge 2 ] || { echo "crash.sh: $1 needs a number" >&2; exit 2; }
            case "$2" in
                '' | *[!0-9]*) echo "crash.sh: $1 needs a number, not '$2'" >&2; exit 2 ;;
            esac
            case "$1" in
                --rounds) rounds=$2 ;;
                --seed) MINUET_SEED=$2; export MINUET_SEED ;;
                --away) away=$2 ;;
            esac
            shift 2
            ;;
        --pulsar) pulsar=yes; shift ;;
        --systems) systems=yes; shift ;;
        -h | --help) sed -n '2,13{s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) echo "crash.sh: '$1' is not known; allowed are --rounds N, --seed N, --pulsar, --systems and --away S" >&2; exit 2 ;;
    esac
done

if [ -n "$pulsar" ]; then
    MINUET_PULSAR_LIVES=$(((rounds + 5) / 6)) exec cargo test --locked --test it pulsar::rounds:: -- --nocapture
fi
if [ -n "$systems" ]; then
    MINUET_SYSTEMS_LIVES=$(((rounds + 7) / 8)) exec cargo test --locked --test it systems::rounds:: -- --nocapture
fi
if [ -n "$away" ]; then
    MINUET_SYSTEMS_RATE=${MINUET_SYSTEMS_RATE:-50000} MINUET_SYSTEMS_SOURCES=${MINUET_SYSTEMS_SOURCES:-1000} MINUET_SYSTEMS_AWAY_S=$away \
        exec cargo test --locked --release --test it systems::outage:: -- --nocapture
fi
MINUET_CRASH_KILLS=$rounds exec cargo test --locked --test it crash::killed_at_random_moments -- --exact --nocapture
