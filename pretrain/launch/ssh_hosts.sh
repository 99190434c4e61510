# shellcheck shell=bash
# The provider of machines that are there already: a file with one ssh name ([USER@]HOST) a line, worker 0 first.
# Reads the globals hosts_file and ssh_flags.

SSH_SECONDS=${SSH_SECONDS:-120}

look() { state=ACTIVE; }

slice_addresses() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$hosts_file"; }

host_feed() { # host_feed WORKER COMMAND: with our stdin
  call_limited "$SSH_SECONDS" ssh ${ssh_flags[@]+"${ssh_flags[@]}"} "${SSH_OPTIONS[@]}" "$(address_of "$1")" "$2"
}

host_copy() { # host_copy WORKER FILE PATH
  call_limited 1800 scp -q ${ssh_flags[@]+"${ssh_flags[@]}"} "${SSH_OPTIONS[@]}" "$2" "$(address_of "$1"):$3" </dev/null
}

address_of() { slice_addresses | sed -n "$(($1 + 1))p"; }
