#include "agent/agent.h"

#include <utility>

#include "agent/shell.h"

namespace joulefarm::agent {

Agent::Agent(std::unique_ptr<Shell> shell) : shell_(std::move(shell)) {}
Agent::~Agent() = default;

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(AgentOptions options) {
  absl::StatusOr<std::unique_ptr<Shell>> shell = Shell::Create(std::move(options));
  if (!shell.ok()) return shell.status();
  return std::unique_ptr<Agent>(new Agent(*std::move(shell)));
}

const std::string& Agent::id() const { return shell_->id(); }
void Agent::Start() { shell_->Start(); }
void Agent::StopOnSignals() { shell_->StopOnSignals(); }
void Agent::RequestStop() { shell_->RequestStop(); }
int Agent::Wait() { return shell_->Wait(); }

}  // namespace joulefarm::agent
