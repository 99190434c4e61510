#!/usr/bin/env bash
# What a worker of a slice does, detached from whoever started it: install, fetch records and checkpoints, check the devices,
# train, and on worker 0 prepare, keep the store up to date, and export. Its state lies in runs/.host/.
#
#   WORKER=0 WORKERS=1 COORDINATOR=HOST:PORT STORE=[gs://... or a shared folder] bash pretrain/launch/on_host.sh RECIPE ...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${WORKER:?}" "${WORKERS:?}" "${COORDINATOR:?}"
STORE=${STORE:-}
root=$PWD venv=$PWD/.venv python=$PWD/.venv/bin/python state=runs/.host
export LAUNCHED=yes
# shellcheck source=pretrain/launch/common.sh
source pretrain/launch/common.sh
# shellcheck source=pretrain/launch/machine.sh
source pretrain/launch/machine.sh
# shellcheck source=pretrain/launch/install.sh
source pretrain/launch/install.sh
# shellcheck source=pretrain/launch/job.sh
source pretrain/launch/job.sh
# shellcheck source=pretrain/launch/store.sh
source pretrain/launch/store.sh
NEEDED_GB=${NEEDED_GB:-20}          # free before the installation
SAVE_SECONDS=${SAVE_SECONDS:-900}   # in which a save must write something
child="" watcher="" pulled=no

phase() { echo "$1" >"$state/phase"; say "worker $WORKER: $1"; }

end() {
  local code=$?
  if [ -n "$watcher" ]; then
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" || true # two pushes at a time would undo each other
  fi
  if [ $pulled = yes ] && [ "$WORKER" = 0 ] && ! push_at_last; then
    note "error: $(in_store) was not brought up to date; what it lacks is on this disk"
    if [ $code = 0 ]; then code=1; fi # a slice is deleted when done
  fi
  if [ -e $state/stopped ]; then code=stopped; fi
  echo "$code" >$state/exit
}

push_at_last() {
  local try
  for try in 1 2 3; do
    if push; then return; fi
    [ "$try" = 3 ] || sleep "${WATCH_SECONDS:-30}"
  done
  return 1
}

enough_disk() {
  local free
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1000000) }')
  [ "$free" -ge "$NEEDED_GB" ] || fail "$PWD has $free GB free, the run needs $NEEDED_GB; free some and start again"
}

watch() { # ends training whose save hangs: nothing new in it for SAVE_SECONDS; keeps the store up to date
  local folder newest now
  trap 'exit 0' TERM # after the command that runs
  while :; do
    sleep "${WATCH_SECONDS:-30}" &
    wait $!
    now=$(date +%s)
    for folder in "$run_dir"/checkpoints/*; do
      if [ ! -d "$folder" ] || [ -e "$folder/manifest.json" ] || [ ! "$folder" -nt $state/training ]; then continue; fi
      newest=$(find "$folder" -printf '%T@\n' | sort -n | tail -n 1)
      if [ $((now - ${newest%.*})) -ge "$SAVE_SECONDS" ]; then
        note "hung save: $folder has not grown for $((now - ${newest%.*})) s; ending training, to go on from the checkpoint before"
        kill -KILL "$child"
        return
      fi
    done
    if [ "$WORKER" = 0 ]; then push || note "warning: the store was not brought up to date; trying again"; fi
  done
}

if [ -f .keys ]; then
  set -a
  # shellcheck source=/dev/null
  source ./.keys
  set +a
  rm .keys
fi
trap end EXIT
trap 'if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null; fi' TERM
echo $$ >$state/pid
split_arguments "$@"

phase install
enough_disk
check_store
pull
pulled=yes
install
extras=$("$python" -m pretrain.commands.needs "$recipe" ${training[@]+"${training[@]}"})
# shellcheck disable=SC2086 # a word for each
if [ -n "$extras" ]; then install $extras; fi

if [ "$WORKERS" -gt 1 ] && ! has_tpu; then # TPU hosts find each other
  export JAX_COORDINATOR_ADDRESS=$COORDINATOR JAX_PROCESS_COUNT=$WORKERS JAX_PROCESS_ID=$WORKER
fi

phase devices
tell_slice
check_devices

phase records
if ! records_ready; then
  if [ "$WORKER" = 0 ]; then
    install data
    prepare_records
    push
  else
    wait_for_records
  fi
fi
trained=$(steps_done)
needed=$("$python" -m pretrain.commands.staging "$trained" "$recipe" --run-dir "$run_dir" ${training[@]+"${training[@]}"})
# shellcheck disable=SC2086 # a word for each folder
pull_records $needed

phase train
touch $state/training
"$python" -m pretrain train "$recipe" --run-dir "$run_dir" ${training[@]+"${training[@]}"} &
child=$!
watch &
watcher=$!
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do code=0; wait "$child" || code=$?; done # a signal ends wait before the child ends
child=""
[ $code = 0 ] || exit $code

if [ "$WORKER" = 0 ]; then
  phase export
  if [ "$WORKERS" -gt 1 ]; then export JAX_PLATFORMS=cpu; fi # the devices of a slice answer to all its hosts together
  export_model
fi
phase "done"
