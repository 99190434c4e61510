# shellcheck shell=bash
# From nothing to a finished run: slice, hosts, start, the log of worker 0, and all of it again after a preemption.
# Nothing here is needed for the run to go on: it may end at any time, and --attach goes on watching.

POLL_SECONDS=${POLL_SECONDS:-5}       # between two looks at worker 0
OTHERS_SECONDS=${OTHERS_SECONDS:-30}  # between two looks at the other workers
LATE_SECONDS=${LATE_SECONDS:-600}     # without a line before all workers are named with what they do
MAX_RESTARTS=${MAX_RESTARTS:-5}       # without a new checkpoint in between
shown=0 refused_commands=0 outcome="" reason=""
stage=waiting # then reaching, shipping, training, ended; unattended where nobody is to watch: what is said when this shell ends
run_failed=no

supervise() {
  local restarts=0 best="" step
  if [ "$dry_run" = no ]; then trap leave EXIT; fi
  trap 'note; exit 130' INT
  while :; do
    stage=waiting
    ensure_slice
    if [ $leaving = yes ]; then stage=unattended; return; fi
    stage=reaching # whatever runs there already
    find_hosts || { gone; continue; }
    note "$name: ${#addresses[@]} worker(s): ${addresses[*]}"
    [ ${#addresses[@]} = 1 ] || check_common_place "$name"
    if [ "$dry_run" = yes ]; then
      ship
      start_all
      status_of 0 0
      if [ "$delete_when_done" = yes ]; then fetch_run; slice_delete "$zone"; fi
      return
    fi
    if [ "$unattended" = yes ]; then
      await_start || { gone; continue; }
    elif ! under_way; then
      stage=shipping
      on_all stop_one || { gone; continue; }
      ship || { gone; continue; }
      start_all || { gone; continue; }
    fi
    refused_commands=0
    stage=training
    follow
    stage=ended
    step=$(field step "$line")
    case $outcome in
      done) break ;;
      gone) gone; restarts=0 ;;
      paused) note "$name: stopped as the command says; run it again, and it goes on"; return ;;
      stopped) fail "$name: stopped by --stop; --attach $name goes on from what was saved" ;;
      failed)
        if [ ${#addresses[@]} -gt 1 ]; then on_all stop_one || note "$name: not stopped everywhere"; fi # they wait for the one that failed
        give_up "$name: $reason; fix it and run the same command again: it goes on from what was saved"
        ;;
      died)
        if [ "$step" != "$best" ]; then restarts=0 best=$step; fi
        restarts=$((restarts + 1))
        [ $restarts -le "$MAX_RESTARTS" ] || give_up "$name: $reason, $MAX_RESTARTS times without a new checkpoint; see --status $name"
        say "$reason: $([ "$unattended" = yes ] && echo "it starts again by itself" || echo "starting again on all workers")"
        ;;
    esac
  done
  say "$name is done"
  if [ "$delete_when_done" = yes ]; then
    [ -n "$store" ] || fetch_run
    delete_slice
  elif [ -n "$store" ]; then
    note "export: $store/$(basename "$run_dir")/export"
  else
    note "next: ./run_tpu.sh --fetch $name$([ "$created" = no ] || echo ", then --delete $name")"
  fi
}

gone() { # what to do next shows in the slice's state
  end_if_deleted
  look
  case $state in
    SUSPENDING | SUSPENDED | PREEMPTED | FAILED) preempted=yes; say "$name was preempted ($state): asking for it again"; return ;;
    ABSENT | DELETING) deleted_elsewhere ;;
  esac
  refused_commands=$((refused_commands + 1))
  [ $refused_commands -le 3 ] || give_up "$name is there, but its workers do not take commands (above); see --status $name"
  pause "$STATE_SECONDS"
}

give_up() { # give_up MESSAGE: the run failed, and watching on would not help
  run_failed=yes
  fail "$@"
}

leave() { # on every way out: what is still booked, what it does, and how to end the bill
  local code=$? what left
  trap - EXIT
  if [ -n "$temporary" ]; then rm -rf "$temporary"; fi
  left=$(booked_zones)
  if [ $run_failed = yes ] && [ "$delete_on_failure" = yes ] && [ -n "$left" ]; then
    run_failed=no
    say "--delete-on-failure"
    (if [ -z "$store" ]; then fetch_run; fi; delete_slice) || true
    left=$(booked_zones)
  fi
  if [ "$stage" = training ]; then note "the run goes on without you: ./run_tpu.sh --attach $name"; fi
  if [ -n "$left" ]; then
    what="$name ($type$([ "$spot" = no ] || echo ", spot")) in ${left//$'\n'/, }"
    if [ "$unattended" = yes ] && [ "$stage" = waiting ]; then stage=unattended; fi
    case $stage in
      unattended)
        note "the request for $what is billed from when it is granted, and lapses $(wait_in_queue) minutes after it was made if it is not"
        tell_unattended
        ;;
      waiting) note "nothing trains yet: the request for $what stays, is billed from when it is granted, and lapses $(wait_in_queue) minutes after it was made if it is not" ;;
      shipping) note "nothing trains yet: $what stays booked and is billed" ;;
      *) note "$what stays booked and is billed" ;;
    esac
    note "to end the bill: ./run_tpu.sh --delete $name$([ -n "$store" ] || [ "$stage" = waiting ] || echo ", after --fetch $name or with --discard")"
  fi
  exit $code
}

under_way() { # whether the run goes on everywhere, or is done
  local worker line
  for worker in "${!addresses[@]}"; do
    line=$(status_of "$worker" 999999999999) || return 1
    [ "$(field alive "$line")" = yes ] || [ "$(field exit "$line")" = 0 ] || return 1
    if [ "$changed_job" = yes ]; then
      [ "$(field alive "$line")" = no ] || wrong "$name is at another job; --stop $name first, or take another name"
      return 1
    fi
  done
}

follow() { # prints the log of worker 0 until the run ends; sets outcome, reason and line, the last status of worker 0
  local answer failing=0 looked=$SECONDS told=0
  line=""
  while :; do
    if answer=$(status_of 0 "$shown"); then
      failing=0
      line=${answer%%$'\n'*}
      if [ "$answer" != "$line" ]; then printf '%s\n' "${answer#*$'\n'}"; fi
      shown=$(field bytes "$line")
      judge 0 "$line" || return 0
    else
      look
      case $state in ACTIVE | UNKNOWN) ;; *) outcome=gone; return ;; esac
      if [ $failing = 0 ]; then failing=$SECONDS; fi
      [ $((SECONDS - failing)) -lt "$HOST_SECONDS" ] || fail "$(who 0) has not answered for $HOST_SECONDS s; the run may go on: --attach $name"
    fi
    if [ ${#addresses[@]} -gt 1 ] && [ $((SECONDS - looked)) -ge "$OTHERS_SECONDS" ]; then
      looked=$SECONDS
      look_at_others || return 0
    fi
    if [ -n "$line" ] && [ "$(field quiet "$line")" -ge "$LATE_SECONDS" ] && [ $((SECONDS - told)) -ge "$LATE_SECONDS" ]; then
      told=$SECONDS
      note "no line from worker 0 for $(field quiet "$line") s:"
      tell_status >&2
    fi
    sleep "$POLL_SECONDS"
  done
}

look_at_others() { # 1 where one of them has ended although worker 0 goes on
  local worker answer
  for worker in "${!addresses[@]}"; do
    if [ "$worker" = 0 ] || ! answer=$(status_of "$worker" 999999999999); then continue; fi
    if [ "$(field exit "$answer")" != 0 ]; then judge "$worker" "$answer" || return 1; fi
  done
}

judge() { # judge WORKER STATUS: 0 while it runs; else 1, with outcome and reason
  local code
  if [ "$(field alive "$2")" = yes ]; then return 0; fi
  code=$(field exit "$2")
  reason="$(who "$1"): exit code $code in $(field phase "$2")"
  case $code in
    0) outcome="done" ;;
    1 | 2) outcome=failed ;;
    stopped) outcome=stopped ;;
    75) # told to stop, by the machine or by the command
      case " ${job[*]-} " in *stop-after-minutes*) outcome=paused ;; *) outcome=gone ;; esac
      ;;
    "") outcome=died reason="$(who "$1"): ended without a word in $(field phase "$2")" ;;
    *) outcome=died ;;
  esac
  return 1
}
