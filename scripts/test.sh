#!/bin/sh
# All checks of the project, quickest first; stops at the first that fails.
#
#   scripts/test.sh                      everything below
#   MINUET_SEED=7 scripts/test.sh        the same, with the dice of crash and failpoint tests thrown from 7
#   MINUET_DENY=1 scripts/test.sh        with advisories (needs the network), and with cargo-deny installed where it is missing
set -eu
cd "$(dirname "$0")/.."
# What a test says is enough; frames of the test harness hide it.
export RUST_BACKTRACE=0

step() {
    printf '\n== %s\n' "$*"
    "$@"
}

# The same for tests. Where some fail, the beginning and the end of what each has said come last, however much was printed.
tests() {
    printf '\n== %s\n' "$*"
    log=$(mktemp)
    { "$@" 2>&1 && echo 0 >"$log.code" || echo $? >"$log.code"; } | tee "$log"
    code=$(cat "$log.code")
    if [ "$code" != 0 ]; then
        printf '\n== what failed, in short\n'
        awk '
            function tell(  at) {
                for (at = 1; at <= lines; at++) if (at <= 10 || at > lines - 8) print substr(line[at], 1, 400)
                lines = 0
            }
            /^---- .* stdout ----$/ { tell(); heard = 1 }
            /^failures:$/ { tell(); heard = 0 }
            heard && NF { line[++lines] = $0 }
        ' "$log"
    fi
    rm -f "$log" "$log.code"
    return "$code"
}

if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    step rustup component add rustfmt clippy
fi

step cargo fmt --all --check
# Both feature sets are linted: what ships, and what the failpoint tests run.
step cargo clippy --locked --workspace --all-targets --all-features -- --deny warnings
step cargo clippy --locked --lib --bins -- --deny warnings

# The integration tests read from a real Pulsar, whose jars are fetched once and kept. Where a program is missing and cannot be
# installed here, the script says which.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    for program in bash curl flock:util-linux java:openjdk-17-jre-headless mvn:maven openssl; do
        command -v "${program%:*}" >/dev/null 2>&1 || missing="${missing:-} ${program#*:}"
    done
    if [ -n "${missing:-}" ]; then
        step apt-get update
        # shellcheck disable=SC2086 # names of packages, split at spaces
        step env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
    fi
fi
step scripts/stack.sh install

# Unit tests, integration tests and the examples in doc comments, on the program as it ships.
tests cargo test --locked --workspace
# Our own crate built once more with the steps at which it can be made to die and the mistakes it can be made to make: aborts at
# every step of a commit, and the real graph under a thousand seeds (scripts/simulate.sh plays more).
tests cargo test --locked --features failpoints,mutations --test failpoints --test sim

# The benches as they are measured, once and briefly: nothing is asserted of their figures.
step cargo bench --locked --bench floor --bench parts --bench whole --bench topic

if ! cargo deny --version >/dev/null 2>&1 && [ "${MINUET_DENY:-0}" = 1 ]; then
    step cargo install --locked cargo-deny
fi
if cargo deny --version >/dev/null 2>&1; then
    step cargo deny --all-features check bans licenses sources
    # The list of advisories is fetched from GitHub.
    if [ "${MINUET_DENY:-0}" = 1 ]; then
        step cargo deny --all-features check advisories
    fi
else
    printf '\n== cargo deny is not installed: bans, licences and advisories are not checked (MINUET_DENY=1 installs it)\n'
fi

printf '\nall checks passed\n'
