#!/usr/bin/env bash
# Raw Korean text to a Hugging Face BERT, in one command, on a TPU VM, a machine with a GPU, or any CPU.
#
#   ./run_tpu.sh                                        the sample corpus, configs/quickstart.py
#   ./run_tpu.sh RECIPE [--source FORMAT:GLOB ...] [--benchmark PATH ...] [--run-dir DIR] [overrides]
#   ./run_tpu.sh --install-only [EXTRA ...]             only set up .venv/
#
# RECIPE is configs/NAME.py or NAME. --source, --benchmark, --workers and --data.X go to the data side, every other flag
# to training. Run it again after a stop: it goes on where it was, and does nothing twice.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$root/.venv
python=$venv/bin/python

say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

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

has_tpu() { # Google's PCI vendor with the device ids of TPU v2/v3, v4, v5p, v5e, v6e, 7x
  local device
  for device in /sys/bus/pci/devices/*; do
    if [ -r "$device/vendor" ] && [ "$(cat "$device/vendor")" = 0x1ae0 ]; then
      case $(cat "$device/device") in 0x0027 | 0x0056 | 0x005e | 0x0062 | 0x0063 | 0x006f | 0x0076) return 0 ;; esac
    fi
  done
  return 1
}

accelerator_extra() {
  if has_tpu; then
    echo tpu
  elif command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    echo cuda
  fi
}

# Installs the package with the extras named, unless .venv/ holds them already for these very files.
install() {
  local stamp installed extra accelerator list wanted=(data "$@") missing=()
  accelerator=$(accelerator_extra)
  if [ -n "$accelerator" ]; then wanted+=("$accelerator"); fi
  [ -x "$python" ] || make_venv
  stamp=$(cat "$root/setup.cfg" "$root/constraints.txt" | sha256sum | cut -d' ' -f1)
  installed=$(cat "$venv/.installed" 2>/dev/null || true)
  case $installed in "$stamp "*) ;; *) installed="" ;; esac
  for extra in "${wanted[@]}"; do
    case " $installed " in *" $extra "*) ;; *) missing+=("$extra") ;; esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v g++ >/dev/null || fail "g++ is missing (kss 1.3.1 is built with it); install it, e.g. apt-get install g++ python3-dev"
  say "installing into .venv/: ${missing[*]} (some minutes, once)"
  local pip=("$python" -m pip install --quiet --constraint "$root/constraints.txt")
  "${pip[@]}" cython setuptools wheel
  "${pip[@]}" --no-build-isolation kss==1.3.1
  list=$(IFS=, && echo "${wanted[*]}")
  "${pip[@]}" --no-build-isolation --editable "${root}[$list]"
  echo "$stamp ${installed#* } ${wanted[*]}" >"$venv/.installed"
}

if [ "${1:-}" = --install-only ]; then
  shift
  install "$@"
  exit 0
fi
case ${1:-} in -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;; esac

recipe=quickstart
case ${1:---} in --*) ;; *) recipe=$1; shift ;; esac
run_dir=runs/$(basename "$recipe" .py)
data=() training=() target=training
while [ $# -gt 0 ]; do
  case $1 in
    --run-dir) run_dir=${2:?--run-dir needs a folder}; shift 2; continue ;;
    --run-dir=*) run_dir=${1#*=}; shift; continue ;;
    --source* | --benchmark* | --workers* | --retrain-vocabulary | --data.*) target=data ;;
    --*) target=training ;;
  esac
  if [ $target = data ]; then data+=("$1"); else training+=("$1"); fi
  shift
done

install
say "devices"
"$python" -m pretrain.devices
say "data: $recipe -> $run_dir"
"$python" -m data_pipeline prepare "$recipe" --run-dir "$run_dir" ${data[@]+"${data[@]}"}
say "training"
"$python" -m pretrain train "$recipe" --run-dir "$run_dir" ${training[@]+"${training[@]}"}
say "export"
"$python" -m pretrain export "$run_dir"
say "what it learnt"
"$python" -m pretrain fill "$run_dir"
shown=${python#"$PWD"/}
cat <<TEXT

next:
  $shown -m data_pipeline report $run_dir
  $shown -m data_pipeline inspect $run_dir
  $shown -m pretrain inspect $run_dir
  ./run_tpu.sh configs/petitions_small.py --source FORMAT:GLOB     your own text (docs/data.md lists the formats)
TEXT
