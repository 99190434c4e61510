# shellcheck shell=bash
# What is looked at before anything is booked: a slice costs money from its first minute.

BOOT_DISK_GB=${BOOT_DISK_GB:-100} # of a TPU VM
RUN_GB=25 # the image, .venv/, compiled programs, and checkpoints: 1.3 GB each of a base model
BUCKET_SECONDS=${BUCKET_SECONDS:-30}

check_command() {
  if [ -n "$hosts_file" ]; then
    [ -r "$hosts_file" ] || wrong "--hosts $hosts_file: no such file; write one ssh name ([USER@]HOST) a line, worker 0 first"
    [ -n "$(slice_addresses)" ] || wrong "--hosts $hosts_file: holds no host; write one ssh name ([USER@]HOST) a line"
    hosts_file=$(cd "$(dirname "$hosts_file")" && pwd)/$(basename "$hosts_file")
    return_if_unset --type "$type"
    return_if_unset --zone "$zone"
    return_if_unset --create-flag "${create_flags[*]-}"
    [ "$(slice_addresses | grep -c .)" = 1 ] || check_common_place "--hosts $hosts_file"
    case $store in
      "" | /*) ;;
      gs://*) need_gcloud "" ;;
      *) wrong "--store $store: give gs://BUCKET/FOLDER, or a folder that all hosts see by its whole path" ;;
    esac
  else
    [ -n "$type" ] || wrong "--create needs --type, as in --type v3-8"
    [ -n "$zone" ] || wrong "--create needs --zone, as in --zone us-central1-a; give several to try them in turn"
    runtime_version "$type" >/dev/null
    [[ $type =~ -[0-9]+$ ]] || wrong "--type $type: give generation and size, as in v3-8"
    [ "$(hosts_of "$type")" = 1 ] || check_common_place "--type $type"
    need_gcloud ", or give --hosts FILE"
    case $store in "" | gs://*) ;; *) wrong "--store $store: a slice keeps its run in a bucket; give gs://BUCKET/FOLDER" ;; esac
    if [ "$spot" = yes ] && [ -z "$store" ]; then
      wrong "--spot needs --store gs://BUCKET/FOLDER: a preempted slice is gone with its disk, checkpoints included"
    fi
  fi
  [[ ${wait_minutes:-0} =~ ^[0-9]+$ ]] || wrong "--wait $wait_minutes: give minutes, as in --wait 30"
  case $run_dir in /* | *://* | *..*) wrong "--run-dir $run_dir: on the hosts it is a folder below the checkout; name the lasting place with --store" ;; esac
  [ ${#job[@]} -gt 0 ] || wrong "RECIPE is missing: configs/NAME.py or NAME, and its overrides after it"
  check_unattended
  local path=configs/${recipe#configs/}
  code_files | grep -xF -e "$recipe" -e "${path%.py}.py" >/dev/null ||
    wrong "$recipe: no such recipe below $root; a recipe travels with the checkout, so it lies in configs/"
}

check_common_place() { # check_common_place WHAT: the records that worker 0 makes must reach the others
  [ -n "$store" ] || records_ready ||
    wrong "$1: has several hosts, which read the same records: give --store gs://BUCKET/FOLDER, or prepare here first (python -m data_pipeline prepare $recipe ...; its records go along)"
}

need_gcloud() { # need_gcloud OR_WHAT
  [ "$dry_run" = yes ] || command -v gcloud >/dev/null || wrong "gcloud is not installed: https://cloud.google.com/sdk/docs/install$1"
}

return_if_unset() { [ -z "$2" ] || wrong "$1 goes with --create; with --hosts the machines are there"; }

check_before_booking() {
  say "before booking"
  check_code
  check_job
  case $store in gs://*) check_bucket ;; esac
  check_sources
  check_disk
  check_fit
}

check_job() { # the recipe and its overrides, as the hosts will read them
  extras=""
  if [ ! -x "$python" ]; then note "recipe: not read here, for there is no .venv/ (./run_tpu.sh --install-only makes it)"; return; fi
  extras=$(cd "$root" && "$python" -m pretrain.commands.needs "$recipe" ${training[@]+"${training[@]}"} ${type:+--on "${type/v5litepod-/v5e-}"}) || exit $?
  (cd "$root" && "$python" -m data_pipeline.commands.sources "$recipe" ${data[@]+"${data[@]}"}) >/dev/null || exit $?
  if [ "$unattended" = yes ]; then
    check_no_keys
  elif grep -x wandb <<<"$extras" >/dev/null && [ -z "${WANDB_API_KEY:-}${WANDB_MODE:-}" ]; then
    wrong "--training.wandb-project is set, but WANDB_API_KEY is not: set it in this shell, from which it goes to the hosts over ssh (or WANDB_MODE=offline)"
  fi
  note "recipe: $recipe is read${extras:+, and wants the extras $(in_one_line "$extras")}"
}

check_sources() { # records travel, of corpora only what is code: the sample
  local globs each code match
  if records_ready; then note "records: $run_dir is prepared here and goes along"; return; fi
  if [ -n "$hosts_file" ]; then return; fi # which may have text of their own
  if [ -x "$python" ]; then
    globs=$(cd "$root" && "$python" -m data_pipeline.commands.sources "$recipe" ${data[@]+"${data[@]}"}) || exit $?
  else
    globs=$(globs_of_flags ${data[@]+"${data[@]}"})
  fi
  code=$(code_files)
  while IFS= read -r each; do
    case $each in "" | *://*) continue ;; esac
    match=$(compgen -G "$each" | head -n 1 || true)
    match=${match#"$root"/}
    if [ -n "$match" ] && grep -e "^${match//./[.]}" >/dev/null <<<"$code"; then continue; fi
    if records_in_store; then note "records: in $store"; return; fi
    if [ "$dry_run" = yes ] && [ -n "$store" ]; then return; fi # which asked nobody
    wrong "$each $([ -n "$match" ] && echo "lies on this machine and the slice cannot read it" || echo "is not on this machine, nor on a new slice"): prepare here first (python -m data_pipeline prepare $recipe ...; its records go along), or give gs://"
  done <<<"$globs"
}

globs_of_flags() { # of --source FORMAT:GLOB, where no Python reads them
  local each
  for each in "$@"; do
    each=${each#--*=}
    case $each in *:*) printf '%s\n' "${each#*:}" ;; esac
  done
}

records_in_store() {
  case $store in gs://*) ;; *) return 1 ;; esac
  call_limited "$BUCKET_SECONDS" gcloud storage cat "$store/$(basename "$run_dir")/manifest.json" </dev/null 2>/dev/null | grep '"prepare"' >/dev/null
}

check_disk() {
  local records=0 needed # in KB
  if records_ready; then
    records=$(du -sk "$run_dir/examples" | cut -f1)
  elif [ -n "$store" ] && [ "$dry_run" = no ]; then
    case $store in
      gs://*) records=$(limited "$BUCKET_SECONDS" gcloud storage du --summarize "$store/$(basename "$run_dir")/examples" </dev/null 2>/dev/null | awk '{ print int($1 / 1000) }') || records=0 ;;
    esac
  fi
  needed=$((RUN_GB + 2 * ${records:-0} / 1000000))
  if [ -z "$hosts_file" ] && [ $needed -gt "$BOOT_DISK_GB" ]; then
    fail "a TPU VM's boot disk has $BOOT_DISK_GB GB, and this run needs $needed ($((records / 1000000)) of records); prepare fewer, use --hosts with larger disks, or ask for a larger one (--create-flag=--boot-disk=...) and set BOOT_DISK_GB to its size"
  fi
  note "disk: $needed GB needed"
}

check_fit() { # minutes of compiling, once for a job and a type
  local code=0 flags=(--on "${type/v5litepod-/v5e-}")
  if [ -n "$hosts_file" ] || [ "$plan" = no ] || ! compgen -G "$venv/lib/python3.*/site-packages/libtpu/libtpu.so" >/dev/null; then return; fi
  if [ "$(cat "$memory/fits" 2>/dev/null)" = "$type ${job[*]}" ]; then return; fi
  if records_ready; then flags+=(--run-dir "$PWD/$run_dir"); fi
  note "does it fit a $type? Compiling it here, which takes minutes; --no-plan leaves it out"
  (cd "$root" && call "$python" -m pretrain plan "$recipe" ${training[@]+"${training[@]}"} "${flags[@]}") >&2 || code=$?
  case $code in
    0) if [ "$dry_run" = no ]; then mkdir -p "$memory"; printf '%s\n' "$type ${job[*]}" >"$memory/fits"; fi ;;
    1) fail "$recipe does not fit a $type (above)" ;;
    2) note "whether it fits is not known (above)" ;;
    *) exit $code ;;
  esac
}

check_bucket() { # region, and that it can be written; an unreachable bucket must not hang the run later
  local bucket=${store#gs://} location code=0 each probe
  bucket=gs://${bucket%%/*}
  probe=$store/.write-test
  if [ "$dry_run" = yes ]; then
    call gcloud storage buckets describe "$bucket" --format='value(location)'
    call gcloud storage cp - "$probe"
    call gcloud storage rm "$probe"
    return
  fi
  location=$(limited "$BUCKET_SECONDS" gcloud storage buckets describe "$bucket" --format='value(location)') || code=$?
  [ $code != 124 ] || fail "$bucket does not answer within $BUCKET_SECONDS s; see to the network and to \`gcloud auth login\`"
  [ $code = 0 ] || wrong "$bucket cannot be looked at (above); see to its name and to your permission storage.buckets.get"
  location=$(tr '[:upper:]' '[:lower:]' <<<"$location")
  for each in ${zones[@]+"${zones[@]}"}; do
    near "$location" "$each" || wrong "$bucket is in $location, far from zone $each: every checkpoint would cross regions; make a bucket in ${each%-*}, or choose a zone there"
  done
  printf 'ok\n' | limited "$BUCKET_SECONDS" gcloud storage cp - "$probe" >/dev/null 2>&1 || code=$?
  [ $code != 124 ] || fail "$store does not take a file within $BUCKET_SECONDS s; see to the network"
  [ $code = 0 ] || wrong "$store cannot be written; your account needs storage.objects.create on $bucket"
  limited "$BUCKET_SECONDS" gcloud storage rm "$probe" >/dev/null 2>&1 || note "warning: $probe could not be removed"
  note "bucket: $bucket in $location, written to"
  if [ -z "$hosts_file" ]; then check_service_account "$bucket"; fi
}

check_service_account() { # check_service_account BUCKET: as which the hosts write; a warning alone, for a right may come by other ways
  local flag account="" project roles
  for flag in ${create_flags[@]+"${create_flags[@]}"}; do case $flag in --service-account=*) account=${flag#*=} ;; esac; done
  project=$(ask_gcloud config get-value project) || return 0
  if [ -z "$account" ]; then
    account=$(ask_gcloud projects describe "$project" --format='value(projectNumber)') || return 0
    account+=-compute@developer.gserviceaccount.com
  fi
  roles=$(ask_gcloud projects get-iam-policy "$project" --flatten=bindings --filter="bindings.members:$account" --format='value(bindings.role)') || roles=""
  if [ "$unattended" = yes ] && [ "$delete_when_done$delete_on_failure" != nono ] && ! grep -E 'roles/(owner|editor|tpu\.admin)' <<<"$roles" >/dev/null; then
    note "warning: nothing seen allows $account to delete its own slice; if it may not, the bill goes on: gcloud projects add-iam-policy-binding $project --member=serviceAccount:$account --role=roles/tpu.admin"
  fi
  if grep -E 'roles/(owner|editor|storage\.)' <<<"$roles" >/dev/null || ask_gcloud storage buckets get-iam-policy "$1" | grep -F "$account" >/dev/null; then return; fi
  note "warning: nothing seen allows $account, as which the hosts write, to use $1; if it may not, the run ends there: gcloud storage buckets add-iam-policy-binding $1 --member=serviceAccount:$account --role=roles/storage.objectAdmin"
}

ask_gcloud() { limited "$BUCKET_SECONDS" gcloud "$@" </dev/null 2>/dev/null; }

near() { # near LOCATION ZONE: the same region, or a multi-region around it; dual regions (nam4, eur4) are taken as near
  case $1 in
    us) [[ $2 == us-* ]] ;;
    eu) [[ $2 == europe-* ]] ;;
    asia) [[ $2 == asia-* ]] ;;
    *-*) [[ $2 == "$1"-* ]] ;;
  esac
}
