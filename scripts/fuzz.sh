#!/bin/sh
# Fuzzes a target of tests/fuzz/targets, beginning with its seeds. Needs a nightly toolchain and cargo-fuzz:
#   rustup toolchain install nightly && cargo install cargo-fuzz
#
#   scripts/fuzz.sh --target decode --seconds 60      one target for a minute
#   scripts/fuzz.sh --target all --seconds 60         each target for a minute
#
# What breaks a target is put into target/fuzz/found/<target>/. Shrink it (cargo +nightly fuzz tmin), mend the program, and keep
# it as tests/fuzz/corpus/<target>/found-<what it was>: an ordinary test gives every seed to its target.
set -eu
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

target=
seconds=60
while [ $# -gt 0 ]; do
    case $1 in
        --target) target=${2:?--target needs a name} && shift 2 ;;
        --seconds) seconds=${2:?--seconds needs a number} && shift 2 ;;
        *) usage ;;
    esac
done
[ -n "$target" ] || usage
[ "$target" != all ] || target=$(ls tests/fuzz/corpus)

for name in $target; do
    if [ ! -f "tests/fuzz/bin/$name.rs" ]; then
        echo "there is no target $name; there are: $(ls tests/fuzz/corpus | tr '\n' ' ')" >&2
        exit 64
    fi
    mkdir -p "target/fuzz/corpus/$name" "target/fuzz/found/$name"
    echo "== $name for $seconds s"
    # One entry may take 16 MiB, and a block of it unpacked with xz 80 MiB beside it: what goes past this has no measure.
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz "$name" \
        "target/fuzz/corpus/$name" "tests/fuzz/corpus/$name" -- \
        -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=128 \
        -print_final_stats=1 -artifact_prefix="target/fuzz/found/$name/"
done
