#!/usr/bin/env bash
# Sets up what the tests need and runs them: the fast suite, or with --slow everything.
# More arguments go to pytest: ./run_tests.sh tests/pretrain -k checkpoint
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
selection=(-m "not slow")
extras=(benchmarks evaluate export gcs hanyang plan playground ray test)
if [ "${1:-}" = --slow ]; then
  selection=()
  extras+=(onnx savedmodel)
  shift
fi
./run_tpu.sh --install-only "${extras[@]}"
old=.venv/transformers-4
if [ ! -f $old/.installed ]; then
  # The last transformers 4 beside the current one: exports must load in both.
  .venv/bin/python -m pip install --quiet --no-deps --upgrade --target $old \
    transformers==4.57.6 tokenizers==0.22.2 huggingface-hub==0.36.2
  touch $old/.installed
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy --config-file setup.cfg data_pipeline pretrain configs benchmarks
export JAX_PLATFORMS=cpu
.venv/bin/python -m pytest -n auto --dist loadfile ${selection[@]+"${selection[@]}"} "$@"
