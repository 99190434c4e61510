# shellcheck shell=bash
# The main job on one machine: raw text -> records -> training -> export. Reads the globals root, python and venv.

with_home() { # a word with ~ as home where a path begins with it: the shell leaves it alone in --run-dir=~/x
  case $1 in
    --*=\~ | --*=\~/*) printf '%s' "${1%%=*}=$HOME${1#*=\~}" ;;
    \~ | \~/*) printf '%s' "$HOME${1#\~}" ;;
    *) printf '%s' "$1" ;;
  esac
}

split_arguments() { # RECIPE, flags of the data side and of training -> recipe, run_dir, data (shaping: those of its recipe), training
  local at_home=() word
  for word in "$@"; do at_home+=("$(with_home "$word")"); done
  set -- ${at_home[@]+"${at_home[@]}"}
  recipe=quickstart
  case ${1:---} in
    --*) for word in "$@"; do refuse_late_recipe "$word"; done ;;
    *) recipe=$1; shift ;;
  esac
  run_dir=runs/$(basename "$recipe" .py)
  case $recipe in mini/* | */mini/*) run_dir=runs/mini-$(basename "$recipe" .py) ;; esac
  data=() shaping=() training=()
  local target=training
  while [ $# -gt 0 ]; do
    case $1 in
      --run-dir) run_dir=${2:?--run-dir needs a folder}; shift 2; continue ;;
      --run-dir=*) run_dir=${1#*=}; shift; continue ;;
      --data.*) target=shaping ;;
      --source* | --benchmark* | --workers* | --engine* | --ray-address* | --bucket* | --retrain-vocabulary) target=data ;;
      --*) target=training ;;
    esac
    case $target in
      shaping) shaping+=("$1"); data+=("$1") ;;
      data) data+=("$1") ;;
      training) training+=("$1") ;;
    esac
    shift
  done
}

refuse_late_recipe() { # refuse_late_recipe WORD
  case $1 in -* | "" | *[!A-Za-z0-9_./]*) return ;; esac
  local path=${1#configs/}
  [ ! -f "$root/configs/${path%.py}.py" ] || wrong "$1: RECIPE must be the first argument: ./run_tpu.sh $1 ..."
}

check_flags() { # of both sides, before any work
  "$python" -m data_pipeline prepare "$recipe" --run-dir "$run_dir" ${data[@]+"${data[@]}"} --check
  check_training
}

check_training() { # check_training [--on MACHINE]
  "$python" -m pretrain train "$recipe" ${training[@]+"${training[@]}"} ${shaping[@]+"${shaping[@]}"} --check "$@"
}

records_ready() { [ -f "$run_dir/examples/header.json" ] && grep -q '"prepare"' "$run_dir/manifest.json" 2>/dev/null; }

prepare_records() {
  say "data: $recipe -> $run_dir"
  "$python" -m data_pipeline prepare "$recipe" --run-dir "$run_dir" ${data[@]+"${data[@]}"}
}

train() {
  say "training"
  "$python" -m pretrain train "$recipe" --run-dir "$run_dir" ${training[@]+"${training[@]}"}
}

export_model() {
  say "export"
  "$python" -m pretrain export "$run_dir"
}

main_job() {
  install data
  say "command"
  check_flags
  say "devices"
  tell_slice
  check_devices
  check_training --on here # which the devices' number decides
  prepare_records
  train
  export_model
  say "what it learnt"
  "$python" -m pretrain fill "$run_dir"
  local shown=${python#"$PWD"/}
  cat <<TEXT

next:
  $shown -m data_pipeline report $run_dir
  $shown -m data_pipeline inspect $run_dir
  $shown -m pretrain inspect $run_dir
  ./run_tpu.sh mini/bert --source 'text:mine/*.txt'     # your own text (docs/data.md lists the formats)
TEXT
}
