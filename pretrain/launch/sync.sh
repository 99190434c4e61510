#!/usr/bin/env bash
# sync.sh pull|step|records|push gs://BUCKET/FOLDER/NAME .../NAME [FOLDER_OF_RECORDS...]: the store of a run that was not launched (pretrain/remote/in_bucket.py).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=pretrain/launch/common.sh
source "$here/common.sh"
# shellcheck source=pretrain/launch/store.sh
source "$here/store.sh"
STORE=${2%/*} run_dir=$3 WORKER=${WORKER:-0}
case $1 in
  pull) check_store; pull ;;
  step) steps_done ;;
  records) pull_records "${@:4}" ;;
  push) push || fail "$2 was not brought up to date; see to the network and to \`gcloud auth login\`, and run the same command again" ;;
esac
