# shellcheck shell=bash disable=SC2034,SC2154
# Configures and builds a preset into build/<preset>. Sourced after common.sh.

in_repo() { (cd -- "$repo_root" && "$@"); }

# build_preset PRESET [TARGET]
build_preset() {
  local preset=$1 target=${2:-all} log=$build_root/logs/build-$1.log
  logged "$build_root/logs/configure-$preset.log" in_repo cmake --preset "$preset" || return 1
  if ! in_repo cmake --build "$build_root/$preset" -j "$jobs" --target "$target" 2>&1 | build_progress "$log"; then
    {
      grep -n -m 10 -E 'error:|^FAILED:' -- "$log" | cut -c1-200 | sed 's/^/    | /' || true
      printf '    the build failed; all of its output: %s\n' "$log"
    } >&2
    return 1
  fi
}

# Copies its input to the file LOG and shows how far "[12/345]" has come: on a terminal on one line that is
# overwritten, elsewhere as a line for every tenth of the way.
build_progress() {
  local line tenth last_tenth=0
  while IFS= read -r line; do
    printf '%s\n' "$line" >&3
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    if [[ -t 1 ]]; then
      printf '\r\e[K    %.100s' "$line"
    else
      tenth=$((BASH_REMATCH[1] * 10 / BASH_REMATCH[2]))
      if ((tenth > last_tenth)); then printf '    built %s of %s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"; fi
      last_tenth=$tenth
    fi
  done 3>"$1"
  if [[ -t 1 ]]; then printf '\r\e[K'; fi
}
