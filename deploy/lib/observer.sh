# shellcheck shell=bash disable=SC2154
# What being sampled costs an engine: one llama-server answers the same request again and again while the agent beside it
# samples an attempt, or is stopped. Sourced after sampling.sh. docs/performance.md says what is compared and why.

observer_server_pid=''
readonly observer_ctx=4096

observer_stop() {
  # The benchmark may have left it stopped.
  if [[ -n $farm_agent_pid ]]; then kill -CONT "$farm_agent_pid" 2>/dev/null || true; fi
  if [[ -n $observer_server_pid ]]; then stop_process "$observer_server_pid" llama-server 5; fi
  observer_server_pid=''
}

# observer_start ENGINE_DIR MODEL THREADS LOG: as the agent starts it with `environment: {cores: …}`: an engine that wanders
# between cores varied three times as much from one tenth of a second to the next. Sets observer_url.
observer_url=''
observer_start() {
  : >"$4" || return 1
  LLAMA_ARG_CACHE_RAM=0 setpriv --pdeathsig TERM taskset -c "0-$(($3 - 1))" "$1/llama-server" -m "$2" --host 127.0.0.1 --port 0 -np 1 -t "$3" \
    -c "$observer_ctx" </dev/null >>"$4" 2>&1 &
  observer_server_pid=$!
  farm_wait 60 llama-server "$observer_server_pid" "$4" grep -q 'listening on http' "$4" || return 1
  observer_url=$(sed -nE 's#.*listening on (http://[^ ]+:[0-9]+).*#\1#p' "$4" | head -n1)
  farm_wait 60 llama-server "$observer_server_pid" "$4" curl -sf -o /dev/null "$observer_url/health"
}

# figures_observer BIN ENGINE_DIR ENGINE_VERSION MODEL FOLDER BLOCKS
figures_observer() {
  local bin=$1 engine=$2 version=$3 model=$4 folder=$5 blocks=$6 threads samples due
  threads=$(($(nproc) - 1))
  if ((threads < 1)); then
    say '    the engine needs fewer threads than there are cores, and there is one core' >&2
    return 1
  fi
  sampling_config "$folder/agent.yaml"
  farm_start "$bin" "$folder/farm" '' "$folder/agent.yaml" >&2 || return 1
  observer_start "$engine" "$model" "$threads" "$folder/llama-server.log" && sampling_begin "$bin" || return 1
  farm_run "$bin/joulefarm-bench" observer --port "${observer_url##*:}" --agent "$farm_agent_pid" --blocks "$blocks" \
    --what "decoding, $version, ${model##*/}, $threads of $(nproc) cores; sampled: simulated power at $sampling_hz Hz, the estimate at 50 Hz, host channels at 10 Hz, uploaded to a controller on the same host, and what the meter gathered while the agent was stopped; unsampled: the agent is stopped" \
    >"$folder/figure.json" || return 1
  observer_stop
  sampling_end "$bin" || return 1
  # That it was sampled is seen from what is stored; that it was in B and not in A, the benchmark has seen.
  IFS=, read -r samples due < <(sampling_sql "$bin" "select sum(iif(gap, 0, n)), cast((max(t1_ns) - min(t0_ns)) * 1e-9 * $sampling_hz * 0.99 as integer)
    from trace_chunk where channel = 'simulated'")
  farm_stop
  if ((samples < due)); then
    say "    $samples samples, and at least $due were to be: it was not sampled all the time that it should have been" >&2
    return 1
  fi
  cat "$folder/figure.json"
}
