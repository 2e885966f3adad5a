# shellcheck shell=bash disable=SC2034,SC2154
# Shared by deploy/demo and deploy/test: places, calm output, step timings, root rights. Sourced, never run.

repo_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
readonly repo_root
readonly build_root="$repo_root/build"
jobs=${JOULEFARM_BUILD_JOBS:-$(nproc)}
readonly jobs

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  readonly style_bold=$'\e[1m' style_dim=$'\e[2m' style_red=$'\e[31m' style_off=$'\e[0m'
else
  readonly style_bold='' style_dim='' style_red='' style_off=''
fi

say() { printf '%s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
fail() {
  printf '%serror:%s %s\n' "$style_red" "$style_off" "$*" >&2
  exit 3
}

# --- steps: a line when one begins, a line with its time when it ends -------------------------------------------

step_names=()
step_seconds=()
step_results=()
step_open=''
step_started=0

now_ms() { printf '%s' "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

step_begin() {
  step_open=$1
  step_started=$(now_ms)
  printf '%s==> %s%s\n' "$style_bold" "$step_open" "$style_off"
}

# step_end [RESULT]: RESULT is a word such as ok (the default), FAILED or skipped.
step_end() {
  [[ -n $step_open ]] || return 0
  local result=${1:-ok} elapsed
  elapsed=$(($(now_ms) - step_started))
  elapsed=$(printf '%d.%d' "$((elapsed / 1000))" "$((elapsed % 1000 / 100))")
  step_names+=("$step_open")
  step_seconds+=("$elapsed")
  step_results+=("$result")
  printf '%s    %s (%s s)%s\n' "$style_dim" "$result" "$elapsed" "$style_off"
  step_open=''
}

steps_summary() {
  local i
  say "${style_bold}Steps${style_off}"
  for i in "${!step_names[@]}"; do
    printf '  %8s s  %-8s %s\n' "${step_seconds[i]}" "${step_results[i]}" "${step_names[i]}"
  done
}

# logged LOG COMMAND…: runs the command with its output in LOG; when it fails, shows LOG's last lines and its path.
logged() {
  local log=$1 rc=0
  shift
  mkdir -p -- "$(dirname -- "$log")"
  "$@" >"$log" 2>&1 || rc=$?
  if ((rc != 0)); then
    {
      printf '    %s ended with %d; the last lines of its output:\n' "${1##*/}" "$rc"
      tail -n 40 -- "$log" | sed 's/^/    | /'
      printf '    all of it: %s\n' "$log"
    } >&2
  fi
  return "$rc"
}

# --- root rights ------------------------------------------------------------------------------------------------

# as_root COMMAND…: runs the command as root, through sudo where that is needed; returns 1 after saying that neither is.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    say "    this needs root: run it as root, or install sudo. The command: $*" >&2
    return 1
  fi
}

# --- children ---------------------------------------------------------------------------------------------------

# stop_process PID NAME [GRACE_S]: SIGTERM, waits up to GRACE_S seconds (10) for it to end, then SIGKILL. Only for
# children of this shell. Their exit status is lost on purpose: this is used on every way out.
stop_process() {
  local pid=$1 name=$2 grace_s=${3:-10} i
  kill -0 "$pid" 2>/dev/null || return 0
  kill -TERM "$pid" 2>/dev/null || true
  for ((i = 0; i < grace_s * 20; i++)); do
    # A child that has ended and was not yet waited for is a zombie: it counts as ended.
    if [[ ! -d /proc/$pid ]] || grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status"; then
      wait "$pid" 2>/dev/null || true
      return 0
    fi
    sleep 0.05
  done
  printf '    %s did not stop on SIGTERM within %d s; killed\n' "$name" "$grace_s" >&2
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
