#include "tests/sim/sim_agent.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/crc32c/crc32c.h"

namespace joulefarm::sim {

using agent::Fence;

namespace {

constexpr std::size_t kWindow = 8;

v1::Frame MakeFrame(const v1::Grant& grant, v1::Stream stream, std::int64_t seq,
                    const google::protobuf::Message& payload) {
  v1::Frame frame;
  frame.set_fence(grant.fence());
  frame.set_source(grant.source());
  frame.set_stream(stream);
  frame.set_seq(seq);
  frame.set_payload(payload.SerializeAsString());
  frame.set_crc32c(Crc32c(frame.payload()));
  return frame;
}

}  // namespace

void SimAgent::Start() {
  agent::SessionOptions options;
  options.agent_id = host_.id;
  options.boot_id = "boot";
  options.instance = absl::StrCat(host_.id, "/", ++life_);
  options.high_water = high_water_;
  options.random = [this] { return world_.Fraction(); };
  v1::DeviceAnnouncement device;
  device.set_device_id(host_.id);
  device.set_clean(true);
  device.mutable_facts()->set_os("linux");
  if (host_.meter) *device.mutable_meter() = *host_.meter;
  options.devices.push_back(device);
  for (const std::string& serial : host_.meters) {
    v1::ResourceAnnouncement& meter = options.resources.emplace_back();
    meter.set_resource_id("meter:sim:" + serial);
    meter.set_kind(v1::RESOURCE_KIND_METER);
    meter.set_serial(serial);
  }
  for (auto& [fence, kept] : disk_) {
    const bool interrupted = !kept.ended;
    if (interrupted) AddFinal(kept, v1::OUTCOME_INTERRUPTED, v1::FAILURE_CLASS_INFRA);
    kept.ended = true;
    options.kept.push_back(
        {fence, kept.grant.device_id(), kept.grant.job_id(), kept.grant.source(),
         interrupted ? v1::ATTEMPT_STATE_INTERRUPTED : v1::ATTEMPT_STATE_UPLOADING});
  }
  session_ = std::make_unique<agent::Session>(std::move(options));
  Tell(agent::StartRequested{});
}

void SimAgent::Kill() {
  ++life_;
  session_.reset();
  timers_.clear();
  for (const Fence fence : std::exchange(running_, {})) LeaveAll(fence);
  uploading_ = in_flight_ = false;
  if (link_ != nullptr) controller_.Cut(link_, absl::UnavailableError("the agent is gone"));
  link_.reset();
  world_.After(world_.Between(100 * kMs, 120 * kSecond), [this] {
    if (session_ == nullptr) Start();
  });
}

void SimAgent::GiveUp() {
  for (const Fence fence : std::set(running_)) {
    Tell(agent::AttemptRefused{
        .fence = fence, .stream = v1::STREAM_EVENT, .detail = "frames are gone"});
  }
}

void SimAgent::Tell(const agent::Event& event) {
  if (session_ == nullptr) return;
  const std::int64_t life = life_;
  for (const agent::Effect& effect : session_->Handle(event, world_.now())) {
    if (life != life_) return;
    Do(effect);
  }
}

void SimAgent::Do(const agent::Effect& effect) {
  if (const auto* connect = std::get_if<agent::Connect>(&effect)) {
    connection_ = connect->connection;
    link_ = controller_.Dial(*this);
    if (link_ == nullptr) {
      world_.After(kMs, [this, life = life_, connection = connection_] {
        if (life == life_)
          Tell(
              agent::LinkLost{connection, agent::Rpc::kControl, absl::UnavailableError("refused")});
      });
      return;
    }
    link_->id = connection_;
    v1::AgentMessage message;
    *message.mutable_hello() = connect->hello;
    controller_.FromAgent(link_, std::move(message));
  } else if (std::get_if<agent::Disconnect>(&effect) != nullptr) {
    if (link_ != nullptr) controller_.Cut(link_, absl::CancelledError("hung up"));
    link_.reset();
    uploading_ = in_flight_ = false;
  } else if (const auto* upload = std::get_if<agent::OpenUpload>(&effect)) {
    epoch_ = upload->session_epoch;
    for (const v1::StreamCursor& cursor : upload->cursors) {
      const auto it = disk_.find(cursor.fence());
      if (it == disk_.end()) continue;
      if (cursor.stream() == v1::STREAM_EVENT) it->second.acked_events = cursor.last_seq();
      if (cursor.stream() == v1::STREAM_FINAL) it->second.acked_final = cursor.last_seq() > 0;
    }
    uploading_ = true;
    in_flight_ = false;
    std::vector<Fence> fences;
    for (const auto& [fence, kept] : disk_) fences.push_back(fence);
    world_.After(0, [this, life = life_, fences] {
      if (life != life_) return;
      for (const Fence fence : fences) CheckUploaded(fence);
      Pump();
    });
  } else if (const auto* send = std::get_if<agent::Send>(&effect)) {
    if (link_ != nullptr && send->connection == connection_)
      controller_.FromAgent(link_, send->message);
  } else if (const auto* persist = std::get_if<agent::PersistGrant>(&effect)) {
    Kept kept;
    kept.grant = persist->grant;
    Fence& mark = high_water_[persist->grant.device_id()];
    mark = std::max(mark, persist->grant.fence());
    disk_[persist->grant.fence()] = std::move(kept);
    world_.After(kMs, [this, life = life_, fence = persist->grant.fence()] {
      if (life == life_) Tell(agent::GrantPersisted{fence, absl::OkStatus()});
    });
  } else if (const auto* start = std::get_if<agent::StartAttempt>(&effect)) {
    Run(start->grant);
  } else if (const auto* stop = std::get_if<agent::StopAttempt>(&effect)) {
    const v1::Outcome outcome =
        stop->why == agent::StopWhy::kReleased ? v1::OUTCOME_SUCCEEDED : v1::OUTCOME_CANCELED;
    world_.After(world_.Between(kMs, 2 * kSecond),
                 [this, life = life_, fence = stop->fence, outcome] {
                   if (life == life_ && running_.count(fence) > 0)
                     EndRun(fence, outcome, v1::FAILURE_CLASS_UNSPECIFIED);
                 });
  } else if (const auto* forget = std::get_if<agent::ForgetAttempt>(&effect)) {
    disk_.erase(forget->fence);
  } else if (const auto* arm = std::get_if<agent::ArmTimer>(&effect)) {
    const std::int64_t mine = timers_[arm->timer] = ++timer_generation_;
    const std::int64_t delay = std::max<std::int64_t>(0, arm->deadline_ns - world_.now());
    world_.After(delay, [this, life = life_, timer = arm->timer, mine] {
      if (life == life_ && timers_[timer] == mine) Tell(agent::TimerFired{timer});
    });
  } else if (const auto* disarm = std::get_if<agent::DisarmTimer>(&effect)) {
    timers_[disarm->timer] = ++timer_generation_;
  } else if (std::get_if<agent::Exit>(&effect) != nullptr) {
    // Its supervisor starts it again.
    world_.After(0, [this, life = life_] {
      if (life == life_) Kill();
    });
  }
}

void SimAgent::Run(const v1::Grant& grant) {
  const Fence fence = grant.fence();
  const auto [it, fresh] = witness_.executed.emplace(std::pair(fence, grant.source()), host_.id);
  if (!fresh)
    witness_.violations.push_back(absl::StrCat("fence ", fence, " source ", grant.source(),
                                               " executed twice, by ", it->second, " and ",
                                               host_.id));
  running_.insert(fence);
  UseMeters(grant);
  Tell(agent::AttemptMoved{fence, v1::ATTEMPT_STATE_RUNNING, ""});
  if (grant.source() == 0) {
    Drive(grant);
  } else if (world_.Chance(meter_fails_)) {
    EndRun(fence, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_INFRA);
  } else {
    Measure(fence);
  }
}

void SimAgent::UseMeters(const v1::Grant& grant) {
  for (const v1::GrantedResource& resource : grant.resources()) {
    if (resource.source() != grant.source()) continue;
    const auto [it, fresh] = witness_.on_meter.emplace(resource.resource_id(), grant.fence());
    if (!fresh) {
      witness_.violations.push_back(
          absl::StrCat(resource.resource_id(), " measures ", it->second, " and ", grant.fence()));
    }
  }
}

void SimAgent::LeaveAll(Fence fence) {
  if (const auto it = disk_.find(fence); it != disk_.end() && it->second.grant.source() == 0)
    witness_.on_device.erase(host_.id);
  for (const std::string& serial : host_.meters) {
    const auto it = witness_.on_meter.find("meter:sim:" + serial);
    if (it != witness_.on_meter.end() && it->second == fence) witness_.on_meter.erase(it);
  }
}

void SimAgent::Drive(const v1::Grant& grant) {
  const Fence fence = grant.fence();
  const auto busy = witness_.on_device.find(host_.id);
  if (busy != witness_.on_device.end()) {
    witness_.violations.push_back(
        absl::StrCat("device ", host_.id, " runs ", busy->second, " and ", fence));
  }
  witness_.on_device[host_.id] = fence;
  if (!grant.resources().empty()) {
    witness_.measured.insert(fence);
    for (const auto& [device, other] : witness_.on_device) {
      const auto meter = witness_.meter_of.find(device);
      if (device == host_.id || meter == witness_.meter_of.end() ||
          meter->second != witness_.meter_of.at(host_.id)) {
        continue;
      }
      witness_.violations.push_back(absl::StrCat("device ", device, " draws in attempt ", other,
                                                 " through the meter of attempt ", fence));
    }
  }
  std::int64_t at = 0;
  for (int run = 0; run < grant.spec().repetitions(); ++run) {
    at += world_.Between(kSecond, 40 * kSecond);
    world_.After(at, [this, life = life_, fence, run] {
      if (life != life_ || running_.count(fence) == 0 || disk_.count(fence) == 0) return;
      AddRun(disk_.at(fence), run);
      Pump();
    });
  }
  const bool fault = device_faults_ > 0 && world_.Chance(device_faults_);
  world_.After(at + kSecond, [this, life = life_, fence, fault] {
    if (life != life_ || running_.count(fence) == 0) return;
    if (fault) {
      EndRun(fence, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_DEVICE);
    } else {
      EndRun(fence, v1::OUTCOME_SUCCEEDED, v1::FAILURE_CLASS_UNSPECIFIED);
    }
  });
}

// One sample after the other, until it is told to stop.
void SimAgent::Measure(Fence fence) {
  if (disk_.count(fence) == 0) return;
  AddNote(disk_.at(fence), "sample");
  Pump();
  world_.After(world_.Between(kSecond, 10 * kSecond), [this, life = life_, fence] {
    if (life == life_ && running_.count(fence) > 0) Measure(fence);
  });
}

void SimAgent::EndRun(Fence fence, v1::Outcome outcome, v1::FailureClass failure) {
  running_.erase(fence);
  LeaveAll(fence);
  if (const auto it = disk_.find(fence); it != disk_.end()) {
    if (it->second.grant.source() != 0 && outcome == v1::OUTCOME_SUCCEEDED)
      AddNote(it->second, "samples");
    AddFinal(it->second, outcome, failure);
    it->second.ended = true;
  }
  Tell(agent::AttemptEnded{.fence = fence, .clean = true});
  Pump();
}

void SimAgent::AddEvent(Kept& kept, v1::Event event) {
  event.set_t_ns(world_.now());
  v1::EventBatch batch;
  *batch.add_events() = std::move(event);
  kept.events.push_back(MakeFrame(kept.grant, v1::STREAM_EVENT,
                                  static_cast<std::int64_t>(kept.events.size()) + 1, batch));
}

void SimAgent::AddRun(Kept& kept, int run) {
  v1::Event event;
  event.mutable_run()->set_run(run);
  event.mutable_run()->set_start_ns(world_.now() - kSecond);
  event.mutable_run()->set_end_ns(world_.now());
  AddEvent(kept, std::move(event));
}

// With how many there were before.
void SimAgent::AddNote(Kept& kept, const std::string& name) {
  v1::Event event;
  event.mutable_note()->set_name(name);
  event.mutable_note()->set_text(absl::StrCat(kept.events.size()));
  AddEvent(kept, std::move(event));
}

void SimAgent::AddFinal(Kept& kept, v1::Outcome outcome, v1::FailureClass failure) {
  if (!kept.final.empty()) return;
  v1::Final final;
  final.set_outcome(outcome);
  final.set_failure_class(failure);
  final.set_clean(true);
  if (!kept.events.empty()) {
    v1::StreamCursor& last = *final.add_last();
    last.set_fence(kept.grant.fence());
    last.set_source(kept.grant.source());
    last.set_stream(v1::STREAM_EVENT);
    last.set_last_seq(static_cast<std::int64_t>(kept.events.size()));
  }
  kept.final.push_back(MakeFrame(kept.grant, v1::STREAM_FINAL, 1, final));
}

// One batch in flight at a time; the next goes when the answer is here.
void SimAgent::Pump() {
  if (!uploading_ || in_flight_ || link_ == nullptr) return;
  std::vector<v1::Frame> frames;
  for (const auto& [fence, kept] : disk_) {
    for (const v1::Frame& frame : kept.events) {
      if (frame.seq() > kept.acked_events && frames.size() < kWindow) frames.push_back(frame);
    }
    if (!kept.final.empty() && !kept.acked_final && frames.size() < kWindow)
      frames.push_back(kept.final.front());
  }
  if (frames.empty()) return;
  in_flight_ = true;
  controller_.Upload(link_, epoch_, std::move(frames));
}

void SimAgent::OnUploadResponse(const std::shared_ptr<Link>& link,
                                const v1::UploadResponse& response) {
  if (link != link_ || session_ == nullptr) return;
  in_flight_ = false;
  std::set<Fence> touched;
  for (const v1::StreamCursor& ack : response.acks()) {
    const auto it = disk_.find(ack.fence());
    if (it == disk_.end()) continue;
    if (ack.stream() == v1::STREAM_EVENT)
      it->second.acked_events = std::max(it->second.acked_events, ack.last_seq());
    if (ack.stream() == v1::STREAM_FINAL) it->second.acked_final = true;
    touched.insert(ack.fence());
  }
  for (const v1::StreamCursor& resume : response.resume_from()) {
    const auto it = disk_.find(resume.fence());
    if (it != disk_.end() && resume.stream() == v1::STREAM_EVENT)
      it->second.acked_events = resume.last_seq();
  }
  // A stream that is refused is forgotten.
  for (const v1::FrameRejected& rejected : response.rejected()) {
    const auto it = disk_.find(rejected.fence());
    if (it == disk_.end()) continue;
    if (rejected.stream() == v1::STREAM_EVENT)
      it->second.acked_events = static_cast<std::int64_t>(it->second.events.size());
    Tell(agent::AttemptRefused{
        .fence = rejected.fence(), .stream = rejected.stream(), .detail = rejected.code()});
  }
  for (const Fence fence : touched) CheckUploaded(fence);
  Pump();
}

void SimAgent::CheckUploaded(Fence fence) {
  const auto it = disk_.find(fence);
  if (it == disk_.end() || !it->second.ended || !it->second.acked_final) return;
  if (it->second.acked_events < static_cast<std::int64_t>(it->second.events.size())) return;
  Tell(agent::AttemptUploaded{fence});
}

void SimAgent::FromController(const std::shared_ptr<Link>& link,
                              const v1::ControllerMessage& message) {
  if (link != link_) return;
  if (message.has_welcome()) Tell(agent::WelcomeReceived{connection_, message.welcome()});
  if (message.has_grant()) Tell(agent::GrantReceived{connection_, message.grant()});
  if (message.has_release()) Tell(agent::ReleaseReceived{connection_, message.release()});
  if (message.has_cancel()) Tell(agent::CancelReceived{connection_, message.cancel()});
  if (message.has_heartbeat_ack())
    Tell(agent::HeartbeatAckReceived{connection_, message.heartbeat_ack()});
}

void SimAgent::OnLinkLost(const std::shared_ptr<Link>& link, const absl::Status& status) {
  if (link != link_) return;
  uploading_ = in_flight_ = false;
  Tell(agent::LinkLost{connection_, agent::Rpc::kControl, status});
}

}  // namespace joulefarm::sim
