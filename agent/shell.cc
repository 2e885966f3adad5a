// The shell: events in, effects out.
#include "agent/shell.h"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "agent/host/clock.h"
#include "agent/run/helper_runner.h"

namespace joulefarm::agent {

namespace asio = boost::asio;

void Say(Severity severity, const std::string& text) {
  switch (severity) {
    case Severity::kInfo:
      spdlog::info("{}", text);
      return;
    case Severity::kWarning:
      spdlog::warn("{}", text);
      return;
    case Severity::kError:
      spdlog::error("{}", text);
      return;
  }
}

void Agent::Shell::Feed(Event event) {
  asio::post(io_, [this, event = std::move(event)] {
    for (Effect& effect : session_->Handle(event, BoottimeNs())) {
      std::visit([this](auto& e) { Do(e); }, effect);
    }
  });
}

void Agent::Shell::Received(Connection connection, v1::ControllerMessage message,
                            std::int64_t arrived_ns) {
  switch (message.body_case()) {
    case v1::ControllerMessage::kWelcome:
      clock_prober_->Online(connection, message.welcome().heartbeat_ns());
      Feed(WelcomeReceived{connection, std::move(*message.mutable_welcome())});
      return;
    case v1::ControllerMessage::kGrant:
      Feed(GrantReceived{connection, std::move(*message.mutable_grant())});
      return;
    case v1::ControllerMessage::kCancel:
      Feed(CancelReceived{connection, std::move(*message.mutable_cancel())});
      return;
    case v1::ControllerMessage::kHeartbeatAck:
      Feed(HeartbeatAckReceived{connection, std::move(*message.mutable_heartbeat_ack())});
      return;
    case v1::ControllerMessage::kWatch:
      if (telemetry_ != nullptr) telemetry_->Ask(connection, message.watch());
      return;
    case v1::ControllerMessage::kClockReply:
      clock_prober_->Replied(connection, message.clock_reply(), arrived_ns);
      return;
    case v1::ControllerMessage::kRelease:
      Feed(ReleaseReceived{connection, message.release()});
      return;
    case v1::ControllerMessage::BODY_NOT_SET:
      return;
  }
}

void Agent::Shell::SpoolFailed(const absl::Status& status) {
  const std::string text =
      absl::StrCat("the agent cannot keep what it observes: ", status.message());
  Say(Severity::kError, text);
  for (const auto& [fence, runner] : runners_) {
    runner->Stop({fence, StopWhy::kSpoolFailed, v1::FAILURE_CLASS_INFRA, text});
  }
}

void Agent::Shell::Do(StartAttempt& effect) {
  const Fence fence = effect.grant.fence();
  Say(Severity::kInfo, absl::StrCat(effect.grant.source() == 0 ? "" : "measuring for ", "attempt ",
                                    fence, " of job ", effect.grant.job_id(), " begins"));
  RunCallbacks callbacks;
  callbacks.moved = [this](Fence moved, v1::AttemptState state, const std::string& detail) {
    Feed(AttemptMoved{moved, state, detail});
  };
  callbacks.ended = [this](Fence ended, bool clean) { Feed(AttemptEnded{ended, clean}); };
  callbacks.stored = [this](Fence ended, const absl::Status& stored) {
    asio::post(io_, [this, ended] {
      Say(Severity::kInfo, absl::StrCat("attempt ", ended, " is over"));
      runners_.erase(ended);
    });
    if (!stored.ok()) Feed(EndNotStored{ended, stored});
  };
  if (effect.grant.source() == 0) {
    runners_.emplace(fence, std::make_unique<AttemptRunner>(std::move(effect.grant), environment_,
                                                            std::move(callbacks)));
  } else {
    runners_.emplace(fence, std::make_unique<HelperRunner>(std::move(effect.grant), environment_,
                                                           std::move(callbacks)));
  }
}

void Agent::Shell::Do(StopAttempt& effect) {
  const auto it = runners_.find(effect.fence);
  if (it != runners_.end()) it->second->Stop(std::move(effect));
}

void Agent::Shell::Do(ForgetAttempt& effect) {
  spool_->Forget(effect.fence);
  link_->Forget(effect.fence);
}

void Agent::Shell::Do(Exit& effect) {
  Say(effect.code == 0 ? Severity::kInfo : Severity::kError,
      absl::StrCat("agent ends: ", effect.text));
  exit_code_ = effect.code;
  resource_watch_ = std::jthread();
  telemetry_.reset();
  runners_.clear();  // stops and waits for what a bounded drain left running
  link_->Shutdown([this] { io_.stop(); });
}

// What is plugged in and out while the agent runs.
void Agent::Shell::WatchResources() {
  resource_watch_ = std::jthread([this](std::stop_token token) {
    const StopFd stop(std::move(token));
    while (stop.SleepUntil(BoottimeNs() + options_.look_period_ns) != Wake::kStop)
      Feed(ResourcesChanged{LookAround()});
  });
}

void Agent::Shell::Start() {
  Feed(StartRequested{});
  WatchResources();
  io_thread_ = std::thread([this] { io_.run(); });
}

void Agent::Shell::StopOnSignals() {
  signals_.emplace(io_, SIGTERM, SIGINT);
  signals_->async_wait([this](const boost::system::error_code& error, int) {
    if (!error) RequestStop();
  });
}

int Agent::Shell::Wait() {
  if (io_thread_.joinable()) io_thread_.join();
  return exit_code_;
}

Agent::Shell::~Shell() {
  if (!io_thread_.joinable()) return;
  RequestStop();
  Wait();
}

}  // namespace joulefarm::agent
