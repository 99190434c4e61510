# shellcheck shell=bash
# The provider: Google Cloud TPU through queued resources. Every gcloud call of the launcher stands here; another provider
# is another file with these functions. Reads the globals name, zone, type, spot, create_flags and ssh_flags.

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
    tpu7x-*) wrong "--type $1: Google's TPU API does not make it: it takes Compute Engine or GKE (docs/launch.md); give v2-N, v3-N, v4-N, v5e-N, v5p-N or v6e-N" ;;
    *) wrong "--type $1: not a TPU type that queued resources know; give v2-N, v3-N, v4-N, v5e-N, v5p-N or v6e-N" ;;
  esac
}

hosts_of() { # how many hosts a slice has: one for 8 cores of v2 to v5p; v5e and v6e beyond 8 chips, one for 4
  local size=${1##*-}
  case $1 in v5e-* | v5litepod-* | v6e-*) if [ "$size" -gt 8 ]; then size=$((2 * size)); fi ;; esac
  echo $(((size + 7) / 8))
}

request() { # request VERB ZONE FLAGS...: a call about the queued resource
  call_limited "$SSH_SECONDS" gcloud compute tpus queued-resources "$1" "$name" --zone="$2" --quiet "${@:3}" </dev/null
}

slice_create() { # asks for the slice in `zone`; 1 with `reason` where that is refused
  local answer code=0 flag price=on-demand labels flags=()
  if [ "$spot" = yes ]; then flags+=(--spot) price=spot; fi
  labels=korean_pretrain=$name
  for flag in ${create_flags[@]+"${create_flags[@]}"}; do
    case $flag in
      --labels=*) labels+=,${flag#*=} ;; # gcloud takes the last --labels alone
      *) flags+=("$flag") ;;
    esac
    if [ "$flag" = --reserved ]; then price=reserved; fi
  done
  flags=(--async --node-id="$name" --accelerator-type="$(accelerator_type "$type")" --runtime-version="$(runtime_version "$type")"
    --valid-until-duration="$(wait_in_queue)m" --labels="$labels,korean_pretrain_price=$price" ${start_flag:+"$start_flag"} ${flags[@]+"${flags[@]}"})
  if [ "$dry_run" = yes ]; then request create "$zone" "${flags[@]}"; return; fi
  answer=$(request create "$zone" "${flags[@]}" 2>&1) || code=$?
  if [ $code = 0 ] || [ $code = 124 ] || no_network "$answer"; then return 0; fi # without an answer it may be booked: its state will tell
  reason=$(reason_in "$answer")
  return 1
}

look() { # look [ZONE]: sets `state` to that of the request: WAITING_FOR_RESOURCES, PROVISIONING, ACTIVE, SUSPENDED, FAILED, ...;
  # PREEMPTED where the node is gone though the request says ACTIVE; ABSENT; UNKNOWN, with `reason`, where nobody answers
  local answer
  if [ "$dry_run" = yes ]; then request describe "${1:-$zone}" --format='value(state.state)'; state=ACTIVE; return; fi
  if answer=$(request describe "${1:-$zone}" --format='value(state.state)' 2>&1); then
    state=$(tail -n 1 <<<"${answer:-UNKNOWN}")
    if [ "$state" = ACTIVE ]; then
      case $(node describe "${1:-$zone}" --format='value(state)' 2>/dev/null) in PREEMPTED | TERMINATED) state=PREEMPTED ;; esac
    fi
    return
  fi
  state=UNKNOWN reason=$(reason_in "$answer")
  case $answer in
    *NOT_FOUND*) state=ABSENT ;;
    *) end_if_lasting "$answer" ;;
  esac
}

why_failed() { # the reason of a FAILED request, which is gone with the request
  request describe "$zone" --format='value(state.failedData.error.message)' 2>/dev/null | tail -n 1
}

no_network() { # no_network ANSWER: whether nobody was asked; gcloud may advise to log in then, too
  case $1 in *ConnectionError* | *"Max retries"* | *"Failed to resolve"* | *"name resolution"* | *"Unable to find the server"*) return 0 ;; esac
  return 1
}

end_if_lasting() { # end_if_lasting ANSWER: fails where another try would be answered the same
  if no_network "$1"; then return; fi
  case $1 in
    *"active account"* | *"auth login"* | *UNAUTHENTICATED* | *Reauthentication*) fail "gcloud is not logged in ($(reason_in "$1")); run \`gcloud auth login\`" ;;
    *SERVICE_DISABLED* | *"has not been used in project"*) fail "$(reason_in "$1"); run \`gcloud services enable tpu.googleapis.com compute.googleapis.com\`" ;;
    *PERMISSION_DENIED*) fail "$(reason_in "$1"); your account needs the role TPU Admin in this project" ;;
  esac
}

slice_delete() { request delete "$1" --force --async; } # slice_delete ZONE

slice_list() { # name, zone, type, state, price class and time of creation of all in this project; without a name: not the launcher's
  limited "$SSH_SECONDS" gcloud compute tpus queued-resources list --zone=- --quiet --format="csv[no-heading](tpu.nodeSpec[0].node.labels.korean_pretrain,name.segment(3),\
tpu.nodeSpec[0].node.acceleratorType,state.state,tpu.nodeSpec[0].node.labels.korean_pretrain_price,createTime)" </dev/null
}

node() { # node VERB ZONE FLAGS...: a call about the TPU VM that the request brought
  call_limited "$SSH_SECONDS" gcloud compute tpus tpu-vm "$1" "$name" --zone="$2" --quiet "${@:3}" </dev/null
}

slice_addresses() { # the internal address of every worker, worker 0 first
  if [ "$dry_run" = yes ]; then
    node describe "$zone" --format='value(networkEndpoints[].ipAddress)'
    seq -f WORKER_%g 0 $(($(hosts_of "$type") - 1))
    return
  fi
  node describe "$zone" --format='value(networkEndpoints[].ipAddress)' | tr -s ';, ' '\n' | sed '/^$/d'
}

host_feed() { # host_feed WORKER COMMAND: with our stdin; its output and exit code; 124 and 255 where the worker does not answer
  without_chatter call_limited "$SSH_SECONDS" gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker="$1" --quiet \
    ${ssh_flags[@]+"${ssh_flags[@]}"} "${SSH_OPTIONS[@]/#/--ssh-flag=}" --command="$2"
}

host_copy() { # host_copy WORKER FILE PATH: a local file to a path below the worker's home
  without_chatter call_limited 1800 gcloud compute tpus tpu-vm scp "$2" "$name:$3" --zone="$zone" --worker="$1" --quiet \
    ${ssh_flags[@]+"${ssh_flags[@]/#--ssh-flag=/--scp-flag=}"} "${SSH_OPTIONS[@]/#/--scp-flag=}" </dev/null
}

CHATTER='^(Using (ssh|scp) batch size|S(SH|CP): Attempting to connect|SSH key found in project metadata|Existing host keys found|Propagating SSH public key|Warning: Permanently added|WARNING: *$|To increase the performance of the tunnel|please see https://cloud.google.com/iap/docs/using-tcp-forwarding)'

without_chatter() { # runs a command, and leaves out of its stderr what gcloud and ssh say of every connection
  { "$@" 2>&1 >&4 4>&- | { grep -vE "$CHATTER" >&2 || true; } 4>&-; } 4>&1
}
