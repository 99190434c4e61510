#!/usr/bin/env bash
# host_status.sh BYTES RUN_DIR: what the worker on this host does, in one line, then its log from that byte on.
state=runs/.host
pid=$(cat $state/pid 2>/dev/null)
alive=no
if [ -n "$pid" ] && grep -qs on_host.sh "/proc/$pid/cmdline"; then alive=yes; fi
exit_code=$(cat $state/exit 2>/dev/null)
if [ $alive = yes ]; then exit_code=""; fi
bytes=$(stat -c %s $state/log 2>/dev/null || echo 0)
quiet=$(($(date +%s) - $(stat -c %Y $state/log 2>/dev/null || date +%s)))
step=$(sed -n 's/.*"newest_step": *\([0-9]*\).*/\1/p' "$2/checkpoints/committed.json" 2>/dev/null)
echo "phase=$(cat $state/phase 2>/dev/null || echo starting) alive=$alive exit=$exit_code quiet=$quiet step=${step:-0} bytes=$bytes"
if [ "$bytes" -gt "$1" ]; then tail -c "+$(($1 + 1))" $state/log | head -c $((bytes - $1)); fi
