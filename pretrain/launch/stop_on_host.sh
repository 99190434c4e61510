#!/usr/bin/env bash
# Ends what runs on this host: a signal first, upon which training saves; by force after STOP_SECONDS.
state=runs/.host
pid=$(cat $state/pid 2>/dev/null)
if [ -z "$pid" ] || ! grep -qs on_host.sh "/proc/$pid/cmdline"; then exit 0; fi
touch $state/stopped
kill -TERM -- "-$pid"
for _ in $(seq "${STOP_SECONDS:-100}"); do
  grep -qs on_host.sh "/proc/$pid/cmdline" || exit 0
  sleep 1
done
echo "worker did not end within ${STOP_SECONDS:-100} s: ended by force" >&2
kill -KILL -- "-$pid"
echo stopped >$state/exit
