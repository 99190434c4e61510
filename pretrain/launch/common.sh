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

limited() { # limited SECONDS COMMAND...: ends a program that takes longer, with exit code 124
  local seconds=$1 code=0
  shift
  if command -v timeout >/dev/null; then
    timeout -k 5 "$seconds" "$@" || code=$?
  else # a Mac has no timeout, but perl
    perl -e 'alarm shift; exec @ARGV' "$seconds" "$@" || code=$?
    if [ $code = 142 ]; then code=124; fi
  fi
  return $code
}

call_limited() { # limited, where the dry run leaves the limit out
  if [ "$dry_run" = yes ]; then call "${@:2}"; else limited "$@"; fi
}

pause() { if [ "$dry_run" = no ]; then sleep "$1"; fi; }
