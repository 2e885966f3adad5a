// The farm at work: the pure Farm on its strand, fed by RPC threads, made durable by the store
// thread, its effects carried out after commits.
//
// Thread rule: public methods may be called from any thread unless they say otherwise; callbacks
// run on the strand and must not block. Ownership: owns the Farm, the store loop and the finaliser
// thread; the gateway and the store outlive it.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "boost/asio/executor_work_guard.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/steady_timer.hpp"
#include "boost/asio/thread_pool.hpp"
#include "controller/core/farm.h"
#include "controller/ingest/store_loop.h"

namespace joulefarm::controller {

// How the farm speaks to agents' sessions. Called on the strand only; must not block.
class AgentGateway {
 public:
  virtual ~AgentGateway() = default;
  virtual void Send(SessionId session, v1::ControllerMessage message) = 0;
  // After what was sent before.
  virtual void Close(SessionId session, const absl::Status& status) = 0;
  virtual void Opened(SessionId session, const std::string& agent_id, std::int64_t epoch) = 0;
  // The session measures an attempt of a device of another agent, as one before it did.
  virtual void GoesOn(SessionId session, const std::string& device, Fence fence) = 0;
  virtual void CloseAll(const absl::Status& status) = 0;
};

class FarmHost {
 public:
  using Reply = std::function<void(ReplyToOperator)>;

  FarmHost(Store& store, FarmConfig config, std::function<Instant()> clock);
  ~FarmHost();
  FarmHost(const FarmHost&) = delete;
  FarmHost& operator=(const FarmHost&) = delete;

  // Loads the state and starts the strand. Call once, before anything else. Errors of the store.
  absl::Status Start(AgentGateway& gateway);
  // Carries out what is queued and stops; afterwards nothing is called back.
  void Stop();

  SessionId NewSession() { return ++last_session_; }
  void OnHello(SessionId session, v1::Hello hello);
  void OnGone(SessionId session);
  void OnInput(FarmInput input);

  // `fill` makes the input of the token it is given; the reply comes exactly once, after the
  // commit.
  void Ask(std::function<FarmInput(RequestToken)> fill, Reply reply);

  // Frames of a session's upload; `done` on the strand, after the farm knows of the finals in them.
  void OnFrames(std::vector<v1::Frame> frames,
                std::function<void(absl::StatusOr<v1::UploadResponse>)> done);

  // Runs on the store thread; for artifact rows and look-ups.
  void WithStore(std::function<void(Store&)> work) { loop_->Run(std::move(work)); }

  // Why the farm cannot write; empty when it can.
  std::string ReadOnlyReason() const;

 private:
  void Handle(const FarmInput& input);
  void Carry(Plan plan);
  void Do(Effect effect);
  void ArmTimer();
  void Broken(const absl::Status& why);
  void NoteUnstorable(const std::vector<Fence>& results, const absl::Status& why);
  void TryReload();
  void Adopt(FarmSnapshot snapshot);
  void Finalise(Fence fence);
  void Answer(ReplyToOperator reply);

  Store& store_;
  const FarmConfig config_;
  const std::function<Instant()> clock_;
  AgentGateway* gateway_ = nullptr;

  boost::asio::io_context strand_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer tick_;
  boost::asio::steady_timer reload_;
  boost::asio::thread_pool finaliser_{1};
  std::unique_ptr<StoreLoop> loop_;
  std::atomic<SessionId> last_session_{0};

  // Strand only.
  std::unique_ptr<Farm> farm_;   // null while the store cannot write
  std::int64_t generation_ = 0;  // of farm_
  bool stopping_ = false;
  RequestToken last_token_ = 0;
  std::map<RequestToken, Reply> replies_;
  std::map<Fence, std::string> unstorable_;  // results the store refused for good, and why

  mutable std::mutex reason_mutex_;
  std::string read_only_reason_;  // guarded by reason_mutex_
  std::thread thread_;
};

}  // namespace joulefarm::controller
