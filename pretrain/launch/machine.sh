# shellcheck shell=bash
# This machine: which accelerator it has, which slice it is of, and whether its devices answer. Reads python and root.

METADATA=${METADATA:-http://metadata.google.internal/computeMetadata/v1/instance/attributes}
LIBTPU_FALLBACK=${LIBTPU_FALLBACK:-} # versions to try, instead of those of libtpu_beside

has_tpu() { # Google's PCI vendor with the device ids of TPU v2/v3, v4, v5p, v5e, v6e, 7x
  local device
  for device in /sys/bus/pci/devices/*; do
    if [ -r "$device/vendor" ] && [ "$(cat "$device/vendor")" = 0x1ae0 ]; then
      case $(cat "$device/device") in 0x0027 | 0x0056 | 0x005e | 0x0062 | 0x0063 | 0x006f | 0x0076) return 0 ;; esac
    fi
  done
  [ -e /dev/accel0 ] # a container that does not show the bus, as on Kaggle
}

accelerator_extra() {
  if has_tpu; then
    echo tpu
  elif command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    echo cuda
  fi
}

metadata() { curl -sf -m 3 -H 'Metadata-Flavor: Google' "$METADATA/$1" 2>/dev/null; }

tell_slice() { # on a TPU VM: says which slice this is, and refuses to start alone on one of several hosts
  local kind worker workers
  kind=$(metadata accelerator-type) || return 0
  worker=$(metadata agent-worker-number || echo 0)
  workers=$(metadata worker-network-endpoints | tr ',' '\n' | grep -c . || true)
  note "worker $worker of ${workers:-1} of a $kind"
  if [ -n "${LAUNCHED:-}" ] && [ "${WORKER:-$worker}" != "$worker" ] && [ "${workers:-1}" -gt 1 ]; then
    wrong "this host is worker $worker of its slice, but stands in the list as $WORKER; list the hosts in the order of their workers"
  fi
  if [ "${workers:-1}" -gt 1 ] && [ -z "${LAUNCHED:-}" ]; then
    wrong "this is one host of $workers, and all must start together: run ./run_tpu.sh --hosts FILE with the $workers addresses, or --create, from your own machine"
  fi
}

libtpu_beside() { # libtpu_beside JAX: other versions whose compiler takes our step from this jax; none was booted
  case $1 in
    0.10.*) echo "0.0.39 0.0.52" ;;
    0.12.*) echo "0.0.51" ;;
  esac
}

version_of() { "$python" -m pip show "$1" 2>/dev/null | sed -n 's/^Version: //p'; }

check_devices() { # multiplies on every device before any long work; a plan that compiled does not prove that they start
  local said pinned each tried code=0
  said=$(limited "${DEVICES_SECONDS:-600}" "$python" -m pretrain.devices.smoke_test 2>&1) || code=$?
  printf '%s\n' "$said" >&2
  [ $code != 0 ] || return 0
  if [ $code = 124 ]; then note "the devices did not answer within ${DEVICES_SECONDS:-600} s: another worker of the slice is missing, or the runtime hangs"; fi
  case $said in *" holds "* | *JAX_PLATFORMS=*"knows"* | *"do not find each other"* | *"did not meet"*) exit 1 ;; esac # another libtpu would not help
  has_tpu || exit 1
  pinned=$(version_of libtpu)
  tried=$pinned
  for each in ${LIBTPU_FALLBACK:-$(libtpu_beside "$(version_of jax)")}; do
    [ "$each" != "$pinned" ] || continue
    say "the TPU does not start with libtpu $tried: trying $each"
    "$python" -m pip install --quiet --no-deps "libtpu==$each"
    if limited "${DEVICES_SECONDS:-600}" "$python" -m pretrain.devices.smoke_test; then return; fi
    tried+=", $each"
  done
  if [ "$tried" = "$pinned" ]; then exit 1; fi
  "$python" -m pip install --quiet --no-deps "libtpu==$pinned"
  fail "the TPU starts with none of libtpu $tried (above); restart the machine, take another runtime version, or another generation (docs/tpu.md)"
}
