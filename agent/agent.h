// One agent: the session machine inside its shell. main builds one, tests build several.
//
// Thread rule: Create, Start, Wait and the destructor on one thread; RequestStop from any thread.
// Inside, one io_context thread owns the session; attempts have threads of their own and post.
// Ownership: owns everything it starts.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/power/registry.h"
#include "agent/run/meter_shelf.h"
#include "agent/run/plan.h"
#include "agent/workload/workload.h"

namespace joulefarm::agent {

struct AgentOptions {
  std::string controller = "127.0.0.1:7070";
  // Empty: hostname and a persisted suffix. Also the local device's id.
  std::string id;
  std::filesystem::path state_dir;  // locked while the agent lives
  std::filesystem::path root = "/";
  std::map<std::string, std::string> labels;
  PowerSettings power;
  // Empty: what hangs on the buses of this host.
  std::shared_ptr<MeterShelf> meters;
  // How often it looks for meters that come and go.
  std::int64_t look_period_ns = 5'000'000'000;
  PlanSettings plan;
  std::vector<std::filesystem::path> engine_dirs;
  std::int64_t spool_max_bytes = std::int64_t{1} << 30;
  // Absent: as much as the disk holds.
  std::optional<std::int64_t> artifact_max_bytes;
  bool allow_plaintext = false;
  std::string version;
  // How long an orderly stop may take.
  std::int64_t drain_limit_ns = 15'000'000'000;
  // How often the controller's clock is asked for.
  std::int64_t clock_period_ns = 5'000'000'000;
  // Empty: MakeWorkload.
  std::function<absl::StatusOr<std::unique_ptr<Workload>>(const v1::JobSpec&)> make_workload;
};

class Agent {
 public:
  // Locks and opens the state, cleans up after a predecessor, looks around. FAILED_PRECONDITION:
  // state in use, spool of a newer agent, plaintext beyond loopback.
  static absl::StatusOr<std::unique_ptr<Agent>> Create(AgentOptions options);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  const std::string& id() const;

  // Begins to dial in.
  void Start();
  // SIGTERM and SIGINT become RequestStop. Before Start.
  void StopOnSignals();
  // An orderly stop: attempts end INTERRUPTED, what there is is uploaded within the drain limit.
  void RequestStop();
  // Blocks until the agent has come to its end; the exit code.
  int Wait();

 private:
  class Shell;
  explicit Agent(std::unique_ptr<Shell> shell);
  std::unique_ptr<Shell> shell_;
};

}  // namespace joulefarm::agent
