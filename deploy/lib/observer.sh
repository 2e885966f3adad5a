# shellcheck shell=bash disable=SC2154
# What being sampled costs an engine: one llama-server answers the same request again and again, with and without an
# attempt that the agent beside it samples. Sourced after sampling.sh. docs/performance.md says what is compared and why.

observer_server_pid=''
readonly observer_settle_s=1 observer_segment_s=2 observer_ctx=4096

observer_stop() {
  if [[ -n $observer_server_pid ]]; then stop_process "$observer_server_pid" llama-server 5; fi
  observer_server_pid=''
}

# observer_start ENGINE_DIR MODEL THREADS LOG: as the agent starts it; sets observer_url.
observer_url=''
observer_start() {
  : >"$4" || return 1
  LLAMA_ARG_CACHE_RAM=0 setpriv --pdeathsig TERM "$1/llama-server" -m "$2" --host 127.0.0.1 --port 0 -np 1 -t "$3" \
    -c "$observer_ctx" </dev/null >>"$4" 2>&1 &
  observer_server_pid=$!
  farm_wait 60 llama-server "$observer_server_pid" "$4" grep -q 'listening on http' "$4" || return 1
  observer_url=$(sed -nE 's#.*listening on (http://[^ ]+:[0-9]+).*#\1#p' "$4" | head -n1)
  farm_wait 60 llama-server "$observer_server_pid" "$4" curl -sf -o /dev/null "$observer_url/health"
}

# observer_ask TOKENS: tokens/s of the decoding, by the engine's own clock.
observer_ask() {
  curl -sS --fail --max-time 120 -H 'Content-Type: application/json' \
    -d '{"prompt": "the power of the model is energy", "n_predict": '"$1"', "cache_prompt": false, "ignore_eos": true, "temperature": 0, "top_k": 1}' \
    "$observer_url/completion" | sed -nE 's/.*"predicted_per_second": ?([0-9.eE+-]+).*/\1/p' | grep .
}

# observer_blocks BIN COUNT TOKENS: one block of six speeds per line, A A B B A A. Sets observer_sampled_ms.
observer_sampled_ms=0
observer_blocks() {
  local bin=$1 count=$2 tokens=$3 block segment speed line started=0
  for ((block = 0; block < count; block++)); do
    line=''
    for ((segment = 0; segment < 6; segment++)); do
      if ((segment == 2)); then
        sampling_begin "$bin" || return 1
        started=$(now_ms)
      fi
      sleep "$observer_settle_s"
      speed=$(observer_ask "$tokens") || return 1
      line+="$speed "
      if ((segment == 3)); then
        observer_sampled_ms=$((observer_sampled_ms + $(now_ms) - started))
        sampling_end "$bin" || return 1
      fi
    done
    printf '%s\n' "${line% }"
  done
}

# figures_observer BIN ENGINE_DIR ENGINE_VERSION MODEL FOLDER BLOCKS
figures_observer() {
  local bin=$1 engine=$2 version=$3 model=$4 folder=$5 blocks=$6 threads tokens speed samples
  threads=$(($(nproc) - 1))
  if ((threads < 1)); then
    say '    the engine needs fewer threads than there are cores, and there is one core' >&2
    return 1
  fi
  sampling_config "$folder/agent.yaml"
  farm_start "$bin" "$folder/farm" '' "$folder/agent.yaml" >&2 || return 1
  observer_start "$engine" "$model" "$threads" "$folder/llama-server.log" || return 1
  observer_ask 512 >/dev/null && speed=$(observer_ask 512) || return 1
  tokens=$(awk -v r="$speed" -v s="$observer_segment_s" -v most="$((observer_ctx - 256))" \
    'BEGIN { n = int(r * s); print (n < 64 ? 64 : n > most ? most : n) }')
  observer_ask "$tokens" >/dev/null || return 1
  observer_sampled_ms=0
  observer_blocks "$bin" "$blocks" "$tokens" >"$folder/blocks.txt" || return 1
  observer_stop
  # That B was sampled is seen from what is stored of it.
  samples=$(sampling_sql "$bin" "select sum(n + lost) from trace_chunk where channel = 'simulated'")
  farm_stop
  if ((samples * 1000 < observer_sampled_ms * sampling_hz * 99 / 100)); then
    say "    $samples samples in $observer_sampled_ms ms: it was not sampled all the time that it should have been" >&2
    return 1
  fi
  "$bin/joulefarm-bench" observer --what "decoding of $tokens tokens a segment, $version, ${model##*/}, $threads of $(nproc) cores; sampled: simulated power at $sampling_hz Hz, the estimate at 50 Hz, host channels at 10 Hz, uploaded to a controller on the same host; unsampled: the same agent and controller without an attempt" <"$folder/blocks.txt"
}
