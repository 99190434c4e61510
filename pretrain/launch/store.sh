# shellcheck shell=bash
# The store: where a run outlives its slice. A bucket, or a folder that all hosts see. Records that are needed are brought from it
# to every host's disk, checkpoints to that of worker 0, which alone reads and writes them and brings back what is new.
# Reads STORE, WORKER, run_dir, state.

STORE_SECONDS=${STORE_SECONDS:-60}
TRAINING_ROWS='-train\.array_record-' # most of the records; pull_records brings those of the phases that are still to be trained
LEFT_OUT='^(.*/)?\.[^/]*$|^(corpus|evaluation)/|^examples/.*'$TRAINING_ROWS # of what is fetched, and of what may be deleted there

in_store() { printf '%s/%s' "$STORE" "$(basename "$run_dir")"; }

check_store() { # writable, answering, and for a folder: the same one on all hosts
  local code=0 began=$SECONDS mark
  case $STORE in
    "") return 0 ;;
    gs://*)
      command -v gcloud >/dev/null || fail "gcloud is not installed on this host, and $STORE is reached with it: https://cloud.google.com/sdk/docs/install"
      printf '%s\n' "$WORKER" | limited "$STORE_SECONDS" gcloud storage cp - "$(in_store)/.worker-$WORKER" >/dev/null 2>&1 || code=$?
      [ $code != 124 ] || fail "$STORE does not answer within $STORE_SECONDS s from this host"
      [ $code = 0 ] || fail "$STORE cannot be written from this host; give its service account the role Storage Object Admin"
      ;;
    *)
      mark=$(in_store)/.mark
      if [ "$WORKER" = 0 ]; then
        limited "$STORE_SECONDS" mkdir -p "$(in_store)/checkpoints" || fail "$STORE cannot be written from worker 0"
        echo "$COORDINATOR" >"$mark"
      fi
      until [ "$(limited "$STORE_SECONDS" cat "$mark" 2>/dev/null || true)" = "$COORDINATOR" ]; do
        [ $((SECONDS - began)) -lt "$STORE_SECONDS" ] ||
          fail "$STORE on worker $WORKER is not the folder that worker 0 sees; mount the same one on all hosts"
        sleep 1
      done
      ;;
  esac
}

pull() { # what the store has of this run -> the local disk, where nothing newer is written over
  local listed left_out="$LEFT_OUT"
  if [ "$WORKER" != 0 ]; then left_out+='|^(checkpoints|metrics|export)/'; fi
  mkdir -p "$run_dir"
  case $STORE in
    "") ;;
    gs://*)
      if listed=$(limited "$STORE_SECONDS" gcloud storage ls "$(in_store)/" 2>&1); then
        if [ "$WORKER" = 0 ]; then give_way; fi # and remembers what the store has
        gcloud storage rsync -r --no-clobber "$(in_store)" "$run_dir" --exclude="$left_out" || fail "$(in_store) could not be copied here"
      else
        case $listed in *"matched no objects"*) ;; *) fail "$(in_store) cannot be listed: $listed" ;; esac
      fi
      ;;
    *)
      if [ ! -L "$run_dir/checkpoints" ]; then # one folder, which is there before and after any host
        [ ! -e "$run_dir/checkpoints" ] || fail "$PWD/$run_dir/checkpoints: holds checkpoints from before --store; move them to $(in_store)"
        ln -s "$(in_store)/checkpoints" "$run_dir/checkpoints"
      fi
      pull_folder
      ;;
  esac
}

pull_records() { # pull_records FOLDER...: training rows of these folders below examples (. is itself); what is here of others stays
  local each part
  for each in "$@"; do
    part=examples
    if [ "$each" != . ]; then part=examples/$each; fi
    case $STORE in
      "") ;;
      gs://*)
        gcloud storage rsync -r --no-clobber "$(in_store)/$part" "$run_dir/$part" --exclude='^[0-9]+/' ||
          fail "$(in_store)/$part could not be copied here"
        ;;
      *)
        [ -d "$(in_store)/$part" ] || continue # prepared here, and not brought there yet
        find "$(in_store)/$part" -maxdepth 1 -name "*${TRAINING_ROWS//\\/}*" -exec cp -u -t "$run_dir/$part" {} +
        ;;
    esac
  done
}

steps_done() { # by the newest checkpoint, here or in the store
  local here there=0
  here=$(step_in "$run_dir")
  case $STORE in gs://*) there=$(step_in_store) || return 1 ;; esac
  echo $((here > there ? here : there))
}

give_way() { # where the store has a later checkpoint, as after a run on another machine, what is here of an earlier one goes
  local there
  there=$(step_in_store)
  if [ "$there" -gt "$(step_in "$run_dir")" ]; then rm -rf "$run_dir"/{manifest.json,checkpoints,metrics,export}; fi
  echo "$there" >"$(seen_steps)"
}

step_in_store() { # the newest step that the bucket has, 0 for none
  local said
  if said=$(limited "$STORE_SECONDS" gcloud storage cat "$(in_store)/checkpoints/committed.json" 2>&1); then
    newest_step <<<"$said"
  else
    case $said in *"matched no objects"*) echo 0 ;; *) fail "$(in_store)/checkpoints/committed.json cannot be read: $said" ;; esac
  fi
}

step_in() { if [ -f "$1/checkpoints/committed.json" ]; then newest_step <"$1/checkpoints/committed.json"; else echo 0; fi; }

newest_step() { sed -n 's/.*"newest_step": *\([0-9]*\).*/\1/p'; }

seen_steps() { printf '%s/.%s.seen' "$(dirname "$run_dir")" "$(basename "$run_dir")"; } # what the store has by this machine's doing

nobody_else() { # whether the store has what this machine brought or fetched, and nobody brought more since
  local there
  there=$(step_in_store) || return 1
  case " 0 $(cat "$(seen_steps)" 2>/dev/null) " in # 0: where there is none, none is lost
    *" $there "*) ;;
    *)
      note "error: $(in_store) has step $there, which another machine brought there: it trains this run, too; stop one of the two, and start this one again to go on from the store"
      return 1
      ;;
  esac
}

pull_folder() {
  local part
  for part in vocabulary metrics; do
    if [ -d "$(in_store)/$part" ]; then mkdir -p "$run_dir/$part"; cp -Ru "$(in_store)/$part/." "$run_dir/$part/"; fi
  done
  if [ -d "$(in_store)/examples" ]; then
    mkdir -p "$run_dir/examples"
    (here=$(cd "$run_dir/examples" && pwd) && cd "$(in_store)/examples" &&
      find . -type f ! -name "*${TRAINING_ROWS//\\/}*" -exec cp -u --parents -t "$here" {} +)
  fi
  if [ -f "$(in_store)/manifest.json" ]; then cp "$(in_store)/manifest.json" "$run_dir/"; fi # last: it says that the rest is whole
}

wait_for_records() {
  note "waiting for worker 0 to prepare the records"
  until records_ready; do
    sleep "${RECORDS_SECONDS:-30}"
    case $STORE in gs://*) pull ;; ?*) pull_folder ;; esac
  done
}

push() { # worker 0: what is new -> the store. Nothing is removed before what replaces it is there
  local still part step
  still=$(dirname "$run_dir")/.still
  case $STORE in
    "") return 0 ;;
    gs://*)
      nobody_else || return 1
      # A still picture: links to what is replaced whole, copies of what grows. Without all of it nothing is brought or removed.
      rm -rf "$still" && mkdir -p "$still" || return 1
      for part in "$run_dir"/*; do
        case ${part##*/} in
          corpus) ;;
          metrics) cp -a "$part" "$still/" || return 1 ;;
          *) cp -al "$part" "$still/" || return 1 ;;
        esac
      done
      find "$still" -name '*orbax-checkpoint-tmp*' -prune -exec rm -rf {} +
      gcloud storage rsync -r "$still" "$(in_store)" --exclude='^(.*/)?(committed|manifest)\.json$' >/dev/null 2>&1 || return 1
      step=$(step_in "$still")
      echo "$(cat "$(seen_steps)" 2>/dev/null) $step" >"$(seen_steps)" # the one or the other, wherever this is killed
      gcloud storage rsync -r --delete-unmatched-destination-objects "$still" "$(in_store)" --exclude="$LEFT_OUT" >/dev/null 2>&1 || return 1
      echo "$step" >"$(seen_steps)"
      ;;
    *) # manifest.json last; checkpoints are there already
      for part in vocabulary examples metrics export; do
        if [ -d "$run_dir/$part" ]; then mkdir -p "$(in_store)/$part"; cp -Ru "$run_dir/$part/." "$(in_store)/$part/"; fi
      done
      if [ -f "$run_dir/manifest.json" ]; then cp "$run_dir/manifest.json" "$(in_store)/"; fi
      ;;
  esac
}
