#!/usr/bin/env bash
# What the start-up script of a slice runs on each of its hosts, at every boot: on_host.sh, again where it was told to stop or died; its
# log goes to the store. At the end worker 0 deletes the slice, where that was asked for.
#
#   NAME=kobert ZONE=us-west4-a STORE=gs://... DELETE_WHEN_DONE=yes DELETE_ON_FAILURE=no bash pretrain/launch/unattended.sh RECIPE ...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${NAME:?}" "${ZONE:?}" "${STORE:?}" "${DELETE_WHEN_DONE:?}" "${DELETE_ON_FAILURE:?}"
root=$PWD python=$PWD/.venv/bin/python state=runs/.host
# shellcheck source=pretrain/launch/common.sh
source pretrain/launch/common.sh
# shellcheck source=pretrain/launch/machine.sh
source pretrain/launch/machine.sh
# shellcheck source=pretrain/launch/job.sh
source pretrain/launch/job.sh
# shellcheck source=pretrain/launch/store.sh
source pretrain/launch/store.sh
MAX_RESTARTS=${MAX_RESTARTS:-5}        # without a new checkpoint in between
RESTART_SECONDS=${RESTART_SECONDS:-20} # before each
LOG_SECONDS=${LOG_SECONDS:-60}         # between two looks whether the log has grown
launch=$STORE/.launch/$NAME
brought=0

which_worker() { # sets WORKER, WORKERS and COORDINATOR; a guess would make two hosts worker 0
  local endpoints try
  for try in $(seq 60); do
    if WORKER=$(metadata agent-worker-number) && endpoints=$(metadata worker-network-endpoints); then break; fi
    if [ "$try" = 60 ]; then
      echo 1 >$state/exit
      fail "the metadata server does not say which worker of $NAME this is"
    fi
    sleep 5
  done
  WORKERS=$(tr ',' '\n' <<<"$endpoints" | grep -c .)
  COORDINATOR=$(cut -d , -f 1 <<<"$endpoints" | cut -d : -f 3):${COORDINATOR_PORT:-8476}
  export WORKER WORKERS COORDINATOR
}

bring_log() {
  local bytes
  bytes=$(wc -c <"$state/log")
  if [ "$bytes" = "$brought" ]; then return; fi
  if limited "$STORE_SECONDS" gcloud storage cp "$state/log" "$launch/log-$WORKER" </dev/null >/dev/null 2>&1; then brought=$bytes; fi # else at the next look
}

bring_logs() {
  while :; do
    sleep "$LOG_SECONDS" &
    wait $!
    bring_log
  done
}

run_once() { # on_host.sh in a process group of its own, as --stop expects it; sets code
  code=0
  rm -f $state/exit $state/stopped
  setsid bash pretrain/launch/on_host.sh "$@" >>$state/log 2>&1 </dev/null 8>&- &
  wait $! || code=$?
  if [ -e $state/stopped ]; then code=stopped; fi
}

delete_slice() { # as the service account of the host, which may or may not
  local answer
  for _ in 1 2 3; do
    if answer=$(limited "$STORE_SECONDS" gcloud compute tpus queued-resources delete "$NAME" --zone="$ZONE" --force --quiet --async </dev/null 2>&1); then return; fi
    sleep "$RESTART_SECONDS"
  done
  note "error: $NAME is not deleted ($(reason_in "$answer")) and is billed on: ./run_tpu.sh --delete $NAME"
}

finish() { # finish CODE: tells it, and ends the bill where that was asked for
  echo "$1" >$state/exit
  if [ "$WORKER" = 0 ]; then
    printf '%s\n' "$1" | limited "$STORE_SECONDS" gcloud storage cp - "$launch/ended" >/dev/null 2>&1 || note "warning: $launch/ended was not written"
    bring_log
    case $1 in
      0) if [ "$DELETE_WHEN_DONE" = yes ]; then delete_slice; fi ;;
      stopped | 75) ;; # as somebody, or the command, says
      *) if [ "$DELETE_ON_FAILURE" = yes ]; then delete_slice; fi ;;
    esac
  fi
  bring_log
  exit 0
}

mkdir -p $state
exec 8>runs/.unattended
flock -n 8 || exit 0 # it runs already
exec >>$state/log 2>&1 </dev/null
which_worker
split_arguments "$@"
bring_logs 8>&- &
watcher=$!
trap 'kill "$watcher" 2>/dev/null || true' EXIT
restarts=0 best=""
while :; do
  run_once "$@"
  case $code in
    0 | 2 | stopped) finish "$code" ;;
    1) if [ "$(cat $state/phase)" = train ]; then finish 1; fi ;; # before it, a network that fails may work again
    75) case " $* " in *stop-after-minutes*) finish 75 ;; esac ;;
  esac
  if [ "$(step_in "$run_dir")" != "$best" ]; then restarts=0 best=$(step_in "$run_dir"); fi
  restarts=$((restarts + 1))
  if [ "$restarts" -gt "$MAX_RESTARTS" ]; then
    note "error: exit code $code, $MAX_RESTARTS times without a new checkpoint"
    finish 1
  fi
  rm -f $state/exit # it has not ended
  say "exit code $code: starting again"
  sleep "$RESTART_SECONDS"
done
