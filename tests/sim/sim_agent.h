// An agent host of the simulation: the real session machine, a disk that survives kill -9, and a
// workload that takes fake time.
//
// Thread rule: the simulation's one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/core/session.h"
#include "tests/sim/sim_controller.h"
#include "tests/sim/world.h"

namespace joulefarm::sim {

// What no crash of anything may break; checked as it happens.
struct Witness {
  // Fence and source to agent: twice is a failure.
  std::map<std::pair<agent::Fence, int>, std::string> executed;
  std::map<std::string, agent::Fence> on_device;  // what runs on a device now
  std::map<std::string, agent::Fence> on_meter;   // what a meter measures now
  std::map<std::string, std::string> meter_of;    // device to the meter in its supply
  std::set<agent::Fence> measured;                // attempts with a meter
  std::vector<std::string> violations;
};

// The host of an agent: its device, the meters that hang here, and the meter in the device's
// supply.
struct SimHost {
  std::string id;
  std::vector<std::string> meters;  // serials
  std::optional<v1::MeterBinding> meter;
};

class SimAgent {
 public:
  SimAgent(World& world, SimController& controller, Witness& witness, SimHost host)
      : world_(world), controller_(controller), witness_(witness), host_(std::move(host)) {}

  const std::string& id() const { return host_.id; }
  void Start();
  // kill -9: the engine with it (the next process would kill it), memory gone, disk kept.
  void Kill();
  bool running() const { return session_ != nullptr; }
  const std::shared_ptr<Link>& link() const { return link_; }
  bool HoldsNothing() const { return disk_.empty(); }
  bool RunsNothing() const { return running_.empty(); }
  // How often a meter fails as soon as it is opened.
  void SetMeterFails(double probability) { meter_fails_ = probability; }
  // Share of attempts that its device fails.
  void SetDeviceFaults(double share) { device_faults_ = share; }
  // The controller takes no more of what runs here.
  void GiveUp();
  // What it kept is gone before it starts again.
  void LoseSpool() { disk_.clear(); }

  // Network.
  void FromController(const std::shared_ptr<Link>& link, const v1::ControllerMessage& message);
  void OnLinkLost(const std::shared_ptr<Link>& link, const absl::Status& status);
  void OnUploadResponse(const std::shared_ptr<Link>& link, const v1::UploadResponse& response);

 private:
  // What is on the agent's disk of one attempt.
  struct Kept {
    v1::Grant grant;
    bool ended = false;
    std::vector<v1::Frame> events;
    std::vector<v1::Frame> final;
    std::int64_t acked_events = 0;
    bool acked_final = false;
  };

  void Tell(const agent::Event& event);
  void Do(const agent::Effect& effect);
  void Run(const v1::Grant& grant);
  void Drive(const v1::Grant& grant);
  void Measure(agent::Fence fence);
  void UseMeters(const v1::Grant& grant);
  void LeaveAll(agent::Fence fence);
  void EndRun(agent::Fence fence, v1::Outcome outcome, v1::FailureClass failure);
  void AddRun(Kept& kept, int run);
  void AddNote(Kept& kept, const std::string& name);
  void AddEvent(Kept& kept, v1::Event event);
  static void AddFinal(Kept& kept, v1::Outcome outcome, v1::FailureClass failure);
  void Pump();
  void CheckUploaded(agent::Fence fence);

  World& world_;
  SimController& controller_;
  Witness& witness_;
  const SimHost host_;
  std::int64_t life_ = 0;
  std::unique_ptr<agent::Session> session_;
  std::map<agent::Timer, std::int64_t> timers_;  // generation of the armed one
  std::int64_t timer_generation_ = 0;
  std::shared_ptr<Link> link_;
  std::int64_t connection_ = 0;
  std::int64_t epoch_ = 0;
  bool uploading_ = false;  // the Upload stream is open
  bool in_flight_ = false;
  std::set<agent::Fence> running_;
  double meter_fails_ = 0;
  double device_faults_ = 0;

  // The disk.
  std::map<agent::Fence, Kept> disk_;
  std::map<std::string, agent::Fence> high_water_;
};

}  // namespace joulefarm::sim
