# shellcheck shell=bash
# The command line of the launcher. Reads root.

# shellcheck source=pretrain/launch/memory.sh
source "$root/pretrain/launch/memory.sh"
# shellcheck source=pretrain/launch/checks.sh
source "$root/pretrain/launch/checks.sh"
# shellcheck source=pretrain/launch/code.sh
source "$root/pretrain/launch/code.sh"
# shellcheck source=pretrain/launch/slice.sh
source "$root/pretrain/launch/slice.sh"
# shellcheck source=pretrain/launch/hosts.sh
source "$root/pretrain/launch/hosts.sh"
# shellcheck source=pretrain/launch/start_up.sh
source "$root/pretrain/launch/start_up.sh"
# shellcheck source=pretrain/launch/supervise.sh
source "$root/pretrain/launch/supervise.sh"

name="" type="" spot=no store="" wait_minutes="" hosts_file="" created=no delete_when_done=no delete_on_failure=no discard=no plan=yes
unattended=no leaving=no start_flag=""
zone="" zones=() job=() create_flags=() ssh_flags=() changed_job=no

launch() { # launch VERB NAME FLAGS... RECIPE...
  local verb=$1
  if [ "$verb" = --list ]; then
    [ $# = 1 ] || wrong "$2: --list takes nothing more"
    choose_provider
    list_slices
    return
  fi
  case $verb in
    --create) name=${2:-} ;;
    --hosts) hosts_file=$(with_home "${2:-}") ;;
    *) name=${2:-} ;;
  esac
  [ -n "${2:-}" ] || wrong "$verb needs a name: see ./run_tpu.sh --help"
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      --type=* | --zone=* | --store=* | --wait=* | --name=* | --create-flag=* | --ssh-flag=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
      --type | --zone | --store | --wait | --name | --create-flag | --ssh-flag) [ $# -gt 1 ] || wrong "$1 needs a value" ;;
    esac
    case $1 in
      --type) type=$2; shift ;;
      --zone) zones+=("$2"); shift ;;
      --store) store=$(with_home "${2%/}"); shift ;;
      --wait) wait_minutes=$2; shift ;;
      --name) name=$2; shift ;;
      --create-flag) create_flags+=("$2"); shift ;;
      --ssh-flag) ssh_flags+=("$2"); shift ;;
      --spot) spot=yes ;;
      --delete-when-done) delete_when_done=yes ;;
      --delete-on-failure) delete_on_failure=yes ;;
      --discard) discard=yes ;;
      --unattended) unattended=yes ;;
      --dry-run) dry_run=yes ;;
      --no-plan) plan=no ;;
      --*)
        [ ${#job[@]} -gt 0 ] || wrong "$1: no flag of $verb (see ./run_tpu.sh --help); RECIPE comes before its overrides"
        job+=("$1")
        ;;
      *) job+=("$1") ;;
    esac
    shift
  done
  if [ "$verb" = --hosts ]; then name=${name:-$(basename "$hosts_file" .txt)}; fi
  [[ $name =~ ^[a-z][a-z0-9-]{0,60}$ ]] || wrong "$name: a name is lower-case letters, digits and hyphens, a letter first"
  memory=runs/.launch/$name
  case $verb in
    --create | --hosts)
      if [ "$verb" = --create ]; then created=yes; fi
      choose_provider
      split_arguments ${job[@]+"${job[@]}"}
      check_command
      check_before_booking
      rejoin
      if another_job; then changed_job=yes; fi
      if [ "$unattended" = yes ]; then
        [ "$changed_job$seen" != yesyes ] || wrong "$name is at another job; --delete $name first, or take another name"
        leaving=yes
      fi
      claim
      remember
      supervise
      ;;
    *)
      [ ${#job[@]} = 0 ] || wrong "${job[0]}: $verb takes a name and flags, nothing more"
      recall
      choose_provider
      split_arguments ${job[@]+"${job[@]}"}
      case $verb in
        --status) tell_status ;;
        --attach) claim; supervise ;;
        --stop) stop_run ;;
        --fetch) fetch_run ;;
        --delete)
          stage=ended
          trap leave EXIT
          delete_slice
          ;;
      esac
      ;;
  esac
}

choose_provider() {
  if [ -n "$hosts_file" ]; then
    # shellcheck source=pretrain/launch/ssh_hosts.sh
    source "$root/pretrain/launch/ssh_hosts.sh"
  else
    # shellcheck source=pretrain/launch/gcloud.sh
    source "$root/pretrain/launch/gcloud.sh"
  fi
  if [ -z "$zone" ]; then zone=${zones[0]:-}; fi
  if [ "$unattended" = yes ]; then REMOTE=$UNATTENDED_FOLDER; fi
}
