# shellcheck shell=bash disable=SC2154,SC2034 # variables set by one and read by the other
# One process of a service: its start, its end, how it is. Sourced by the scripts of services that are a single program; they set
#   service      its name                        state     the folder of its data, log and process id
#   port         where it listens on loopback    port_from the variable that chooses the port
#   program      the file that runs
# and define install (makes the program be there), launch (runs it in place of the shell, behind "${leash[@]}"), ready (whether it
# answers), prepare (what is to be done once it does) and tell (its addresses and what one needs to use it).
readonly patience=60 # seconds until it answers; one on a quiet machine
leash=()             # what the program is started by

usage() { sed -n '2,${/^#/!q;s/^# \{0,1\}//;p;}' "$0"; }
say() { echo "$service: $*" >&2; }
die() { say "$*"; exit 1; }

demand() { # PROGRAM HOW
  command -v "$1" > /dev/null || die "$1 is missing; $2"
}

process() { cat "$state/pid" 2> /dev/null || true; }
alive() {
  local id
  id=$(process)
  # Where the program was built anew, the old one is told as deleted.
  [[ -n $id && $(readlink "/proc/$id/exe" 2> /dev/null) == "$(realpath -m "$program")"* ]]
}

start() {
  demand curl "install it, on Debian or Ubuntu by: apt-get install curl"
  local end=$((SECONDS + 5))
  # One that was killed a moment ago may still hold the port.
  while (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && ((SECONDS < end)); do sleep 0.1; done
  ((SECONDS < end)) || die "port $port of 127.0.0.1 is taken by another program; choose another by $port_from"
  mkdir -p "$state/data"
  launch < /dev/null >> "$state/log" 2>&1 8>&- &
  echo $! > "$state/pid"
  disown # bash need not tell when it is killed
  end=$((SECONDS + patience))
  until ready; do
    kill -0 "$(process)" 2> /dev/null || { tail -n 20 "$state/log" >&2; die "it ended, its log is $state/log"; }
    ((SECONDS < end)) || die "it does not answer after $patience s, its log is $state/log"
    sleep 0.05
  done
  prepare
}

up() {
  install
  leash=(setsid)
  mkdir -p "$state"
  exec 8> "$state/lock"
  flock 8
  if alive; then ready || die "it runs as process $(process) but does not answer, its log is $state/log"; else start; fi
  echo "$service is up: http://127.0.0.1:$port, log $state/log"
  tell
}

halt() { # SIGNAL
  local id tries=0
  id=$(process)
  if alive; then
    kill "-$1" "$id"
    while alive && ((tries++ < 100)); do sleep 0.1; done
    ! alive || kill -KILL "$id"
  fi
  rm -f "$state/pid"
}

status() {
  alive || { echo "$service is down"; return 3; }
  local memory health=ok
  memory=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$(process)/status")
  ready || health="no answer"
  echo "$service is up: process $(process), $memory MB, health $health, http://127.0.0.1:$port"
}

serve() {
  # Also where this shell is killed, the program does not stay behind.
  ! command -v setpriv > /dev/null || leash=(setpriv --pdeathsig KILL)
  trap 'halt KILL; rm -rf "$state"; rmdir "${state%/*}" 2> /dev/null || true' EXIT
  local order
  install
  start
  echo up
  while read -r order; do
    case $order in
      kill) halt KILL && echo down ;;
      stop) halt TERM && echo down ;;
      start) start && echo up ;;
      *) die "'$order' is not understood; kill, stop and start are" ;;
    esac
  done
}

obey() { # COMMAND
  case ${1:-} in
    install | up | status | serve) "$1" ;;
    down) halt TERM ;;
    kill) halt KILL ;;
    help) usage ;;
    *) usage >&2; exit 2 ;;
  esac
}
