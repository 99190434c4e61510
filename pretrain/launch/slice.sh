# shellcheck shell=bash
# The slice: asked for, waited for, asked for again in another zone or after a preemption, deleted.

STATE_SECONDS=${STATE_SECONDS:-20}     # between two looks at its state
REFUSED_SECONDS=${REFUSED_SECONDS:-300} # before zones that all refused are asked again after a preemption
preempted=no

ensure_slice() { # returns when the slice is ACTIVE; made by us, it is made again as often as it takes
  local state="" before="" asked=$SECONDS refused=0 unknown=0 reason
  if [ "$dry_run" = yes ]; then [ "$created" = no ] || slice_create; slice_state >/dev/null; return; fi
  while :; do
    state=$(slice_state)
    if [ "$state" != "$before" ] && [ "$state" != ACTIVE ]; then note "$name in ${zone:-this list}: $state"; fi
    case $state in
      ACTIVE) return ;;
      ABSENT)
        if reason=$(slice_create 2>&1); then
          asked=$SECONDS
          note "$name: asked for a $type in $zone"
        else
          refused=$((refused + 1))
          note "$zone refuses: $(printf '%s' "$reason" | grep -v '^[[:space:]]*$' | tail -n 1)"
          if [ $refused -ge ${#zones[@]} ]; then
            [ $preempted = yes ] || fail "no zone gives a $type (${zones[*]}; reasons above); ask for quota, give other zones, or try --spot"
            refused=0
            pause "$REFUSED_SECONDS"
          fi
          next_zone
        fi
        ;;
      SUSPENDED | FAILED)
        if [ "$state" = FAILED ]; then refused=$((refused + 1)); else preempted=yes; fi
        slice_delete || note "$name: not deleted yet"
        if [ "$state" = FAILED ]; then
          [ $refused -lt ${#zones[@]} ] || [ $preempted = yes ] || fail "$name: the request failed in every zone (${zones[*]}); see \`gcloud compute tpus queued-resources describe $name --zone=$zone\`"
          next_zone
        fi
        ;;
      UNKNOWN)
        unknown=$((unknown + 1))
        [ $unknown -lt 10 ] || fail "gcloud does not tell the state of $name (above); see to the network and to \`gcloud auth login\`, then run --attach $name"
        ;;
      SUSPENDING | DELETING) ;;
      *) # in the queue
        if [ ${#zones[@]} -gt 1 ] && [ $((SECONDS - asked)) -ge $((60 * ${wait_minutes:-15})) ]; then
          note "$zone: nothing within ${wait_minutes:-15} minutes"
          slice_delete || note "$name: not deleted yet"
          next_zone
          asked=$SECONDS
        fi
        ;;
    esac
    before=$state
    pause "$STATE_SECONDS"
  done
}

next_zone() { # the one after `zone`, round and round
  local each found=no
  for each in "${zones[@]}" "${zones[0]}"; do
    if [ $found = yes ]; then zone=$each; break; fi
    if [ "$each" = "$zone" ]; then found=yes; fi
  done
  remember
}

delete_slice() {
  [ "$created" = yes ] || wrong "$name: these machines were there before; nothing was made, so nothing is deleted"
  if [ -z "$store" ] && [ ! -f "$memory/fetched" ] && [ "$discard" = no ] && [ "$(slice_state)" = ACTIVE ]; then
    wrong "$name: its run lies nowhere else; bring it here with --fetch $name, or add --discard"
  fi
  say "deleting $name in $zone"
  slice_delete
  if [ "$dry_run" = no ]; then rm -rf "$memory"; fi
}
