# shellcheck shell=bash
# What the launcher remembers of a slice between commands and between shells: runs/.launch/NAME/.
#   slice   its type, price, zones and how it is watched
#   job     RECIPE and its overrides, one a line
#   booked  the zones in which a request of this name may be; the bill
#   id      of the shell that watches; one whose id is not there any more ends: --delete removes it first

FIELDS=(zone type spot store wait_minutes hosts_file created delete_when_done delete_on_failure seen unattended)
LISTS=(zones job create_flags ssh_flags)
id=""

remember() {
  local field
  if [ "$dry_run" = yes ]; then return; fi
  remember_list zones ${zones[@]+"${zones[@]}"}
  remember_list job ${job[@]+"${job[@]}"}
  remember_list create_flags ${create_flags[@]+"${create_flags[@]}"}
  remember_list ssh_flags ${ssh_flags[@]+"${ssh_flags[@]}"}
  for field in "${FIELDS[@]}"; do printf '%s=%s\n' "$field" "${!field}"; done >"$memory/slice.new"
  mv "$memory/slice.new" "$memory/slice"
}

claim() { # this shell watches the slice; another that did ends at its next look, where it finds another id
  if [ "$dry_run" = yes ]; then return; fi
  mkdir -p "$memory"
  id=$(date +%s)-$$
  printf '%s\n' "$id" >"$memory/id"
}

remember_list() { # remember_list FILE WORDS...
  printf '%s\n' "${@:2}" >"$memory/$1.new"
  mv "$memory/$1.new" "$memory/$1"
}

recall() {
  local field value line list
  [ -f "$memory/slice" ] || wrong "$name: nothing was launched under this name from $PWD (there: $(cd runs/.launch 2>/dev/null && echo *))"
  while IFS='=' read -r field value; do
    case " ${FIELDS[*]} " in *" $field "*) printf -v "$field" '%s' "$value" ;; esac
  done <"$memory/slice"
  zones=() job=() create_flags=() ssh_flags=()
  for list in "${LISTS[@]}"; do
    while IFS= read -r line; do
      if [ -n "$line" ]; then eval "$list+=(\"\$line\")"; fi # bash 3.2 has no other way to name an array
    done < <(cat "$memory/$list" 2>/dev/null)
  done
}

remembered() { sed -n "s/^$1=//p" "$memory/slice" 2>/dev/null; } # remembered FIELD

another_job() { [ -f "$memory/job" ] && [ "$(cat "$memory/job")" != "$(printf '%s\n' ${job[@]+"${job[@]}"})" ]; }

booked_zones() { cat "$memory/booked" 2>/dev/null || true; }

is_booked() { booked_zones | grep -xF -e "$1" >/dev/null; }

book() { # before the request is made: it is then not forgotten, whatever happens in between
  if [ "$dry_run" = yes ] || is_booked "$1"; then return; fi
  printf '%s\n' "$1" >>"$memory/booked"
}

unbook() {
  if [ "$dry_run" = yes ] || ! is_booked "$1"; then return; fi
  booked_zones | grep -vxF -e "$1" >"$memory/booked.new" || true
  mv "$memory/booked.new" "$memory/booked"
}

forget() { rm -rf "$memory"; }
