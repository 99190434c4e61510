# shellcheck shell=bash
# The hosts of a slice: code shipped, run started on all, looked at, stopped, its results brought home.

HOST_SECONDS=${HOST_SECONDS:-600} # within which every worker must answer ssh
REMOTE=korean-pretrain            # the checkout, below a worker's home
# Of every ssh: it never asks, and ends when the other side is silent for a minute.
SSH_OPTIONS=(-oBatchMode=yes -oConnectTimeout=20 -oServerAliveInterval=15 -oServerAliveCountMax=4 -oStrictHostKeyChecking=accept-new)
addresses=() temporary="" # temporary: a folder that goes whatever happens

who() { printf 'worker %s of %s (%s)' "$1" "${#addresses[@]}" "${addresses[$1]}"; }

list_hosts() { # fills addresses; 1 where there are none
  local line
  addresses=()
  while IFS= read -r line; do addresses+=("$line"); done < <(slice_addresses)
  [ ${#addresses[@]} -gt 0 ]
}

find_hosts() { # list_hosts, and waits until all answer; 1 where the slice is gone meanwhile; names a worker that never comes
  local worker said began=$SECONDS
  list_hosts || return 1
  for worker in "${!addresses[@]}"; do
    until said=$(host_run "$worker" true 2>&1); do
      case $said in
        *"Permission denied ("* | *"Host key verification failed"*)
          give_up "$(who "$worker"): ssh is refused ($(grep -m 1 -e 'Permission denied (' -e 'Host key' <<<"$said")); see to the key (ssh-add, where it has a passphrase) and to known_hosts"
          ;;
      esac
      look
      case $state in ACTIVE | UNKNOWN) ;; *) return 1 ;; esac
      [ $((SECONDS - began)) -lt "$HOST_SECONDS" ] ||
        give_up "$(who "$worker") does not answer ssh within $HOST_SECONDS s, the others before it do ($(reason_in "$said")); look at it, or --delete $name and create it again"
      pause "$STATE_SECONDS"
    done
  done
}

host_run() { host_feed "$@" </dev/null; }

ship() { # to every worker, at once; 1 where one did not take it
  local code=0
  say "shipping the code to ${#addresses[@]} worker(s)"
  temporary=$(mktemp -d)
  ship_through "$temporary" || code=1
  rm -rf "$temporary"
  return $code
}

ship_through() { # ship_through FOLDER: code, keys, records
  packed_code | gzip >"$1/code.tar.gz" || fail "the code could not be packed (above)"
  on_all ship_one "$1/code.tar.gz" code.tar.gz "$REMOTE" || return 1
  send_keys || return 1
  if ! records_ready; then return; fi
  case $store in
    gs://*) send_records_to_bucket ;;
    *)
      tar czf "$1/records.tar.gz" -C "$run_dir" examples vocabulary manifest.json || fail "the records could not be packed (above)"
      on_all ship_one "$1/records.tar.gz" records.tar.gz "$REMOTE/$run_dir"
      ;;
  esac
}

ship_one() { # ship_one WORKER ARCHIVE NAME FOLDER: unpacked without touching what a run has written since
  local to unpack
  to=$(quoted "$4")
  unpack="tar xzf $REMOTE-$3 --skip-old-files -C $to"
  if [ "$3" = code.tar.gz ]; then # what went there before and is deleted here goes
    unpack="(cd $to && touch .shipped && tr '\\n' '\\0' <.shipped | xargs -0 rm -f) && tar xzf $REMOTE-$3 -C $to && tar tzf $REMOTE-$3 >$to/.shipped"
  fi
  host_copy "$1" "$2" "$REMOTE-$3" && host_run "$1" "mkdir -p $to && $unpack && rm $REMOTE-$3"
}

keys_here() { # the keys that this shell has, as lines of a shell file
  local each
  for each in WANDB_API_KEY WANDB_ENTITY WANDB_BASE_URL WANDB_MODE HF_TOKEN; do
    if [ -n "${!each:-}" ]; then printf '%s=%s\n' "$each" "$(quoted "${!each}")"; fi
  done
}

send_keys() {
  if [ -z "$(keys_here)" ]; then return; fi
  note "keys: $(in_one_line "$(keys_here | cut -d = -f 1)")"
  on_all send_keys_to_one
}

send_keys_to_one() { keys_here | host_feed "$1" "umask 077 && rm -f $REMOTE/.keys && cat >$REMOTE/.keys"; } # over stdin: arguments and logs are read by others

send_records_to_bucket() {
  local part to
  to=$store/$(basename "$run_dir")
  say "records to $to"
  for part in vocabulary examples; do call gcloud storage rsync -r "$run_dir/$part" "$to/$part" || fail "$to does not take the records (above)"; done
  call gcloud storage cp --no-clobber "$run_dir/manifest.json" "$to/manifest.json" || fail "$to does not take the records (above)" # last: it says that the rest is whole
}

on_all() { # on_all FUNCTION ARGUMENTS...: FUNCTION WORKER ARGUMENTS..., side by side; names the workers where it failed
  local worker pids=() failed=0
  for worker in "${!addresses[@]}"; do
    if [ "$dry_run" = yes ]; then "$1" "$worker" "${@:2}"; continue; fi
    "$1" "$worker" "${@:2}" &
    pids+=($!)
  done
  for worker in ${pids[@]+"${!pids[@]}"}; do
    wait "${pids[$worker]}" || { note "$(who "$worker"): $1 did not work"; failed=1; }
  done
  return $failed
}

start_one() { # detached, so that a closed laptop does not end it
  local line
  if [ "$unattended" = yes ]; then
    host_run "$1" "cd $REMOTE && { sudo setsid nohup env $(start_line) >/dev/null 2>&1 </dev/null & }"
    return
  fi
  line="WORKER=$1 WORKERS=${#addresses[@]} COORDINATOR=$(quoted "${addresses[0]#*@}:${COORDINATOR_PORT:-8476}") STORE=$(quoted "$store")"
  line="cd $REMOTE && rm -rf runs/.host && mkdir -p runs/.host && { $line"
  line+=" setsid nohup bash pretrain/launch/on_host.sh $(quoted ${job[@]+"${job[@]}"}) >runs/.host/log 2>&1 </dev/null & }" # in braces, or the shell around it would keep ssh waiting
  host_run "$1" "$line"
}

start_all() {
  say "starting on ${#addresses[@]} worker(s)"
  shown=0
  on_all start_one
}

stop_one() { host_run "$1" "if cd $REMOTE/pretrain 2>/dev/null; then cd .. && $([ "$unattended" = no ] || echo "sudo ")bash pretrain/launch/stop_on_host.sh; fi"; }

status_of() { # status_of WORKER BYTES: a line of fields, then the log from that byte on
  host_run "$1" "if cd $REMOTE/pretrain 2>/dev/null; then cd .. && bash pretrain/launch/host_status.sh $2 $(quoted "$run_dir"); else echo phase=nothing; fi"
}

field() { # field NAME LINE
  local each
  for each in $2; do case $each in "$1="*) printf '%s' "${each#*=}"; return ;; esac; done
}

tell_status() {
  local worker line code
  look
  printf '%s: %s %s %s\n' "$name" "${type:-hosts}" "$zone" "$state"
  if [ "$state" = UNKNOWN ]; then fail "gcloud does not tell the state of $name ($reason)"; fi
  if [ "$state" != ACTIVE ]; then
    code=$(ended)
    if [ -n "$code" ]; then printf 'its run ended with exit code %s: gcloud storage cat %s/log-0\n' "$code" "$(launch_folder)"; fi
    return
  fi
  list_hosts || fail "$name: its workers cannot be listed"
  for worker in "${!addresses[@]}"; do
    if line=$(status_of "$worker" 999999999999); then describe "$worker" "$line"; else printf '%s: does not answer\n' "$(who "$worker")"; fi
  done
}

describe() { # describe WORKER STATUS_LINE
  local alive exit_code
  alive=$(field alive "$2") exit_code=$(field exit "$2")
  if [ "$alive" = yes ]; then alive="running, last line $(field quiet "$2") s ago"; else alive="not running${exit_code:+, exit code $exit_code}"; fi
  printf '%s: %s, %s, checkpoint of step %s\n' "$(who "$1")" "$(field phase "$2")" "$alive" "$(field step "$2")"
}

stop_run() {
  find_hosts || fail "$name: is not there"
  on_all stop_one || fail "$name: not stopped everywhere (above); run --stop $name again"
  note "$name: stopped; what was saved stays, and --attach $name goes on from it"
}

fetch_run() { # the run folder without the corpus, from worker 0
  find_hosts || fail "$name: is not there"
  say "bringing $run_dir here"
  if [ "$dry_run" = yes ]; then host_run 0 "cd $REMOTE && tar czhf - --exclude $(quoted "$run_dir/corpus") $(quoted "$run_dir")"; return; fi
  SSH_SECONDS=3600 host_run 0 "cd $REMOTE && tar czhf - --exclude $(quoted "$run_dir/corpus") $(quoted "$run_dir")" >"$memory/run.tar.gz" ||
    fail "$run_dir did not come whole; run --fetch $name again"
  tar xzf "$memory/run.tar.gz"
  rm "$memory/run.tar.gz"
  touch "$memory/fetched"
  note "$run_dir is here"
}
