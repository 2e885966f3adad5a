// What the controller knows: jobs, attempts, devices, agents, as plain values.
//
// Thread rule: plain data, no locking; the farm strand owns the live instances, the store copies
// them. Ownership: values. Times named *_wall_ns are nanoseconds since the Unix epoch, *_boot_ns of
// the controller's CLOCK_BOOTTIME.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "joulefarm/v1/device.pb.h"
#include "joulefarm/v1/job.pb.h"
#include "joulefarm/v1/lease.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {

// An attempt's identity; counted by the farm, never reused. 0 is no fence.
using Fence = std::int64_t;

// Both clocks read together. Limits of operators run on wall time, leases on boot time.
struct Instant {
  std::int64_t boot_ns = 0;
  std::int64_t wall_ns = 0;
};

struct Experiment {
  std::string id;  // "exp-1"
  std::string name;
  std::string tenant;
  std::string request_id;  // empty: none
  std::string sha256;      // of the expansion
  std::string text;        // the file as submitted
  std::string overrides;   // what --set changed in it: a JSON list of KEY=VALUE; empty: nothing
  std::int64_t seed = 0;
  std::int64_t submitted_wall_ns = 0;
  std::vector<std::string> job_ids;
};

struct Job {
  std::string id;           // "job-1"
  std::int64_t number = 0;  // the number in the id: age order
  std::string experiment;   // experiment id
  std::shared_ptr<const v1::JobSpec> spec;
  std::string device_id;  // where it is to run
  bool pinned = false;    // it may not move to another device
  std::string selector;   // what another device would have to match
  int priority = 2;       // 0 urgent … 4 background
  int retries_left = 0;
  std::int64_t lost_after_ns = 0;
  v1::JobState state = v1::JOB_STATE_QUEUED;
  v1::FailureClass failure_class = v1::FAILURE_CLASS_UNSPECIFIED;
  std::string reason;
  int attempts = 0;
  std::optional<Fence> live_fence;      // whose frames are accepted
  std::optional<Fence> accepted_fence;  // whose result is the job's
  std::int64_t submitted_wall_ns = 0;
  std::optional<std::int64_t> started_wall_ns;
  std::optional<std::int64_t> finished_wall_ns;
};

// Who sends frames of an attempt beside the device's own agent, which is source 0: an agent with
// resources that were leased together with the device.
struct Helper {
  int source = 0;  // from 1
  std::string agent_id;
  v1::AttemptState state = v1::ATTEMPT_STATE_OFFERED;  // LOST: closed by the controller
  bool released = false;                               // it was told to end
  std::string reason;
};

struct Attempt {
  Fence fence = 0;
  std::string job_id;
  std::string device_id;
  std::string agent_id;
  v1::AttemptState state = v1::ATTEMPT_STATE_OFFERED;
  v1::DeviceLink link = v1::DEVICE_LINK_ONLINE;
  std::string detail;
  v1::FailureClass failure_class = v1::FAILURE_CLASS_UNSPECIFIED;
  std::string reason;
  std::int64_t offered_wall_ns = 0;
  std::optional<std::int64_t> ended_wall_ns;
  std::vector<v1::GrantedResource> resources;  // leased together with the device
  std::vector<Helper> helpers;
};

struct Device {
  std::string id;
  std::string agent_id;
  v1::DeviceLink link = v1::DEVICE_LINK_OFFLINE;
  v1::DeviceAlloc alloc = v1::DEVICE_ALLOC_FREE;
  v1::DeviceAdmin admin = v1::DEVICE_ADMIN_ENABLED;
  v1::DeviceHealth health = v1::DEVICE_HEALTH_GOOD;
  std::string gate_reason;
  std::map<std::string, std::string> labels;
  v1::DeviceFacts facts;
  std::optional<Fence> fence;             // of the attempt that holds it
  std::string health_reason;              // why it is not GOOD; empty: it is
  std::string failed_job;                 // of class DEVICE, since one succeeded; empty: none
  std::string health_check;               // the job that decides on it; empty: none is on its way
  std::optional<v1::MeterBinding> meter;  // in its supply; absent: none
  std::string port;                       // resource id of the port it hangs on; empty: none
};

// A meter, switchable port or relay: exclusive like a device, with the same columns.
struct Resource {
  std::string id;
  std::string agent_id;
  v1::ResourceKind kind = v1::RESOURCE_KIND_UNSPECIFIED;
  v1::DeviceLink link = v1::DEVICE_LINK_OFFLINE;
  v1::DeviceAlloc alloc = v1::DEVICE_ALLOC_FREE;
  v1::DeviceAdmin admin = v1::DEVICE_ADMIN_ENABLED;
  v1::DeviceHealth health = v1::DEVICE_HEALTH_GOOD;
  std::string gate_reason;
  std::optional<Fence> fence;  // of the attempt that holds it
  std::map<std::string, std::string> labels;
  std::string model;
  std::optional<std::string> serial;
  std::string place;
  std::vector<v1::ChannelInfo> channels;
  std::string obstacle;  // why it cannot be used now; empty: it can
};

struct Agent {
  std::string id;
  std::string boot_id;
  std::string instance;
  std::string version;
  v1::DeviceLink link = v1::DEVICE_LINK_OFFLINE;
  std::int64_t session_epoch = 0;
  std::int64_t last_seen_wall_ns = 0;
};

// Something about the farm that an operator may want to know later.
struct FarmEvent {
  std::int64_t t_wall_ns = 0;
  std::string kind;     // "job", "attempt", "device", "resource", "agent", "farm"
  std::string subject;  // id
  std::string text;
};

// A source's last word that is durable.
struct SourceFinal {
  Fence fence = 0;
  int source = 0;
  v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
  std::string reason = {};

  bool operator==(const SourceFinal&) const = default;
};

// Everything the farm needs to go on after a restart.
struct FarmSnapshot {
  Fence last_fence = 0;
  std::int64_t last_experiment = 0;  // highest number in an experiment id
  std::int64_t last_job = 0;
  std::int64_t last_epoch = 0;
  std::vector<Experiment> experiments;
  std::vector<Job> jobs;          // every job; terminal ones without spec
  std::vector<Attempt> attempts;  // not terminal, or of a job that is not
  std::vector<Device> devices;
  std::vector<Resource> resources;
  std::vector<Agent> agents;
  std::vector<SourceFinal> finals;  // of attempts whose results are not computed yet
};

}  // namespace joulefarm::controller
