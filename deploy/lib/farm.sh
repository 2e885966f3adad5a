# shellcheck shell=bash disable=SC2034,SC2154
# A controller and an agent on this machine, on free loopback ports, and if asked for a second agent. Sourced after
# common.sh. All of them get SIGTERM from the kernel should this shell die without having stopped them.

farm_controller_pid=''
farm_agent_pid=''
farm_host_pid=''
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
# What an earlier run left in the database is not ONLINE.
farm_device() { "$1/joulefarm" device list --link ONLINE -o name 2>/dev/null | grep -vxF -- "$farm_host_id"; }
farm_has_device() { [[ -n $(farm_device "$1") ]]; }
farm_meter() { "$1/joulefarm" resource list --kind METER --link ONLINE -o name 2>/dev/null; }
farm_has_meter() { [[ -n $(farm_meter "$1") ]]; }

# farm_controller BIN STATE: exports JOULEFARM_CONTROLLER for what follows.
farm_controller() {
  local stamp address
  farm_state=$2
  mkdir -p -- "$farm_state/log" || return 1
  stamp=$(farm_address_stamp)
  setpriv --pdeathsig TERM "$1/joulefarm-controller" --listen 127.0.0.1:0 --http 127.0.0.1:0 \
    --state "$farm_state/controller" </dev/null >>"$farm_state/log/controller.log" 2>&1 &
  farm_controller_pid=$!
  farm_wait 30 'joulefarm-controller' "$farm_controller_pid" "$farm_state/log/controller.log" \
    farm_address_is_new "$stamp" || return 1
  mapfile -t address <"$farm_state/controller/address"
  export JOULEFARM_CONTROLLER=${address[0]}
  note "controller  ${address[0]}${address[1]:+, HTTP on http://${address[1]}/healthz}"
}

# farm_agent NAME BIN ENGINE_DIR CONFIG [WRAPPER…]: an agent whose state and log are called NAME; CONFIG is a file, or empty.
# Leaves its process, or the wrapper's, in farm_started_pid.
farm_agent() {
  local name=$1 bin=$2 engines=$3 config=$4
  shift 4
  JOULEFARM_ENGINE_DIR=$engines setpriv --pdeathsig TERM "$@" "$bin/joulefarm-agent" \
    --controller "$JOULEFARM_CONTROLLER" --state "$farm_state/$name" ${config:+--config "$config"} \
    </dev/null >>"$farm_state/log/$name.log" 2>&1 &
  farm_started_pid=$!
}

# farm_device_agent BIN ENGINE_DIR CONFIG [WRAPPER…]: the agent that runs jobs, until its device is there.
farm_device_agent() {
  farm_agent agent "$@" || return 1
  farm_agent_pid=$farm_started_pid
  farm_wait 30 'joulefarm-agent' "$farm_agent_pid" "$farm_state/log/agent.log" farm_has_device "$1" || return 1
  note "agent       $(farm_device "$1" | head -n1)"
}

# farm_start BIN STATE ENGINE_DIR [AGENT_CONFIG]
farm_start() {
  farm_controller "$1" "$2" || return 1
  farm_device_agent "$1" "$3" "${4:-}" || return 1
  note "state       $farm_state"
}

# The second agent's id, and what the fake meter (deploy/fake_meter) says its serial number is. It can do 500 Hz; half of
# that is kept up on a machine that also is the host, the device and its load.
readonly farm_host_id=lab-host farm_meter_serial=SIMULATED-1 farm_meter_rate_hz=250

# farm_start_metered BIN STATE ENGINE_DIR local|remote: the same with a simulated meter, which the device's agent has, or a
# second agent that lends it.
farm_start_metered() {
  local bin=$1 engines=$3 where=$4 config=$2/config name
  local faked=(umockdev-wrapper "$bin/joulefarm-fake-meter" --)
  local meters="meters: [{serial: $farm_meter_serial, rate_hz: $farm_meter_rate_hz}]"
  mkdir -p -- "$config" || return 1
  farm_controller "$bin" "$2" || return 1
  # The meter is there before any job is: one that begins without it goes on without it.
  if [[ $where == remote ]]; then
    name=$farm_host_id
    printf 'id: %s\n%s\n' "$name" "$meters" >"$config/$name.yaml" || return 1
    printf 'meter: {agent: %s, serial: %s}\n' "$name" "$farm_meter_serial" >"$config/agent.yaml" || return 1
    farm_agent "$name" "$bin" "$engines" "$config/$name.yaml" "${faked[@]}" || return 1
    farm_host_pid=$farm_started_pid
    farm_wait 30 "the meter of $name" "$farm_host_pid" "$farm_state/log/$name.log" farm_has_meter "$bin" || return 1
    note "meter       $(farm_meter "$bin"), simulated, on $name"
    farm_device_agent "$bin" "$engines" "$config/agent.yaml" || return 1
  else
    printf '%s\n' "$meters" >"$config/agent.yaml" || return 1
    farm_device_agent "$bin" "$engines" "$config/agent.yaml" "${faked[@]}" || return 1
    farm_wait 30 'its meter' "$farm_agent_pid" "$farm_state/log/agent.log" farm_has_meter "$bin" || return 1
    note "meter       $(farm_meter "$bin"), simulated"
  fi
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

# Stops what runs, agents before their controller so that they can hand over, and who borrows a meter before who lends it.
# May be called at any time, repeatedly.
farm_stop() {
  if [[ -n $farm_command_pid ]]; then stop_process "$farm_command_pid" joulefarm 2; fi
  if [[ -n $farm_agent_pid ]]; then stop_process "$farm_agent_pid" joulefarm-agent 20; fi
  if [[ -n $farm_host_pid ]]; then stop_process "$farm_host_pid" "the agent $farm_host_id" 20; fi
  if [[ -n $farm_controller_pid ]]; then stop_process "$farm_controller_pid" joulefarm-controller 20; fi
  farm_command_pid='' farm_agent_pid='' farm_host_pid='' farm_controller_pid=''
}
