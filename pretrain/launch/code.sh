# shellcheck shell=bash
# The code that travels to the hosts, by an allow-list: what git tracks, and new files where code lies. Corpora, keys and results
# beside it stay here. Reads root.

CODE_FOLDERS=(configs data_pipeline pretrain)
CODE_FILES=(run_tpu.sh setup.cfg pyproject.toml constraints.txt README.md LICENSE) # what an installation reads
MOST_CODE_MB=${MOST_CODE_MB:-20}
export COPYFILE_DISABLE=1 # else a Mac's tar adds files of its own

in_git() { git -C "$root" ls-files --error-unmatch run_tpu.sh >/dev/null 2>&1; }

listed() { git -C "$root" -c core.quotePath=off ls-files "$@"; }

new_files() { listed --others --exclude-standard -- "${CODE_FOLDERS[@]}" | grep -v -e '^\.' -e '/\.' || true; }

code_files() { # one a line, relative to root
  local path
  if in_git; then
    { listed --cached; new_files; } | while IFS= read -r path; do
      if [ -f "$root/$path" ] || [ -L "$root/$path" ]; then printf '%s\n' "$path"; fi # not what was deleted, nor submodules
    done
  else
    (cd "$root" && find "${CODE_FOLDERS[@]}" "${CODE_FILES[@]}" ! -type d ! -name '.*' ! -name '*.pyc')
  fi
}

packed_code() { code_files | tar cf - -C "$root" -T -; }

check_code() { # what travels is told, and is small
  local bytes new left
  bytes=$(packed_code | wc -c) || fail "the code cannot be packed (above)"
  if in_git; then
    new=$(new_files)
    if [ -n "$new" ]; then note "new files that travel too: $(in_one_line "$new")"; fi
    left=$(listed --others --exclude-standard --directory -- . "${CODE_FOLDERS[@]/#/:(exclude)}")
    if [ -n "$left" ]; then note "stays here, for git does not track it: $(in_one_line "$left")"; fi
  fi
  [ "$bytes" -le $((MOST_CODE_MB * 1000000)) ] || wrong "the code to ship has $((bytes / 1000000)) MB, more than $MOST_CODE_MB; largest: $(
    in_one_line "$(cd "$root" && code_files | tr '\n' '\0' | xargs -0 du -k | sort -rn | cut -f2)" 3
  ); move data out of the checkout, or set MOST_CODE_MB"
  note "code: $((bytes / 1000)) KB"
}

in_one_line() { # in_one_line LINES [MOST]
  awk -v most="${2:-10}" 'NR <= most { printf "%s%s", (NR > 1 ? ", " : ""), $0 } END { if (NR > most) printf ", and %d more", NR - most }' <<<"$1"
}
