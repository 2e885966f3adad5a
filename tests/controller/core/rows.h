// Applies plans' writes to a snapshot, as a store would: lets a test restart the farm from what was
// durable.
#pragma once

#include <algorithm>
#include <map>

#include "controller/core/events.h"

namespace joulefarm::controller {

class Rows {
 public:
  void Apply(const std::vector<Write>& writes) {
    for (const Write& write : writes) {
      std::visit([this](const auto& row) { Put(row); }, write);
    }
  }

  FarmSnapshot Snapshot() const {
    FarmSnapshot snapshot = counters_;
    for (const auto& [id, row] : experiments_) snapshot.experiments.push_back(row);
    for (const auto& [id, row] : jobs_) snapshot.jobs.push_back(row);
    for (const auto& [id, row] : attempts_) snapshot.attempts.push_back(row);
    for (const auto& [id, row] : devices_) snapshot.devices.push_back(row);
    for (const auto& [id, row] : resources_) snapshot.resources.push_back(row);
    for (const auto& [id, row] : agents_) snapshot.agents.push_back(row);
    return snapshot;
  }

  const std::map<std::string, Job>& jobs() const { return jobs_; }
  const std::map<Fence, Attempt>& attempts() const { return attempts_; }
  const std::map<std::string, Device>& devices() const { return devices_; }
  const std::vector<FarmEvent>& events() const { return events_; }
  const std::vector<AttemptResults>& results() const { return results_; }
  const std::vector<AttemptReason>& reasons() const { return reasons_; }

 private:
  void Put(const Experiment& row) {
    experiments_[row.id] = row;
    counters_.last_experiment =
        std::max<std::int64_t>(counters_.last_experiment, std::stoll(row.id.substr(4)));
  }
  void Put(const Job& row) {
    jobs_[row.id] = row;
    counters_.last_job = std::max(counters_.last_job, row.number);
  }
  void Put(const Attempt& row) {
    attempts_[row.fence] = row;
    counters_.last_fence = std::max(counters_.last_fence, row.fence);
  }
  void Put(const Device& row) { devices_[row.id] = row; }
  void Put(const Resource& row) { resources_[row.id] = row; }
  void Put(const Agent& row) { agents_[row.id] = row; }
  void Put(const AttemptReason& row) { reasons_.push_back(row); }
  void Put(const FarmEvent& row) { events_.push_back(row); }
  void Put(const Artifact&) {}
  void Put(const AttemptResults& row) { results_.push_back(row); }
  void Put(const EpochTaken& row) { counters_.last_epoch = row.epoch; }
  void Put(const FenceBumped& row) {
    counters_.last_fence = std::max(counters_.last_fence, row.fence);
  }

  FarmSnapshot counters_;
  std::map<std::string, Experiment> experiments_;
  std::map<std::string, Job> jobs_;
  std::map<Fence, Attempt> attempts_;
  std::map<std::string, Device> devices_;
  std::map<std::string, Resource> resources_;
  std::map<std::string, Agent> agents_;
  std::vector<FarmEvent> events_;
  std::vector<AttemptResults> results_;
  std::vector<AttemptReason> reasons_;
};

}  // namespace joulefarm::controller
