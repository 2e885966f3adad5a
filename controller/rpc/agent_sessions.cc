#include "controller/rpc/agent_sessions.h"

#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "controller/rpc/status.h"
#include "controller/rpc/stream_writer.h"

namespace joulefarm::controller {

namespace {

constexpr std::size_t kMostQueued = 4096;
// An agent keeps at most about 1 MiB unacknowledged, in however many batches: more than this
// waiting for the store means that it does not.
constexpr std::int64_t kMostBytesInFlight = std::int64_t{4} << 20;
// What a batch costs besides its bytes, so that empty ones count, too.
constexpr std::int64_t kBatchBytes = 1024;
constexpr std::size_t kLongestId = 128;
// Questions for telemetry give way to everything else: none is put where so much waits already.
constexpr std::size_t kBusy = 16;

}  // namespace

class ControlStream : public grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage> {
 public:
  ControlStream(AgentSessions& sessions, SessionId session)
      : sessions_(sessions),
        host_(sessions.host_),
        session_(session),
        writer_(*this, kMostQueued) {}

  void Begin() { StartRead(&incoming_); }
  void Send(v1::ControllerMessage message) { writer_.Send(std::move(message)); }
  bool SendUnlessBusy(v1::ControllerMessage message) {
    return writer_.SendUnlessBusy(std::move(message), kBusy);
  }
  void Close(grpc::Status status) { writer_.Close(std::move(status)); }

  // On the strand, when the Welcome is on its way: the devices of the Hello that were not refused.
  std::vector<std::string> DevicesOf(const v1::Welcome& welcome) const {
    std::vector<std::string> devices;
    for (const std::string& id : announced_) {
      if (welcome.refused_devices().count(id) == 0) devices.push_back(id);
    }
    return devices;
  }

  void OnReadDone(bool ok) override {
    const std::int64_t arrived_ns = sessions_.read_clocks_().boot_ns;
    if (!ok) {
      writer_.Close(grpc::Status::OK);
      return;
    }
    if (greeted_ && incoming_.has_clock_probe()) {
      AnswerProbe(incoming_.clock_probe(), arrived_ns);
    } else if (!Take(std::move(incoming_))) {
      return;
    }
    incoming_ = {};
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override { writer_.OnWriteDone(ok); }
  void OnCancel() override {
    writer_.Close(grpc::Status(grpc::StatusCode::CANCELLED, "the agent hung up"));
  }
  void OnDone() override {
    sessions_.telemetry_.Gone(session_);
    host_.OnGone(session_);
    sessions_.Forget(session_);  // the last owner: nothing after this line
  }

 private:
  // Here and now: what the farm is busy with must not be in the stamps. A probe does not renew the
  // lease either, which is the farm's; heartbeats do.
  void AnswerProbe(const v1::ClockProbe& probe, std::int64_t arrived_ns) {
    v1::ControllerMessage message;
    v1::ClockReply& reply = *message.mutable_clock_reply();
    reply.set_seq(probe.seq());
    reply.set_t1_ns(probe.t1_ns());
    reply.set_t2_ns(arrived_ns);
    reply.set_boot_id(sessions_.boot_id_);
    writer_.SendFirst(std::move(message), [this](v1::ControllerMessage& to_send) {
      const ClockReading now = sessions_.read_clocks_();
      to_send.mutable_clock_reply()->set_t3_ns(now.boot_ns);
      if (now.raw_ns) to_send.mutable_clock_reply()->set_raw_ns(*now.raw_ns);
    });
  }

  // False when the stream is to end.
  bool Take(v1::AgentMessage message) {
    if (message.has_hello()) return TakeHello(std::move(*message.mutable_hello()));
    if (!greeted_) {
      Close({grpc::StatusCode::INVALID_ARGUMENT, "the first message of Control must be a Hello"});
      return false;
    }
    AgentAlive alive{session_, std::nullopt};
    if (message.has_heartbeat()) alive.heartbeat_seq = message.heartbeat().seq();
    host_.OnInput(alive);
    if (message.has_grant_reply())
      host_.OnInput(GrantReplied{session_, std::move(*message.mutable_grant_reply())});
    if (message.has_attempt_report()) {
      host_.OnInput(AttemptReported{session_, std::move(*message.mutable_attempt_report())});
    }
    if (message.has_device_report()) {
      host_.OnInput(DeviceReported{session_, std::move(*message.mutable_device_report())});
    }
    if (message.has_resource_report()) {
      host_.OnInput(ResourceReported{session_, std::move(*message.mutable_resource_report())});
    }
    if (message.has_telemetry()) sessions_.telemetry_.Received(session_, message.telemetry());
    return true;
  }

  bool TakeHello(v1::Hello hello) {
    if (greeted_ || hello.agent_id().empty() || hello.agent_id().size() > kLongestId) {
      Close({grpc::StatusCode::INVALID_ARGUMENT,
             greeted_ ? "a second Hello on one Control stream"
                      : "Hello.agent_id must have 1 to 128 characters"});
      return false;
    }
    greeted_ = true;
    for (const v1::DeviceAnnouncement& device : hello.devices())
      announced_.push_back(device.device_id());
    host_.OnHello(session_, std::move(hello));
    return true;
  }

  AgentSessions& sessions_;
  FarmHost& host_;
  const SessionId session_;
  StreamWriter<ControlStream, v1::ControllerMessage> writer_;
  v1::AgentMessage incoming_;
  bool greeted_ = false;                // reading side only
  std::vector<std::string> announced_;  // not changed once the Hello is handed on
};

class UploadStream : public grpc::ServerBidiReactor<v1::UploadRequest, v1::UploadResponse> {
 public:
  explicit UploadStream(AgentSessions& sessions)
      : sessions_(sessions), writer_(*this, kMostQueued) {}

  void Begin() { StartRead(&incoming_); }
  void Close(grpc::Status status) { writer_.Close(std::move(status)); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      writer_.Close(grpc::Status::OK);
      return;
    }
    if (!Take(std::move(incoming_))) return;
    incoming_ = {};
    // Only here: outside a reaction the call may be gone already.
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override { writer_.OnWriteDone(ok); }
  void OnCancel() override {
    writer_.Close(grpc::Status(grpc::StatusCode::CANCELLED, "the agent hung up"));
  }
  void OnDone() override { sessions_.Forget(this); }

 private:
  bool Take(v1::UploadRequest request) {
    if (!named_) {
      if (!request.has_hello()) {
        Close({grpc::StatusCode::INVALID_ARGUMENT,
               "the first message of Upload must be an UploadHello"});
        return false;
      }
      if (!sessions_.IsCurrent(request.hello().agent_id(), request.hello().session_epoch())) {
        Close({grpc::StatusCode::FAILED_PRECONDITION, "this is not the agent's current session"});
        return false;
      }
      named_ = true;
      return true;
    }
    const std::int64_t bytes = kBatchBytes + static_cast<std::int64_t>(request.ByteSizeLong());
    std::vector<v1::Frame> frames;
    for (v1::Frame& frame : *request.mutable_frames()->mutable_frames())
      frames.push_back(std::move(frame));
    if ((in_flight_bytes_ += bytes) > kMostBytesInFlight) {
      Close({grpc::StatusCode::RESOURCE_EXHAUSTED,
             "too many frames sent without waiting for acknowledgements"});
      return false;
    }
    // The stream stays alive until the store has answered.
    std::shared_ptr<UploadStream> self = sessions_.Keep(this);
    if (self == nullptr) return false;
    sessions_.host_.OnFrames(std::move(frames),
                             [self, bytes](absl::StatusOr<v1::UploadResponse> response) {
                               self->Stored(std::move(response));
                               self->in_flight_bytes_ -= bytes;
                             });
    return true;
  }

  void Stored(absl::StatusOr<v1::UploadResponse> response) {
    if (!response.ok()) {
      Close({grpc::StatusCode::UNAVAILABLE,
             "the controller cannot write: " + std::string(response.status().message())});
    } else {
      writer_.Send(*std::move(response));
    }
  }

  AgentSessions& sessions_;
  StreamWriter<UploadStream, v1::UploadResponse> writer_;
  v1::UploadRequest incoming_;
  bool named_ = false;  // reading side only
  std::atomic<std::int64_t> in_flight_bytes_{0};
};

AgentSessions::AgentSessions(FarmHost& host, std::function<ClockReading()> read_clocks,
                             std::string boot_id)
    : host_(host),
      read_clocks_(std::move(read_clocks)),
      boot_id_(std::move(boot_id)),
      telemetry_([this] { return read_clocks_().boot_ns; },
                 [this](SessionId session, const v1::WatchDevice& watch) {
                   return Watch(session, watch);
                 }) {}

grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* AgentSessions::Control(
    grpc::CallbackServerContext*) {
  const SessionId session = host_.NewSession();
  auto stream = std::make_shared<ControlStream>(*this, session);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    controls_[session] = stream;
  }
  stream->Begin();
  return stream.get();
}

grpc::ServerBidiReactor<v1::UploadRequest, v1::UploadResponse>* AgentSessions::Upload(
    grpc::CallbackServerContext*) {
  auto stream = std::make_shared<UploadStream>(*this);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    uploads_[stream.get()] = stream;
  }
  stream->Begin();
  return stream.get();
}

std::shared_ptr<ControlStream> AgentSessions::Find(SessionId session) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = controls_.find(session);
  return it == controls_.end() ? nullptr : it->second;
}

std::shared_ptr<UploadStream> AgentSessions::Keep(UploadStream* upload) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = uploads_.find(upload);
  return it == uploads_.end() ? nullptr : it->second;
}

void AgentSessions::Forget(SessionId session) {
  std::shared_ptr<ControlStream> last;  // destroyed after the lock
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const auto it = controls_.find(session); it != controls_.end()) {
    last = std::move(it->second);
    controls_.erase(it);
  }
  for (auto it = epochs_.begin(); it != epochs_.end();) {
    it = it->second.second == session ? epochs_.erase(it) : std::next(it);
  }
}

void AgentSessions::Forget(UploadStream* upload) {
  std::shared_ptr<UploadStream> last;  // destroyed after the lock
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const auto it = uploads_.find(upload); it != uploads_.end()) {
    last = std::move(it->second);
    uploads_.erase(it);
  }
}

bool AgentSessions::IsCurrent(const std::string& agent_id, std::int64_t epoch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = epochs_.find(agent_id);
  return it != epochs_.end() && it->second.first == epoch;
}

void AgentSessions::Send(SessionId session, v1::ControllerMessage message) {
  const auto stream = Find(session);
  if (stream == nullptr) return;
  std::optional<std::vector<std::string>> devices;
  if (message.has_welcome()) devices = stream->DevicesOf(message.welcome());
  if (message.has_grant() && message.grant().source() > 0)
    telemetry_.Helps(session, message.grant().device_id(), message.grant().fence());
  if (message.has_release()) telemetry_.Released(session, message.release().fence());
  stream->Send(std::move(message));
  // After the Welcome, which must be the first message of the stream.
  if (devices) telemetry_.Opened(session, *devices);
}

bool AgentSessions::Watch(SessionId session, const v1::WatchDevice& watch) {
  const auto stream = Find(session);
  if (stream == nullptr) return false;
  v1::ControllerMessage message;
  *message.mutable_watch() = watch;
  return stream->SendUnlessBusy(std::move(message));
}

void AgentSessions::Close(SessionId session, const absl::Status& status) {
  if (const auto stream = Find(session)) stream->Close(ToGrpc(status));
}

void AgentSessions::Opened(SessionId session, const std::string& agent_id, std::int64_t epoch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  epochs_[agent_id] = {epoch, session};
}

void AgentSessions::GoesOn(SessionId session, const std::string& device, Fence fence) {
  telemetry_.Helps(session, device, fence);
  // It hung up meanwhile: nobody else would say so again.
  if (Find(session) == nullptr) telemetry_.Gone(session);
}

void AgentSessions::CloseAll(const absl::Status& status) {
  std::vector<std::shared_ptr<ControlStream>> controls;
  std::vector<std::shared_ptr<UploadStream>> uploads;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [session, stream] : controls_) controls.push_back(stream);
    for (const auto& [key, stream] : uploads_) uploads.push_back(stream);
  }
  for (const auto& stream : controls) stream->Close(ToGrpc(status));
  for (const auto& stream : uploads) stream->Close(ToGrpc(status));
}

}  // namespace joulefarm::controller
