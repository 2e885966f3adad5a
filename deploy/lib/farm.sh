# shellcheck shell=bash disable=SC2034,SC2154
# A controller and an agent on this machine, on free loopback ports. Sourced after common.sh.
# Both get SIGTERM from the kernel should this shell die without having stopped them.

farm_controller_pid=''
farm_agent_pid=''
farm_command_pid=''
farm_state=''

# farm_wait SECONDS WHAT PID LOG CONDITION…: until the condition holds; gives up when the process ends or time is over.
farm_wait() {
  local seconds=$1 what=$2 pid=$3 log=$4 i
  shift 4
  for ((i = 0; i < seconds * 20; i++)); do
    if "$@"; then return 0; fi
    if ! kill -0 "$pid" 2>/dev/null; then
      say "    $what ended. The last lines of $log:" >&2
      tail -n 20 -- "$log" | sed 's/^/    | /' >&2
      return 1
    fi
    sleep 0.05
  done
  say "    $what was not ready after $seconds s. The last lines of $log:" >&2
  tail -n 20 -- "$log" | sed 's/^/    | /' >&2
  return 1
}

# The address file of an earlier run may still lie there, so a change is waited for, not existence.
farm_address_stamp() { stat -c '%i %z' -- "$farm_state/controller/address" 2>/dev/null || true; }
farm_address_is_new() {
  [[ $(farm_address_stamp) != "$1" ]] && (($(wc -l <"$farm_state/controller/address") >= 1))
}
farm_has_device() { [[ -n $("$1/joulefarm" device list -o name 2>/dev/null) ]]; }

# farm_start BIN STATE ENGINE_DIR [AGENT_CONFIG]: exports JOULEFARM_CONTROLLER for what follows.
farm_start() {
  local bin=$1 engines=$3 config=${4:-} stamp address
  farm_state=$2
  mkdir -p -- "$farm_state/log" || return 1
  stamp=$(farm_address_stamp)
  setpriv --pdeathsig TERM "$bin/joulefarm-controller" --listen 127.0.0.1:0 --http 127.0.0.1:0 \
    --state "$farm_state/controller" </dev/null >>"$farm_state/log/controller.log" 2>&1 &
  farm_controller_pid=$!
  farm_wait 30 'joulefarm-controller' "$farm_controller_pid" "$farm_state/log/controller.log" \
    farm_address_is_new "$stamp" || return 1
  mapfile -t address <"$farm_state/controller/address"
  export JOULEFARM_CONTROLLER=${address[0]}
  note "controller  ${address[0]}${address[1]:+, HTTP on http://${address[1]}/healthz}"

  JOULEFARM_ENGINE_DIR=$engines setpriv --pdeathsig TERM "$bin/joulefarm-agent" --controller "${address[0]}" \
    --state "$farm_state/agent" ${config:+--config "$config"} </dev/null >>"$farm_state/log/agent.log" 2>&1 &
  farm_agent_pid=$!
  farm_wait 30 'joulefarm-agent' "$farm_agent_pid" "$farm_state/log/agent.log" farm_has_device "$bin" || return 1
  note "agent       $("$bin/joulefarm" device list -o name | head -n1)"
  note "state       $farm_state"
}

# farm_run COMMAND…: in the background and waited for, so that a signal to this shell is acted upon at once.
farm_run() {
  local rc=0
  setpriv --pdeathsig TERM "$@" &
  farm_command_pid=$!
  wait "$farm_command_pid" || rc=$?
  farm_command_pid=''
  return "$rc"
}

# Stops what runs, the agent before its controller so that it can hand over. May be called at any time, repeatedly.
farm_stop() {
  if [[ -n $farm_command_pid ]]; then stop_process "$farm_command_pid" joulefarm 2; fi
  if [[ -n $farm_agent_pid ]]; then stop_process "$farm_agent_pid" joulefarm-agent 20; fi
  if [[ -n $farm_controller_pid ]]; then stop_process "$farm_controller_pid" joulefarm-controller 20; fi
  farm_command_pid='' farm_agent_pid='' farm_controller_pid=''
}
