# shellcheck shell=bash disable=SC2154,SC2034 # variables set by one and read by the other
# One process of a service: its start, its end, how it is. Sourced by the scripts of services; each sets
#   service   its name                          state      the folder of its data, log and process id
#   ports     where it listens on loopback      ports_from the variables that choose them
#   address   what to tell of it                patience   seconds until it answers, where a minute is not enough
# and defines install (makes the program be there), configure (what must be there before it starts), launch (runs the program in
# place of the shell, behind "${leash[@]}"), ours (whether a process id is one of it), ready (whether it answers), prepare (what is to be
# done once it does) and tell (what one needs to use it).
patience=60
log=$state/log
leash=() # what the program is started by

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
  [[ -n $id ]] && ours "$id"
}
runs() { # ID PROGRAM
  # Where the program was built anew, the old one is told as deleted.
  [[ $(readlink "/proc/$1/exe" 2> /dev/null) == "$(realpath -m "$2")"* ]]
}

start() {
  demand curl "install it, on Debian or Ubuntu by: apt-get install curl"
  local taken end=$((SECONDS + 5))
  for taken in "${ports[@]}"; do
    # One that was killed a moment ago may still hold it.
    while (exec 3<> "/dev/tcp/127.0.0.1/$taken") 2> /dev/null && ((SECONDS < end)); do sleep 0.1; done
    ((SECONDS < end)) || die "port $taken of 127.0.0.1 is taken by another program; choose others by $ports_from"
  done
  mkdir -p "$state/data"
  configure
  launch < /dev/null >> "$log" 2>&1 8>&- &
  echo $! > "$state/pid"
  disown # bash need not tell when it is killed
  end=$((SECONDS + patience))
  until ready; do
    kill -0 "$(process)" 2> /dev/null || { tail -n 20 "$log" >&2; die "it ended, its log is $log"; }
    ((SECONDS < end)) || die "it does not answer after $patience s, its log is $log"
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
  if alive; then ready || die "it runs as process $(process) but does not answer, its log is $log"; else start; fi
  echo "$service is up: $address"
  echo "  log $log"
  tell
}

halt() { # SIGNAL
  local id tries=0
  id=$(process)
  if alive; then
    kill "-$1" "$id"
    while alive && ((tries++ < 300)); do sleep 0.1; done
    ! alive || kill -KILL "$id"
  fi
  rm -f "$state/pid"
}

status() {
  alive || { echo "$service is down"; return 3; }
  local memory health=ok
  memory=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$(process)/status")
  ready || health="no answer"
  echo "$service is up: process $(process), $memory MB, health $health, $address"
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
