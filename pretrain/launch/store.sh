# shellcheck shell=bash
# The store: where a run outlives its slice. Records and checkpoints are brought from it to the local disk; worker 0 brings
# back what is new. A bucket (one host), or a folder that all hosts see. Reads STORE, WORKER, run_dir, state.

STORE_SECONDS=${STORE_SECONDS:-60}

in_store() { printf '%s/%s' "$STORE" "$(basename "$run_dir")"; }

check_store() { # writable, answering, and for a folder: the same one on all hosts
  local code=0 began=$SECONDS mark
  case $STORE in
    "") return 0 ;;
    gs://*)
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
  local listed
  mkdir -p "$run_dir"
  case $STORE in
    "") ;;
    gs://*)
      if listed=$(limited "$STORE_SECONDS" gcloud storage ls "$(in_store)/" 2>&1); then
        gcloud storage rsync -r --no-clobber "$(in_store)" "$run_dir" --exclude='^(.*/)?\.[^/]*$' || fail "$(in_store) could not be copied here"
      else
        case $listed in *"matched no objects"*) ;; *) fail "$(in_store) cannot be listed: $listed" ;; esac
      fi
      ;;
    *)
      if [ ! -L "$run_dir/checkpoints" ]; then # one folder, which all hosts write together
        [ ! -e "$run_dir/checkpoints" ] || fail "$PWD/$run_dir/checkpoints: holds checkpoints from before --store; move them to $(in_store)"
        ln -s "$(in_store)/checkpoints" "$run_dir/checkpoints"
      fi
      pull_folder
      ;;
  esac
}

pull_folder() {
  local part
  for part in vocabulary examples metrics; do
    if [ -d "$(in_store)/$part" ]; then mkdir -p "$run_dir/$part"; cp -Ru "$(in_store)/$part/." "$run_dir/$part/"; fi
  done
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
  local still=runs/.host/still
  case $STORE in
    "") return 0 ;;
    gs://*)
      # A still picture, of links: files are replaced whole, so it cannot change while it is copied.
      rm -rf $still
      mkdir -p $still
      find "$run_dir" -mindepth 1 -maxdepth 1 ! -name corpus ! -name '.*' -exec cp -al {} $still/ \;
      find $still -name '*orbax-checkpoint-tmp*' -prune -exec rm -rf {} +
      gcloud storage rsync -r $still "$(in_store)" --exclude='^(.*/)?(committed|manifest)\.json$' >/dev/null 2>&1 &&
        gcloud storage rsync -r --delete-unmatched-destination-objects $still "$(in_store)" --exclude='^(.*/)?\.[^/]*$' >/dev/null 2>&1
      ;;
    *) # manifest.json last; checkpoints are there already
      local part
      for part in vocabulary examples metrics export; do
        if [ -d "$run_dir/$part" ]; then mkdir -p "$(in_store)/$part"; cp -Ru "$run_dir/$part/." "$(in_store)/$part/"; fi
      done
      if [ -f "$run_dir/manifest.json" ]; then cp "$run_dir/manifest.json" "$(in_store)/"; fi
      ;;
  esac
}
