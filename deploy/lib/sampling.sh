# shellcheck shell=bash disable=SC2154
# Figures of an agent that samples a simulated meter at 5 kHz. Sourced after common.sh, farm.sh and figures.sh.

readonly sampling_hz=5000

# sampling_config FILE: an agent's configuration with such a meter, whose samples come in batches.
sampling_config() { printf 'simulated_power: {idle_w: 3, busy_w: 12, rate_hz: %s}\n' "$sampling_hz" >"$1"; }

# sampling_sql BIN QUERY: rows without their header, cells separated by commas.
sampling_sql() { "$1/joulefarm" sql -o csv "$2" | tail -n +2; }
sampling_is() { [[ $(sampling_sql "$1" "$2") == "$3" ]]; }

# sampling_begin BIN: an attempt that only sleeps and is sampled until sampling_end.
sampling_begin() {
  printf '%s\n' 'name: sampling' 'workloads: {w: {kind: command, command: [sleep, "3600"]}}' 'repetitions: 1' 'warmup: 0' \
    'plan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}' | "$1/joulefarm" submit -f - -o name >/dev/null || return 1
  farm_wait 30 'The attempt to be sampled' "$farm_agent_pid" "$farm_state/log/agent.log" \
    sampling_is "$1" "select count(*) from attempt where state = 'RUNNING'" 1
}

# sampling_end BIN: returns when all of it is stored and its energies are computed.
sampling_end() {
  "$1/joulefarm" job cancel "$("$1/joulefarm" job list --limit 1 -o name)" >/dev/null || return 1
  farm_wait 60 'The attempt to be finalised' "$farm_controller_pid" "$farm_state/log/controller.log" \
    sampling_is "$1" 'select count(*) from attempt where not finalised' 0
}

# sampling_channels BIN: of the last attempt, as JSON.
sampling_channels() {
  "$1/joulefarm" sql -o json "select name, nominal_hz from channel where attempt = (select max(fence) from attempt) order by name" | tr -d '\n'
}

# sampling_load BIN SECONDS: sets sampling_pct (of one core) and sampling_rss_mib (the greatest RssAnon seen).
sampling_pct='' sampling_rss_mib=''
sampling_load() {
  local seconds=$2 before started i rss
  sampling_begin "$1" || return 1
  sleep 5
  before=$(figures_cpu_s "$farm_agent_pid")
  started=$(now_ms)
  sampling_rss_mib=0
  for ((i = 0; i < seconds; i++)); do
    sleep 1
    rss=$(figures_status_mib "$farm_agent_pid" RssAnon)
    sampling_rss_mib=$(awk -v a="$sampling_rss_mib" -v b="$rss" 'BEGIN { print (a > b ? a : b) }')
  done
  sampling_pct=$(awk -v a="$before" -v b="$(figures_cpu_s "$farm_agent_pid")" -v ms="$(($(now_ms) - started))" \
    'BEGIN { printf "%.3f", (b - a) / ms * 1e5 }')
  sampling_end "$1"
}

# figures_sampling BIN FOLDER: the same sleep with the 5 kHz channel and without it.
figures_sampling() {
  local bin=$1 folder=$2 seconds=30 with rss channels
  sampling_config "$folder/agent.yaml"
  farm_start "$bin" "$folder/with" '' "$folder/agent.yaml" >&2 && sampling_load "$bin" "$seconds" || return 1
  with=$sampling_pct rss=$sampling_rss_mib channels=$(sampling_channels "$bin")
  farm_stop
  farm_start "$bin" "$folder/without" '' >&2 && sampling_load "$bin" "$seconds" || return 1
  farm_stop
  figure agent.sampling_5khz_cpu_pct "$with" % "$(printf '{"what": "the whole agent process, of one core, over %s s, while a command sleeps; uploads included", "batches": "%s Hz simulated, collected every 100 ms", "without_5khz_pct": %s, "part_of_5khz_pct": %s, "channels": %s}' \
    "$seconds" "$sampling_hz" "$sampling_pct" "$(awk -v a="$with" -v b="$sampling_pct" 'BEGIN { printf "%.3f", a - b }')" "${channels:-[]}")"
  figure agent.rss_anon_mib "$rss" MiB "{\"what\": \"greatest RssAnon seen, once a second over $seconds s, sampling at $sampling_hz Hz\", \"without_5khz_mib\": $sampling_rss_mib}"
}

# figures_loss BIN SECONDS: every core is busy in the attempt itself, and what the generator made is compared with the database.
figures_loss() {
  local bin=$1 seconds=$2 made stored lost span busy last='(select max(fence) from attempt)'
  cat >"$farm_state/load.yaml" <<YAML
name: full-load
workloads:
  load:
    kind: command
    command:
      - sh
      - -c
      - for i in \$(seq $(nproc)); do timeout --foreground $seconds sh -c 'while :; do :; done' & done; wait
repetitions: 1
warmup: 0
plan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}
limits: {run: $((seconds + 300))s, total: $((seconds + 600))s}
YAML
  logged "$farm_state/log/load.log" farm_run "$bin/joulefarm" submit --wait -f "$farm_state/load.yaml" -o name || return 1
  farm_wait 60 'The attempt to be finalised' "$farm_controller_pid" "$farm_state/log/controller.log" \
    sampling_is "$bin" 'select count(*) from attempt where not finalised' 0 || return 1
  made=$(sampling_sql "$bin" "select text from log where attempt = $last and text like 'simulated: % samples were made'" |
    sed -nE 's/^"?simulated: ([0-9]+) .*/\1/p')
  IFS=, read -r stored lost span < <(sampling_sql "$bin" "select sum(iif(gap, 0, n)), sum(lost + iif(gap, n, 0)), (max(t1_ns) - min(t0_ns)) * 1e-9
    from trace_chunk where attempt = $last and channel = 'simulated'")
  busy=$(sampling_sql "$bin" "select avg(value) from trace($last, 'host.cpu')")
  if [[ -z $made || -z $stored || -z $lost ]]; then
    say "    emitted '$made', stored '$stored', lost '$lost': not all of them are known" >&2
    return 1
  fi
  figure agent.loss_10min "$((made - stored - lost))" samples "$(printf '{"what": "emitted - stored - reported lost, of a simulated meter at %s Hz, %s cores busy for %s s", "emitted": %s, "stored": %s, "lost": %s, "span_s": %s, "host_cpu_mean": %s}' \
    "$sampling_hz" "$(nproc)" "$seconds" "$made" "$stored" "$lost" "${span:-null}" "${busy:-null}")"
}
