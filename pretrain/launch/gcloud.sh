# shellcheck shell=bash
# The provider: Google Cloud TPU through queued resources. Every gcloud call of the launcher stands here; another provider
# is another file with these functions. Reads the globals name, zone, type and spot.

SSH_SECONDS=${SSH_SECONDS:-120}

accelerator_type() { # what gcloud calls a slice: v5e-8 is v5litepod-8
  case $1 in v5e-*) echo "v5litepod-${1#v5e-}" ;; *) echo "$1" ;; esac
}

runtime_version() { # https://cloud.google.com/tpu/docs/runtimes: the image for JAX on each generation
  case $1 in
    v5e-* | v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v6e-*) echo v2-alpha-tpuv6e ;;
    v2-* | v3-* | v4-*) echo tpu-ubuntu2204-base ;;
    *) wrong "--type $1: not a TPU type that queued resources know; give v2-N, v3-N, v4-N, v5e-N, v5p-N or v6e-N" ;;
  esac
}

hosts_of() { # how many hosts a slice has: one for 8 cores of v2 to v5p; v5e and v6e beyond 8 chips, one for 4
  local size=${1##*-}
  case $1 in v5e-* | v5litepod-* | v6e-*) if [ "$size" -gt 8 ]; then size=$((2 * size)); fi ;; esac
  echo $(((size + 7) / 8))
}

queued() { # queued VERB FLAGS...: a call about the queued resource
  local verb=$1
  shift
  call gcloud compute tpus queued-resources "$verb" "$name" --zone="$zone" --quiet "$@"
}

slice_create() { # asks for the slice; prints the refusal on stderr
  local flags=(--node-id="$name" --accelerator-type="$(accelerator_type "$type")" --runtime-version="$(runtime_version "$type")")
  if [ "$spot" = yes ]; then flags+=(--spot); fi
  queued create --async "${flags[@]}"
}

slice_state() { # WAITING_FOR_RESOURCES, PROVISIONING, ACTIVE, SUSPENDED, FAILED, ...; ABSENT; UNKNOWN where nobody answers
  local answer
  if [ "$dry_run" = yes ]; then queued describe --format='value(state.state)'; echo ACTIVE; return; fi
  if answer=$(limited "$SSH_SECONDS" gcloud compute tpus queued-resources describe "$name" --zone="$zone" --quiet \
    --format='value(state.state)' 2>&1); then
    echo "${answer:-UNKNOWN}" | tail -n 1
  else
    case $answer in *NOT_FOUND* | *"not found"*) echo ABSENT ;; *) note "$answer"; echo UNKNOWN ;; esac
  fi
}

slice_delete() { queued delete --force; }

slice_addresses() { # the internal address of every worker, worker 0 first
  if [ "$dry_run" = yes ]; then
    call gcloud compute tpus tpu-vm describe "$name" --zone="$zone" --format='value(networkEndpoints[].ipAddress)'
    seq -f WORKER_%g 0 $(($(hosts_of "$type") - 1))
    return
  fi
  limited "$SSH_SECONDS" gcloud compute tpus tpu-vm describe "$name" --zone="$zone" --quiet \
    --format='value(networkEndpoints[].ipAddress)' | tr -s ';, ' '\n' | sed '/^$/d'
}

host_run() { # host_run WORKER COMMAND: its output and exit code; 124 and 255 where the worker does not answer
  call_limited "$SSH_SECONDS" gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker="$1" --quiet \
    --ssh-flag=-oConnectTimeout=20 --command="$2" </dev/null
}

host_copy() { # host_copy WORKER FILE PATH: a local file to a path below the worker's home
  call_limited 1800 gcloud compute tpus tpu-vm scp "$2" "$name:$3" --zone="$zone" --worker="$1" --quiet </dev/null
}
