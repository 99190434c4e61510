# shellcheck shell=bash
# The slice: asked for, waited for, asked for again in another zone or after a preemption, let go. What may be booked is
# remembered before it is asked for, and forgotten when it is seen to be gone.

STATE_SECONDS=${STATE_SECONDS:-20}      # between two looks at its state
REFUSED_SECONDS=${REFUSED_SECONDS:-300} # before zones that all refused are asked again after a preemption
DELETE_SECONDS=${DELETE_SECONDS:-600}   # within which a deleted request must be gone
preempted=no refused=0 state="" seen=no # seen: the request of ours was there; if it is not any more, somebody deleted it

wait_in_queue() { # minutes
  local default=360
  if [ ${#zones[@]} -gt 1 ]; then default=15; fi
  echo $((${wait_minutes:-$default} > 0 ? ${wait_minutes:-$default} : 1)) # gcloud takes no 0
}

rejoin() { # --create of a name that is booked from here: that slice is taken, and no second one asked for
  local each
  if [ "$dry_run" = yes ]; then return; fi
  seen=no
  for each in $(booked_zones); do
    look "$each"
    case $state in
      ABSENT) unbook "$each" ;;
      UNKNOWN) fail "gcloud does not tell whether $name is still booked in $each ($reason)" ;;
      *)
        [ "$(remembered type) $(remembered spot)" = "$type $spot" ] ||
          wrong "$name is booked already: a $(remembered type)$([ "$(remembered spot)" = no ] || echo ", spot") in $each; --delete $name first, or take another name"
        [ "$(remembered unattended)" = "$unattended" ] ||
          wrong "$name is booked already, $([ "$unattended" = yes ] && echo without || echo with) --unattended; --attach $name watches it, or --delete it first"
        zone=$each seen=yes
        case " ${zones[*]} " in *" $each "*) ;; *) zones+=("$each") ;; esac
        ;;
    esac
  done
}

ensure_slice() { # returns when the slice is ACTIVE; made by us, it is made again as often as it takes
  local before="" asked=$SECONDS unknown=0
  if [ "$created" = no ]; then return; fi
  if [ "$dry_run" = yes ]; then
    if [ "$unattended" = yes ]; then bring_start; fi
    slice_create
    look
    return
  fi
  while :; do
    end_if_deleted
    let_go_of_the_rest
    look
    if [ "$state" != "$before" ] && [ "$state" != ACTIVE ]; then note "$name in $zone: $state"; fi
    before=$state
    if [ "$state" != UNKNOWN ]; then unknown=0; fi
    case $state in
      ABSENT)
        [ $seen = no ] || deleted_elsewhere
        if ask; then asked=$SECONDS; else next_zone "refuses: $reason"; fi
        ;;
      UNKNOWN)
        unknown=$((unknown + 1))
        [ $unknown -lt 10 ] || fail "gcloud does not tell the state of $name ($reason); see to the network, then run --attach $name"
        ;;
      *)
        is_booked "$zone" || wrong "$name in $zone was booked by somebody else, or from another folder than $PWD; take another name, or end it with \`gcloud compute tpus queued-resources delete $name --zone=$zone --force\`"
        if [ $seen = no ]; then seen=yes; remember; fi
        case $state in
          ACTIVE) refused=0; return ;;
          DELETING) deleted_elsewhere ;;
          SUSPENDING) preempted=yes ;;
          SUSPENDED | PREEMPTED)
            preempted=yes
            until release "$zone"; do :; done
            ;;
          FAILED)
            note "$name failed in $zone: $(why_failed)"
            release "$zone" || true
            next_zone "failed (above)"
            ;;
          *) # in the queue
            if [ $leaving = yes ]; then
              case $state in ACCEPTED | CREATING) [ $((SECONDS - asked)) -lt "$LEAVE_SECONDS" ] || return 0 ;; *) return ;; esac
            fi
            if [ $((SECONDS - asked)) -ge $((60 * ${wait_minutes:-$(wait_in_queue)})) ]; then
              release "$zone" || true
              next_zone "gave nothing within ${wait_minutes:-$(wait_in_queue)} minutes"
            fi
            ;;
        esac
        ;;
    esac
    pause "$STATE_SECONDS"
  done
}

ask() { # 1 with `reason` where it is refused
  local refusal
  remember
  if [ "$unattended" = yes ]; then
    bring_start
    shown=0 # a new slice has a new log
  fi
  book "$zone"
  if ! slice_create; then
    refusal=$reason
    unbook "$zone"
    end_if_lasting "$refusal"
    look # an error of the other side may come after it has taken the request
    case $state in
      ABSENT | UNKNOWN) reason=$refusal; return 1 ;;
    esac
    book "$zone"
  fi
  note "$name: asked for a $type$([ "$spot" = no ] || echo ", spot,") in $zone"
}

next_zone() { # next_zone WHY_NOT_THIS: the one after `zone`, round and round after a preemption, else once
  local each found=no
  note "$zone $1"
  refused=$((refused + 1))
  if [ $refused -ge ${#zones[@]} ]; then
    [ $preempted = yes ] || fail "no zone gives a $type (${zones[*]}; reasons above); ask for quota, give other zones or a longer --wait, or try --spot"
    refused=0
    pause "$REFUSED_SECONDS"
  fi
  for each in "${zones[@]}" "${zones[0]}"; do
    if [ $found = yes ]; then zone=$each; break; fi
    if [ "$each" = "$zone" ]; then found=yes; fi
  done
  remember
  if is_booked "$zone"; then let_go "$zone" || fail "$name in $zone does not go away ($state)"; fi
}

release() { # release ZONE: let_go of a slice that is asked for again, here or elsewhere
  seen=no
  remember
  let_go "$1"
}

let_go() { # let_go ZONE: deletes the request there and waits until it is gone; 1 where it is not: then it stays remembered
  local answer began=$SECONDS told=no accepted=no
  while :; do
    look "$1"
    if [ "$state" = ABSENT ]; then unbook "$1"; return; fi
    if [ "$state" = DELETING ] || answer=$(slice_delete "$1" 2>&1); then
      if [ $accepted = no ]; then accepted=yes; pause "$STATE_SECONDS"; continue; fi # one more look, however late it is
    elif [ $told = no ]; then
      told=yes
      note "$name in $1: not deleted yet: $(reason_in "$answer")"
    fi
    if [ $((SECONDS - began)) -ge "$DELETE_SECONDS" ]; then
      note "warning: $name in $1 is not gone after $DELETE_SECONDS s ($state); it stays booked, and is tried again"
      return 1
    fi
    pause "$STATE_SECONDS"
  done
}

let_go_of_the_rest() { # what an earlier zone still has
  local each
  for each in $(booked_zones); do
    if [ "$each" = "$zone" ]; then continue; fi
    look "$each"
    case $state in
      ABSENT) unbook "$each"; note "$name in $each is gone" ;;
      DELETING | UNKNOWN) ;;
      *) slice_delete "$each" >/dev/null 2>&1 || true ;; # tried again at the next look
    esac
  done
}

end_if_deleted() {
  [ "$created" = no ] || [ "$(cat "$memory/id" 2>/dev/null)" = "$id" ] || fail "$name was deleted or launched anew from another shell; this one ends"
}

deleted_elsewhere() {
  local code
  unbook "$zone"
  code=$(ended)
  if [ -n "$code" ]; then show_rest; fi
  case $code in
    "") ;;
    0) say "$name is done, and has deleted itself"; note "export: $store/$(basename "$run_dir")/export"; exit 0 ;;
    *) fail "$name: its run ended with exit code $code, and the slice has deleted itself; fix it and run the same command again: gcloud storage cat $(launch_folder)/log-0" ;;
  esac
  fail "$name in $zone was deleted, not preempted: nothing is asked for again; the same --create does"
}

delete_slice() {
  local each left=""
  [ "$created" = yes ] || wrong "$name: these machines were there before; nothing was made, so nothing is deleted"
  if [ -z "$store" ] && [ ! -f "$memory/fetched" ] && [ "$discard" = no ] && [ "$dry_run" = no ]; then
    look
    case $state in
      ACTIVE) wrong "$name: its run lies nowhere else; bring it here with --fetch $name, or add --discard" ;;
      UNKNOWN) fail "gcloud does not tell whether $name has a run ($reason); nothing is deleted" ;;
    esac
  fi
  if [ "$dry_run" = yes ]; then slice_delete "$zone"; return; fi
  rm -f "$memory/id" # whoever watches it ends, instead of asking for it again
  for each in $(booked_zones); do
    say "deleting $name in $each"
    let_go "$each" || left+=" $each"
  done
  [ -z "$left" ] || fail "$name: not gone in$left; run --delete $name again"
  forget
  note "nothing is booked under $name"
}

list_slices() { # what the project has booked with the launcher: name, zone, type, state, price class, age
  local now listed
  now=$(date +%s)
  listed=$(slice_list) || fail "what is booked cannot be listed (above)"
  grep -v -e '^,' -e '^$' <<<"$listed" | awk -F , -v now="$now" '
    function days(y, m, d) { if (m < 3) { y--; m += 12 } return 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m - 457) / 5) + d - 719469 }
    {
      split($6, t, /[-T:.Z]/)
      minutes = int((now - 86400 * days(t[1], t[2], t[3]) - 3600 * t[4] - 60 * t[5] - t[6]) / 60)
      age = minutes < 60 ? minutes " min" : (minutes < 2880 ? int(minutes / 60) " h" : int(minutes / 1440) " d")
      printf "%s  %s  %s  %s  %s  booked %s ago\n", $1, $2, $3, $4, $5, age
    }
    END { if (NR == 0) print "nothing is booked with the launcher in this project" }'
}
