# shellcheck shell=bash disable=SC2034,SC2154
# Finds and ends what a test run left behind: every process started below here carries a mark in its environment,
# whatever session or process group it moved to. Sourced after common.sh.

leftovers_id=''

# Marks everything this shell starts from now on.
leftovers_mark() {
  leftovers_id="$$-$(date +%s%N)"
  export JOULEFARM_TEST_RUN=$leftovers_id
}

# leftovers_find: pids that carry the mark. This shell itself does not (its own environment is from before the mark).
leftovers_find() {
  local file pid
  for file in /proc/[0-9]*/environ; do
    pid=${file#/proc/}
    pid=${pid%/environ}
    if [[ $pid != "$$" && $pid != "$BASHPID" ]] && grep -qsazFx "JOULEFARM_TEST_RUN=$leftovers_id" "$file" &&
      ! grep -qs '^State:[[:space:]]*[ZX]' "/proc/$pid/status"; then
      printf '%s\n' "$pid"
    fi
  done
}

# leftovers_end: ends what is left; returns 1 after naming it when there was something.
leftovers_end() {
  local pids pid i
  [[ -n $leftovers_id ]] || return 0
  # Processes that are on their way out get a moment: only what stays is left behind.
  for ((i = 0; i < 40; i++)); do
    mapfile -t pids < <(leftovers_find)
    ((${#pids[@]} > 0)) || return 0
    sleep 0.05
  done
  say '    processes left behind, ended now:'
  for pid in "${pids[@]}"; do
    printf '    | %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-160)"
    kill -KILL "$pid" 2>/dev/null || true
  done
  return 1
}
