#!/usr/bin/env bash
# A real Apache Pulsar (broker, bookie and metadata in one JVM) on loopback, from pinned Maven artifacts. scripts/stack.sh calls it.
#
#   pulsar.sh install                          fetches the jars (about 190 MB, once) into the cache
#   pulsar.sh up | down | kill | status        starts it and waits until it is healthy; stops it; SIGKILL; says how it is (3: down)
#   pulsar.sh topic TENANT/NS/NAME [COUNT]     makes a topic of so many partitions, or one without, and what it lies in
#   pulsar.sh perf produce|consume ARGS...     Pulsar's own load tool, against this broker
#   pulsar.sh serve                            a broker to be thrown away: it and its state end with standard input, on which
#                                              kill, stop and start are understood; each is answered by a line
#
# Environment: MINUET_CACHE (jars), MINUET_STACK (state), MINUET_PULSAR_PORT (6650), MINUET_PULSAR_WEB (8080),
# MINUET_PULSAR_TLS (a port: TLS there, and tokens on all ports; certificates and tokens are made in the state's tls folder),
# MINUET_PULSAR_CONF (more lines for the broker's configuration), MINUET_PULSAR_JVM (more options for java).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(realpath -m "${MINUET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/minuet}")
state=$(realpath -m "${MINUET_STACK:-$cache/stack}")/pulsar
jars=$cache/pulsar-$(sha256sum "$here/pom.xml" | cut -c1-12)
# Of the list of all jars with their sums: what was fetched is what was tried.
jars_sum=aadef83828a43b69d51f5b8412e0e8995831e7442bbba105707be5be41ea1fc5
port=${MINUET_PULSAR_PORT:-6650} web=${MINUET_PULSAR_WEB:-8080} tls=${MINUET_PULSAR_TLS:-}
admin=http://127.0.0.1:$web/admin/v2
service=pulsar ports=("$port" "$web") ports_from="MINUET_PULSAR_PORT, MINUET_PULSAR_WEB and MINUET_PULSAR_TLS"
[[ -z $tls ]] || ports+=("$tls")
address="pulsar://127.0.0.1:$port${tls:+ and pulsar+ssl://127.0.0.1:$tls}, admin $admin"
# shellcheck source=scripts/stack/daemon.sh
source "$here/../daemon.sh"
patience=180 # 7 on a quiet machine

demand_package() { # PROGRAM PACKAGE
  demand "$1" "install it, on Debian or Ubuntu by: apt-get install $2"
}

demand_java() {
  demand_package java openjdk-17-jre-headless
  local found
  found=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [[ ${found:-0} -ge 17 ]] || die "java is of version ${found:-unknown}, Pulsar needs 17 or later (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)"
}

install() (
  [[ ! -d $jars ]] || return 0
  demand_java
  demand_package mvn maven
  mkdir -p "$cache"
  exec 8> "$jars.lock"
  flock 8
  [[ ! -d $jars ]] || return 0
  say "fetching the jars of Pulsar, about a minute ..."
  rm -rf "$jars.part"
  mvn --batch-mode --no-transfer-progress --quiet -Dstyle.color=never --strict-checksums -f "$here/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$jars.part" >&2 || die "Maven could not fetch the jars; what it said is above"
  local sum
  sum=$(cd "$jars.part" && LC_ALL=C sha256sum -- *.jar | sha256sum | cut -d' ' -f1)
  [[ $sum == "$jars_sum" ]] || die "the jars in $jars.part are not those that were tried: their sum is $sum"
  mv "$jars.part" "$jars"
)

jvm() { # runs java in place of the shell, so that its process id is the one of the job
  local opens=() package
  for package in java.base/java.lang java.base/java.nio java.base/jdk.internal.misc java.base/jdk.internal.platform \
    java.base/sun.net java.management/sun.management jdk.management/com.sun.management.internal; do
    opens+=(--add-opens "$package=ALL-UNNAMED")
  done
  # The first compiler only: it starts in half the time, and tests end before the second one pays.
  # shellcheck disable=SC2086 # options, split at spaces
  exec "${leash[@]}" java -cp "$jars/*" "${opens[@]}" -XX:+UseSerialGC -Xmx512m -XX:MaxDirectMemorySize=512m \
    -XX:TieredStopAtLevel=1 -Dio.netty.tryReflectionSetAccessible=true \
    "-Dlog4j2.configurationFile=$here/log4j2.properties" ${MINUET_PULSAR_JVM:-} "$@"
}

ours() { tr '\0' ' ' 2> /dev/null < "/proc/$1/cmdline" | grep -q "PulsarStandaloneStarter -c $state/"; }

rest() { # METHOD PATH [JSON]
  local as=()
  [[ -z $tls ]] || as=(--header @"$state/tls/admin.header")
  curl --silent --show-error --fail-with-body --max-time 30 "${as[@]}" --request "$1" --header 'Content-Type: application/json' \
    ${3:+--data "$3"} "$admin/$2"
}
ready() { [[ $(rest GET brokers/health 2> /dev/null) == ok ]] && rest GET namespaces/public/default > /dev/null 2>&1; }

lines() {
  sed -e "s/@PORT@/$port/; s/@WEB@/$web/" "$here/standalone.conf"
  if [[ -n $tls ]]; then
    demand_package openssl openssl
    "$here/tls.sh" "$state/tls" "$tls"
  fi
  printf '%s\n' "${MINUET_PULSAR_CONF:-}"
}
configure() { lines > "$state/standalone.conf" || die "the broker's configuration cannot be made in $state"; }

launch() {
  cd "$state"
  jvm -XX:+ExitOnOutOfMemoryError -Dpulsar.allocator.exit_on_oom=true org.apache.pulsar.PulsarStandaloneStarter \
    -c "$state/standalone.conf" -nfw -nss --metadata-dir "$state/data/metadata" --bookkeeper-dir "$state/data/bookkeeper"
}

prepare() { :; }

tell() {
  [[ -z $tls ]] || echo "  CA $state/tls/ca.pem, token $state/tls/admin.jwt"
  echo "  next: scripts/stack.sh pulsar topic public/default/sensors 4"
}

topic() { # TENANT/NS/NAME [COUNT]
  local tenant namespace name
  IFS=/ read -r tenant namespace name <<< "${1:-}"
  [[ -n $name && ${2:-0} =~ ^[0-9]+$ ]] || die "a topic is given as TENANT/NAMESPACE/NAME, then its number of partitions or nothing"
  rest GET "tenants/$tenant" > /dev/null 2>&1 || rest PUT "tenants/$tenant" '{"allowedClusters":["standalone"]}'
  rest GET "namespaces/$tenant/$namespace" > /dev/null 2>&1 ||
    rest PUT "namespaces/$tenant/$namespace" '{"replication_clusters":["standalone"]}'
  if ((${2:-0} > 0)); then rest PUT "persistent/$1/partitions" "$2"; else rest PUT "persistent/$1"; fi
}

perf() { # produce|consume ARGS...
  [[ -n ${1:-} ]] || die "perf is followed by produce or consume, and its arguments"
  install
  mkdir -p "$state"
  {
    echo "brokerServiceUrl=pulsar://127.0.0.1:$port"
    [[ -z $tls ]] || sed -n 's/^brokerClientAuthenticationPlugin=/authPlugin=/p; s/^brokerClientAuthenticationParameters=/authParams=/p' \
      "$state/standalone.conf"
  } > "$state/client.conf"
  jvm -Dpulsar.log.level=info org.apache.pulsar.testclient.PulsarPerfTestTool "$state/client.conf" "$1" \
    -u "pulsar://127.0.0.1:$port" "${@:2}"
}

case ${1:-} in
  topic | perf) "$@" ;;
  *) obey "$@" ;;
esac
