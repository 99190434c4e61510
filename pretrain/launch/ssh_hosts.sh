# shellcheck shell=bash
# The provider of machines that are there already: a file with one ssh name ([USER@]HOST) a line, worker 0 first.
# Reads the global hosts_file.

SSH_SECONDS=${SSH_SECONDS:-120}

look() { state=ACTIVE; }

slice_addresses() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$hosts_file"; }

host_run() { # host_run WORKER COMMAND
  call_limited "$SSH_SECONDS" ssh -o BatchMode=yes -o ConnectTimeout=20 "$(address_of "$1")" "$2" </dev/null
}

host_copy() { # host_copy WORKER FILE PATH
  call_limited 1800 scp -q -o BatchMode=yes -o ConnectTimeout=20 "$2" "$(address_of "$1"):$3" </dev/null
}

address_of() { slice_addresses | sed -n "$(($1 + 1))p"; }
