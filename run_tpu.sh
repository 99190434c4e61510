#!/usr/bin/env bash
# Raw Korean text to a Hugging Face BERT, in one command: here (a TPU VM, a machine with a GPU, any CPU) or on a slice it makes.
#
#   ./run_tpu.sh                                        the sample corpus, configs/quickstart.py
#   ./run_tpu.sh RECIPE [--source FORMAT:GLOB ...] [--benchmark PATH ...] [--run-dir DIR] [overrides]
#   ./run_tpu.sh --install-only [EXTRA ...]             only set up .venv/
#
#   ./run_tpu.sh --create NAME --type v3-8 --zone ZONE [--zone ZONE ...] [--spot] [--store gs://BUCKET/FOLDER]
#                [--wait MINUTES] [--unattended] [--delete-when-done] [--delete-on-failure] [--no-plan] [--dry-run]
#                [--create-flag=FLAG ...] [--ssh-flag=FLAG ...] RECIPE [...]
#   ./run_tpu.sh --hosts FILE [--name NAME] [--store FOLDER] [--ssh-flag=FLAG ...] [--dry-run] RECIPE [...]
#   ./run_tpu.sh --status NAME | --attach NAME | --stop NAME | --fetch NAME | --delete NAME [--discard] | --list
#
# RECIPE is configs/NAME.py or NAME. --source, --benchmark, --workers and --data.X go to the data side, every other flag
# to training; both are checked before any work. Run it again after a stop: it resumes, and does nothing twice. docs/tpu.md
# walks through slices.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$root/.venv
python=$venv/bin/python
# shellcheck source=pretrain/launch/common.sh
source "$root/pretrain/launch/common.sh"
# shellcheck source=pretrain/launch/machine.sh
source "$root/pretrain/launch/machine.sh"
# shellcheck source=pretrain/launch/install.sh
source "$root/pretrain/launch/install.sh"
# shellcheck source=pretrain/launch/job.sh
source "$root/pretrain/launch/job.sh"
# shellcheck source=pretrain/launch/command_line.sh
source "$root/pretrain/launch/command_line.sh"

case ${1:-} in
  -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
  --install-only) shift; refuse_unknown_extras "$@"; install data "$@" ;;
  --create | --hosts | --status | --attach | --stop | --fetch | --delete | --list) launch "$@" ;;
  *) split_arguments "$@"; main_job ;;
esac
