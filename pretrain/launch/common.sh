# shellcheck shell=bash
# What every part says and how it fails. Written for bash 3.2 too: that is what a Mac has.

dry_run=no
exec 3>&1 # where a dry run prints, whoever captures stdout

say() { printf '\n== %s\n' "$*" >&2; }
note() { printf '%s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; } # the work failed
wrong() { printf 'error: %s\n' "$*" >&2; exit 2; } # the command is wrong

quoted() { # words as a shell reads them back
  local word line="" inner="'\\''"
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=@,+-]+$ ]]; then line+=" $word"; else line+=" '${word//\'/$inner}'"; fi
  done
  printf '%s' "${line# }"
}

call() { # runs a command; in a dry run prints it instead
  if [ "$dry_run" = yes ]; then printf '+ %s\n' "$(quoted "$@")" >&3; else "$@"; fi
}

limited() { # limited SECONDS COMMAND...: ends a program, and all that it started, after that time; exit code 124 then
  ( # of bash alone: a Mac has no timeout, and with an ssh that outlives its gcloud our pipe would never close
    set -m # each job is a process group
    exec 5>&2 2>/dev/null # bash tells of jobs that are killed
    "${@:2}" <&0 2>&5 5>&- &
    program=$!
    {
      sleep "$1"
      trap 'exit 0' TERM
      kill -TERM -- "-$program"
      sleep 5
      kill -KILL -- "-$program"
      exit 0
    } </dev/null >/dev/null 3>&- 5>&- & # no pipe: its sleep outlives it where the kill below comes while bash forks
    guard=$! code=0
    trap 'kill -TERM -- "-$program" "-$guard"; exit 130' INT TERM HUP
    wait "$program" || code=$?
    kill -TERM -- "-$guard" || true
    if wait "$guard"; then code=124; fi
    exit "$code"
  )
}

call_limited() { # limited, where the dry run leaves the limit out
  if [ "$dry_run" = yes ]; then call "${@:2}"; else limited "$@"; fi
}

pause() { if [ "$dry_run" = no ]; then sleep "$1"; fi; }

reason_in() { # reason_in TEXT: the line of gcloud's answer that has the reason
  grep -m 1 '^ERROR' <<<"$1" || grep -v '^[[:space:]]*$' <<<"$1" | tail -n 1
}
