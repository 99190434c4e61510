# shellcheck shell=bash
# --unattended: a slice that trains by its start-up script, whatever becomes of the machine that asked for it. Code and records are in
# the store before it is asked for; its metadata hold that script alone, and no key.

UNATTENDED_FOLDER=${UNATTENDED_FOLDER:-/opt/korean-pretrain} # the checkout on the hosts, whose start-up script runs as root
LEAVE_SECONDS=${LEAVE_SECONDS:-60} # in the queue before this machine leaves: what is refused later than at once is then told here

launch_folder() { printf '%s/.launch/%s' "$store" "$name"; }

check_unattended() {
  local flag
  if [ "$unattended" = no ]; then return; fi
  [ -z "$hosts_file" ] || wrong "--unattended goes with --create: it is the start-up script of a slice"
  [ -n "$store" ] || wrong "--unattended needs --store gs://BUCKET/FOLDER, from which the slice takes its code and its records"
  for flag in ${create_flags[@]+"${create_flags[@]}"}; do
    case $flag in
      --metadata-from-file* | --metadata*startup-script*) wrong "--create-flag=$flag: --unattended has a start-up script of its own; leave one of the two out" ;;
    esac
  done
  [ -x "$python" ] || wrong "--unattended: nobody sees a mistake on the slice, so the recipe is read here first: run ./run_tpu.sh --install-only"
}

check_no_keys() { # of a job whose extras are known
  if grep -x wandb <<<"$extras" >/dev/null; then
    wrong "training.wandb_project is set, and --unattended sends no key: metadata and buckets are read by others; leave one of the two out"
  fi
  if [ -n "$(keys_here)" ]; then note "stays here, for --unattended sends no key: $(in_one_line "$(keys_here | cut -d = -f 1)")"; fi
}

start_line() { # what starts the run in a checkout on a host
  printf 'NAME=%s ZONE=%s STORE=%s DELETE_WHEN_DONE=%s DELETE_ON_FAILURE=%s bash pretrain/launch/unattended.sh %s' \
    "$name" "$(quoted "$zone")" "$(quoted "$store")" "$delete_when_done" "$delete_on_failure" "$(quoted ${job[@]+"${job[@]}"})"
}

start_up_script() {
  local code
  code=$(quoted "$(launch_folder)/code.tar.gz")
  cat <<SCRIPT
#!/usr/bin/env bash
# Trains on every host of $name, at every boot: made by ./run_tpu.sh --create $name --unattended. No key belongs here.
export HOME=\${HOME:-/root} PATH=\$PATH:/snap/bin
mkdir -p $(quoted "$UNATTENDED_FOLDER") && cd $(quoted "$UNATTENDED_FOLDER") || exit 1
for _ in \$(seq 30); do
  if gcloud storage cp $code code.tar.gz && tar xzf code.tar.gz; then
    exec env $(start_line)
  fi
  sleep 20
done
echo "error: $(launch_folder) cannot be read from this host; its service account needs the role Storage Object Admin" >&2
SCRIPT
  if [ "$delete_on_failure" = yes ]; then
    printf 'gcloud compute tpus queued-resources delete %s --zone=%s --force --quiet --async\n' "$name" "$(quoted "$zone")"
  fi
}

bring_start() { # into the store what the start-up script of a new slice takes from there, and that it has not ended yet
  say "code to $(launch_folder)"
  start_flag=--metadata-from-file=startup-script=$memory/start-up.sh
  if [ "$dry_run" = yes ]; then
    call gcloud storage cp code.tar.gz "$(launch_folder)/code.tar.gz"
    note "the start-up script:"
    start_up_script >&2
  else
    start_up_script >"$memory/start-up.sh"
    temporary=$(mktemp -d)
    packed_code | gzip >"$temporary/code.tar.gz" || fail "the code could not be packed (above)"
    if ! printf 'no\n' | gcloud storage cp - "$(launch_folder)/ended" >/dev/null ||
      ! gcloud storage cp "$temporary/code.tar.gz" "$(launch_folder)/code.tar.gz"; then
      fail "$(launch_folder) does not take the code (above)"
    fi
    rm -rf "$temporary"
  fi
  if records_ready; then send_records_to_bucket; fi
}

await_start() { # until the start-up script has begun on worker 0, or has ended; 1 where the slice is gone meanwhile
  local line began=$SECONDS
  note "$name: its start-up script installs and trains"
  while :; do
    if line=$(status_of 0 999999999999); then
      case "$(field alive "$line") $(field exit "$line")" in
        yes* | *\ [0-9]*) return ;;
        *\ stopped) on_all start_one || return 1 ;; # by --stop, from which it goes on here
      esac
    fi
    look
    case $state in ACTIVE | UNKNOWN) ;; *) return 1 ;; esac
    [ $((SECONDS - began)) -lt "$HOST_SECONDS" ] ||
      give_up "$name: its start-up script has not begun within $HOST_SECONDS s; see \`sudo journalctl -u google-startup-scripts\` there"
    pause "$POLL_SECONDS"
  done
}

ended() { # the exit code with which an unattended run ended, nothing before
  local code
  if [ "$unattended" = no ]; then return; fi
  code=$(call_limited "$BUCKET_SECONDS" gcloud storage cat "$(launch_folder)/ended" </dev/null 2>/dev/null) || return 0
  case $code in [0-9]*) printf '%s' "$code" ;; esac
}

show_rest() { # of the log of a slice that has deleted itself
  gcloud storage cat "$(launch_folder)/log-0" </dev/null | tail -c "+$((shown + 1))" || note "warning: the end of its log could not be read (above)"
}

tell_unattended() { # what goes on by itself, and who ends the bill
  note "$name needs this machine no more: once it is granted, its start-up script takes code and records from $store, installs, trains and exports, and again after a reboot"
  note "its log: gcloud storage cat $(launch_folder)/log-0; also --status $name, --attach $name"
  if [ "$spot" = yes ]; then note "after a preemption nobody asks for a new slice before --attach $name does"; fi
  if [ "$delete_when_done" = yes ]; then
    note "the bill: worker 0 deletes the slice when the export is in the store, if its service account may (TPU Admin)$([ "$delete_on_failure" = yes ] || echo "; of a run that fails it is you who does")"
  else
    note "the bill: nobody but you ends it, also when the run is done (--delete-when-done would)"
  fi
}
