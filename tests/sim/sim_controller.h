// A controller process of the simulation: the real Farm over the real store, with crashes, failed
// commits and a simulated network.
//
// Thread rule: the simulation's one thread. Ownership: the store outlives crashes, as a disk does.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/core/farm.h"
#include "controller/store/sqlite_store.h"
#include "tests/sim/world.h"

namespace joulefarm::sim {

class SimAgent;

// One connection of an agent: messages keep their order, and may all be lost when it is cut.
struct Link {
  std::int64_t id = 0;
  SimAgent* agent = nullptr;
  controller::SessionId session = 0;
  bool up = true;
  std::int64_t last_to_agent = 0;
  std::int64_t last_to_controller = 0;
  std::int64_t last_upload = 0;  // a stream of its own: it may be faster
};

class SimController {
 public:
  SimController(World& world, controller::SqliteStore& store) : world_(world), store_(store) {}

  void Start();
  void Crash();
  bool running() const { return farm_ != nullptr; }
  const controller::Farm& farm() const { return *farm_; }
  // Every commit fails until this is called with false.
  void SetDiskFull(bool full) { disk_full_ = full; }
  // How often the process dies between a commit and its effects.
  void SetCrashAfterCommit(double probability) { crash_after_commit_ = probability; }

  void Handle(const controller::FarmInput& input);

  // Network, called by agents. Null when nobody listens.
  std::shared_ptr<Link> Dial(SimAgent& agent);
  void FromAgent(const std::shared_ptr<Link>& link, v1::AgentMessage message);
  void Upload(const std::shared_ptr<Link>& link, std::int64_t epoch, std::vector<v1::Frame> frames);
  void Cut(const std::shared_ptr<Link>& link, const absl::Status& status);
  void CutAll();

  int restarts() const { return restarts_; }
  int read_only_spells() const { return read_only_spells_; }

 private:
  void Adopt(controller::FarmSnapshot snapshot);
  void Carry(controller::Plan plan);
  void Do(const controller::Effect& effect);
  void Finalise(controller::Fence fence);
  void Arm();
  void GoReadOnly();
  controller::Instant Now() const { return {world_.now() + boot_ns_, world_.now() + wall_ns_}; }
  void ToAgent(const std::shared_ptr<Link>& link, std::function<void()> deliver);

  World& world_;
  controller::SqliteStore& store_;
  std::unique_ptr<controller::Farm> farm_;
  std::int64_t life_ = 0;  // closures of an earlier process do nothing
  std::int64_t tick_ = 0;
  std::map<controller::SessionId, std::shared_ptr<Link>> links_;
  std::map<controller::SessionId, std::int64_t> epochs_;
  controller::SessionId last_session_ = 0;
  bool disk_full_ = false;
  double crash_after_commit_ = 0;
  int restarts_ = 0;
  int read_only_spells_ = 0;
  const std::int64_t boot_ns_ = 500 * kSecond;
  const std::int64_t wall_ns_ = 1'700'000'000 * kSecond;
};

}  // namespace joulefarm::sim
