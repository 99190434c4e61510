# shellcheck shell=bash
# .venv/ with Python 3.11 or newer, the jax for this machine, and the extras asked for. Reads the globals root, venv, python.

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

make_venv() {
  local candidate
  for candidate in python3 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && new_enough "$candidate" && "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
      "$candidate" -m venv "$venv"
      return
    fi
  done
  say "no Python 3.11 or newer with venv here: bringing 3.11 through uv"
  local uv
  if ! uv=$(command -v uv); then
    python3 -m pip install --quiet --target "$root/.venv-uv" uv || fail "uv cannot be installed; install Python 3.11 (with venv) and run again"
    uv=$root/.venv-uv/bin/uv
  fi
  "$uv" venv --seed --python 3.11 "$venv" || fail "uv found no Python 3.11; install Python 3.11 (with venv) and run again"
}

refuse_unknown_extras() { # pip only warns of one, and the command ends well without it
  local extra known
  known=$(sed -n '/^\[options.extras_require\]/,/^\[/s/^\([a-z]*\) *=.*/\1/p' "$root/setup.cfg")
  for extra in "$@"; do
    grep -xF -e "$extra" >/dev/null <<<"$known" || wrong "--install-only $extra: no such extra; there are ${known//$'\n'/, }"
  done
}

# Installs the package with the extras named, unless .venv/ holds them already for these very files.
install() {
  local stamp installed extra accelerator list gone="" wanted=("$@") missing=()
  accelerator=$(accelerator_extra)
  if [ -n "$accelerator" ]; then wanted+=("$accelerator"); fi
  [ -x "$python" ] || make_venv
  stamp=$(cat "$root/setup.cfg" "$root/constraints.txt" | cksum | tr ' ' -)
  installed=$(cat "$venv/.installed" 2>/dev/null || true)
  case $installed in "$stamp "*) ;; *) installed="" ;; esac
  for extra in base ${wanted[@]+"${wanted[@]}"}; do
    case " $installed " in *" $extra "*) ;; *) missing+=("$extra") ;; esac
  done
  if [ ${#missing[@]} -eq 0 ]; then
    gone=$("$python" "$root/pretrain/launch/missing_packages.py" ${wanted[@]+"${wanted[@]}"}) ||
      fail ".venv/ cannot be read; remove it and run again"
    [ -n "$gone" ] || return 0
    say "gone from .venv/ since they were installed: $gone"
  else
    say "installing into .venv/: ${missing[*]} (some minutes, once)"
  fi
  local pip=("$python" -m pip install --quiet --constraint "$root/constraints.txt" --no-build-isolation)
  "${pip[@]}" cython setuptools wheel
  case " ${wanted[*]-} " in
    *" data "*)
      command -v g++ >/dev/null || fail "g++ is missing (kss 1.3.1 is built with it); install it, e.g. apt-get install g++ python3-dev"
      "${pip[@]}" kss==1.3.1
      ;;
  esac
  case " ${wanted[*]-} " in
    # A source package whose setup.py asks for a build package that is wanted for nothing else: built apart.
    *" evaluate "*) "$python" -m pip install --quiet --constraint "$root/constraints.txt" --no-deps --use-pep517 seqeval ;;
  esac
  list=$(IFS=, && echo "${wanted[*]-}")
  "${pip[@]}" --editable "$root${list:+[$list]}"
  for extra in $gone; do # pip takes those for installed whose modules alone are gone
    [ "$extra" = korean-pretrain ] || "${pip[@]}" --force-reinstall --no-deps "$extra"
  done
  echo "$stamp base ${installed#* } ${wanted[*]-}" >"$venv/.installed"
}
