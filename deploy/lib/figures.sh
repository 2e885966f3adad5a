# shellcheck shell=bash disable=SC2154
# Figures of deploy/bench: JSON lines {"name", "value", "unit", "detail"}. Sourced after common.sh and farm.sh.

# figure NAME VALUE UNIT DETAIL_JSON
figure() { printf '{"name": "%s", "value": %s, "unit": "%s", "detail": %s}\n' "$1" "$2" "$3" "$4"; }

figure_name() { sed -E 's/^\{"name": ?"([^"]*)".*/\1/' <<<"$1"; }

# figures_keep NAMES FILE: the lines of FILE whose figure is named.
figures_keep() {
  local line
  while IFS= read -r line; do
    if [[ " $1 " == *" $(figure_name "$line") "* ]]; then printf '%s\n' "$line"; fi
  done <"$2"
}

# The machine, so that a figure means something.
figures_machine() {
  printf '%s, %s cores, %s, Linux %s' "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n1)" "$(nproc)" \
    "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" "$(uname -r)"
}

figures_table() {
  local line
  say "${style_bold}$(figures_machine)${style_off}"
  while IFS= read -r line; do
    sed -E 's/^\{"name": ?"([^"]*)", ?"value": ?([^,]*), ?"unit": ?"([^"]*)".*/\1 \2 \3/' <<<"$line"
  done <"$1" | awk '{ v = $2; printf "  %-34s %14s %s\n", $1, (v >= 1000 ? sprintf("%.0f", v) : sprintf("%.4g", v)), $3 }'
}

# Processor seconds a process has used, from its own clock ticks.
figures_cpu_s() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); print ($12 + $13) / hz }' "/proc/$1/stat"; }
figures_status_mib() { awk -v key="$2:" '$1 == key { printf "%.2f", $2 / 1024 }' "/proc/$1/status"; }

# figures_cpu_pct PID SECONDS: share of one core over that time.
figures_cpu_pct() {
  local before after
  before=$(figures_cpu_s "$1")
  sleep "$2"
  after=$(figures_cpu_s "$1")
  awk -v a="$before" -v b="$after" -v s="$2" 'BEGIN { printf "%.3f", (b - a) / s * 100 }'
}

# figures_agent BIN PID: an agent that waits for work, then one that samples while a command sleeps.
figures_agent() {
  local bin=$1 pid=$2 idle_s=60 busy_s=30 channels job idle sampling
  sleep 5
  idle=$(figures_cpu_pct "$pid" "$idle_s")
  figure agent.idle_rss_mib "$(figures_status_mib "$pid" VmRSS)" MiB '{"what": "VmRSS, registered with a controller, no job yet"}'
  figure agent.idle_rss_anon_mib "$(figures_status_mib "$pid" RssAnon)" MiB '{"what": "RssAnon, registered with a controller, no job yet"}'
  figure agent.idle_cpu_pct "$idle" % "{\"what\": \"of one core, over $idle_s s, registered, heartbeat every 5 s\"}"
  printf '%s\n' 'name: sampling' "workloads: {w: {kind: command, command: [sleep, '$((busy_s + 15))']}}" 'repetitions: 1' 'warmup: 0' \
    'plan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}' | "$bin/joulefarm" submit -f - -o name >/dev/null || return 1
  sleep 5
  sampling=$(figures_cpu_pct "$pid" "$busy_s")
  job=$("$bin/joulefarm" job list -o name | head -n1)
  "$bin/joulefarm" job cancel "$job" >/dev/null
  channels=$("$bin/joulefarm" sql -o json \
    "select name, nominal_hz from channel where attempt = (select max(fence) from attempt) order by name" | tr -d '\n')
  figure agent.sampling_cpu_pct "$sampling" % \
    "{\"what\": \"of one core, over $busy_s s, while a command sleeps; uploads included\", \"channels\": ${channels:-[]}}"
}
