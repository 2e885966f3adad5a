// A controller on a free loopback port that says what the test tells it to and keeps what agents
// say.
//
// Thread rule: every method from any thread. Ownership: owns the server; streams delete themselves
// when they are done.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "joulefarm/v1/agent_service.grpc.pb.h"
#include "joulefarm/v1/artifact_service.grpc.pb.h"

namespace joulefarm::agent {

// One stream on the server's side.
template <typename In, typename Out>
class FakeStream : public grpc::ServerBidiReactor<In, Out> {
 public:
  FakeStream(std::function<void(FakeStream*, In)> received, std::function<void(FakeStream*)> done)
      : received_(std::move(received)), done_(std::move(done)) {}
  void Begin() { this->StartRead(&incoming_); }

  void Send(Out message) {
    Act([&] {
      if (!closing_) queue_.push_back(std::move(message));
    });
  }
  void Close(grpc::Status status) {
    Act([&] {
      if (!closing_) closing_ = std::move(status);
    });
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Close(grpc::Status::OK);
      return;
    }
    received_(this, std::move(incoming_));
    this->StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override {
    Act([&] {
      writing_ = false;
      queue_.pop_front();
      if (!ok) {
        queue_.clear();
        if (!closing_) closing_ = grpc::Status::CANCELLED;
      }
    });
  }
  void OnDone() override {
    done_(this);
    delete this;
  }

 private:
  template <typename Change>
  void Act(Change change) {
    const Out* write = nullptr;
    std::optional<grpc::Status> finish;
    {
      const std::lock_guard lock(mutex_);
      change();
      if (!writing_ && !finished_) {
        if (!queue_.empty()) {
          writing_ = true;
          write = &queue_.front();
        } else if (closing_) {
          finished_ = true;
          finish = closing_;
        }
      }
    }
    if (write != nullptr) this->StartWrite(write);
    if (finish) this->Finish(*finish);
  }

  const std::function<void(FakeStream*, In)> received_;
  const std::function<void(FakeStream*)> done_;
  In incoming_;
  std::mutex mutex_;
  std::deque<Out> queue_;
  bool writing_ = false;
  bool finished_ = false;
  std::optional<grpc::Status> closing_;
};

class FakeController final {
 public:
  using ControlStream = FakeStream<v1::AgentMessage, v1::ControllerMessage>;
  using UploadStream = FakeStream<v1::UploadRequest, v1::UploadResponse>;
  using Key = std::tuple<std::int64_t, std::int32_t, int>;
  enum class Acks { kGiven, kWithheld };

  explicit FakeController(int port = 0) : agents_(*this), artifacts_service_(*this) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&agents_);
    builder.RegisterService(&artifacts_service_);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
  }
  ~FakeController() { Stop(); }
  FakeController(const FakeController&) = delete;
  FakeController& operator=(const FakeController&) = delete;

  void Stop() {
    if (!server_) return;
    Drop(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the controller stops"), Life::kStopped);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return controls_.empty() && uploads_.empty(); });
    lock.unlock();
    server_->Shutdown();
    server_.reset();
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  int port() const { return port_; }

  enum class Life { kGoesOn, kStopped };
  // Ends every stream there is with this status.
  void Drop(const grpc::Status& status, Life life = Life::kGoesOn) {
    // Under the lock: a stream deletes itself only after it has taken itself off the list.
    const std::lock_guard lock(mutex_);
    if (life == Life::kStopped) stopped_ = true;
    for (ControlStream* stream : controls_) stream->Close(status);
    for (UploadStream* stream : uploads_) stream->Close(status);
    current_ = nullptr;
  }

  // The next message on Control that `wanted` accepts; earlier ones are passed over.
  v1::AgentMessage Next(const std::function<bool(const v1::AgentMessage&)>& wanted) {
    std::unique_lock lock(mutex_);
    v1::AgentMessage found;
    const bool ok = changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      while (!inbox_.empty()) {
        v1::AgentMessage message = std::move(inbox_.front());
        inbox_.pop_front();
        if (!wanted(message)) continue;
        found = std::move(message);
        return true;
      }
      return false;
    });
    EXPECT_TRUE(ok) << "the agent never said it";
    return found;
  }
  v1::Hello NextHello() {
    return Next([](const v1::AgentMessage& m) { return m.has_hello(); }).hello();
  }
  v1::AttemptState AwaitState(std::int64_t fence, v1::AttemptState state) {
    return Next([&](const v1::AgentMessage& m) {
             return m.has_attempt_report() && m.attempt_report().fence() == fence &&
                    m.attempt_report().state() == state;
           })
        .attempt_report()
        .state();
  }

  void Send(v1::ControllerMessage message) {
    const std::lock_guard lock(mutex_);
    if (current_ != nullptr) current_->Send(std::move(message));
  }
  // Answers the Hello: the same verdict for everything held.
  void SendWelcome(const v1::Hello& hello, v1::VerdictKind verdict = v1::VERDICT_KIND_CONTINUE,
                   std::int64_t heartbeat_ns = 50'000'000) {
    v1::ControllerMessage message;
    v1::Welcome& welcome = *message.mutable_welcome();
    {
      const std::lock_guard lock(mutex_);
      welcome.set_session_epoch(++epoch_);
      for (const v1::HeldAttempt& held : hello.held()) {
        v1::HeldVerdict* one = welcome.add_verdicts();
        one->set_fence(held.fence());
        one->set_verdict(verdict);
        for (const auto& [key, last] : cursors_) {
          if (std::get<0>(key) != held.fence()) continue;
          *one->add_cursors() = MakeCursor(key, last);
        }
      }
    }
    welcome.set_ttl_ns(30'000'000'000);
    welcome.set_heartbeat_ns(heartbeat_ns);
    Send(std::move(message));
  }
  v1::Hello Greet(v1::VerdictKind verdict = v1::VERDICT_KIND_CONTINUE) {
    v1::Hello hello = NextHello();
    SendWelcome(hello, verdict);
    return hello;
  }
  void SendGrant(std::int64_t fence, const std::string& device, const v1::JobSpec& spec) {
    v1::ControllerMessage message;
    v1::Grant& grant = *message.mutable_grant();
    grant.set_fence(fence);
    grant.set_device_id(device);
    grant.set_job_id(absl::StrCat("job-", fence));
    *grant.mutable_spec() = spec;
    {
      const std::lock_guard lock(mutex_);
      grant.set_session_epoch(epoch_);
    }
    Send(std::move(message));
  }
  void SendCancel(std::int64_t fence, const std::string& reason) {
    v1::ControllerMessage message;
    message.mutable_cancel()->set_fence(fence);
    message.mutable_cancel()->set_reason(reason);
    Send(std::move(message));
  }

  // The Final of the attempt, once it is here.
  v1::Final AwaitFinal(std::int64_t fence) {
    std::unique_lock lock(mutex_);
    const auto key = std::make_tuple(fence, 0, static_cast<int>(v1::STREAM_FINAL));
    const bool ok =
        changed_.wait_for(lock, std::chrono::seconds(60), [&] { return frames_[key].size() == 1; });
    EXPECT_TRUE(ok) << "no final of attempt " << fence;
    v1::Final final_word;
    if (ok) {
      EXPECT_TRUE(final_word.ParseFromString(frames_[key][0].payload()));
    }
    return final_word;
  }
  std::vector<v1::Frame> Frames(std::int64_t fence, v1::Stream stream) {
    const std::lock_guard lock(mutex_);
    return frames_[std::make_tuple(fence, 0, static_cast<int>(stream))];
  }
  // Frames that came a second time.
  int repeats() {
    const std::lock_guard lock(mutex_);
    return repeats_;
  }
  void SetAcks(Acks acks) {
    const std::lock_guard lock(mutex_);
    acks_ = acks;
  }
  void AddArtifact(const std::string& sha256, std::string content) {
    const std::lock_guard lock(mutex_);
    artifacts_[sha256] = std::move(content);
  }

  // Waits until `condition` holds for the frames of a stream.
  void AwaitFrames(std::int64_t fence, v1::Stream stream, std::size_t count) {
    std::unique_lock lock(mutex_);
    const Key key{fence, 0, stream};
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60),
                                  [&] { return frames_[key].size() >= count; }));
  }
  int fetches() {
    const std::lock_guard lock(mutex_);
    return fetches_;
  }

 private:
  class Agents final : public v1::AgentService::CallbackService {
   public:
    explicit Agents(FakeController& owner) : owner_(owner) {}
    grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* Control(
        grpc::CallbackServerContext*) override {
      auto* stream = new ControlStream(
          [this](ControlStream* from, v1::AgentMessage message) {
            owner_.Heard(from, std::move(message));
          },
          [this](ControlStream* gone) { owner_.Gone(owner_.controls_, gone); });
      owner_.Came(owner_.controls_, stream);
      stream->Begin();
      return stream;
    }
    grpc::ServerBidiReactor<v1::UploadRequest, v1::UploadResponse>* Upload(
        grpc::CallbackServerContext*) override {
      auto* stream = new UploadStream(
          [this](UploadStream* from, v1::UploadRequest request) { owner_.Store(from, request); },
          [this](UploadStream* gone) { owner_.Gone(owner_.uploads_, gone); });
      owner_.Came(owner_.uploads_, stream);
      stream->Begin();
      return stream;
    }

   private:
    FakeController& owner_;
  };

  class Artifacts final : public v1::ArtifactService::Service {
   public:
    explicit Artifacts(FakeController& owner) : owner_(owner) {}
    grpc::Status FetchArtifact(grpc::ServerContext*, const v1::FetchArtifactRequest* request,
                               grpc::ServerWriter<v1::FetchArtifactResponse>* writer) override {
      std::string content;
      {
        const std::lock_guard lock(owner_.mutex_);
        ++owner_.fetches_;
        const auto it = owner_.artifacts_.find(request->sha256());
        if (it == owner_.artifacts_.end()) return {grpc::StatusCode::NOT_FOUND, "no such content"};
        content = it->second;
      }
      v1::FetchArtifactResponse response;
      for (auto at = static_cast<std::size_t>(request->offset()); at < content.size();
           at += 64 << 10) {
        response.set_data(content.substr(at, 64 << 10));
        if (!writer->Write(response)) return grpc::Status::CANCELLED;
      }
      return grpc::Status::OK;
    }

   private:
    FakeController& owner_;
  };

  static v1::StreamCursor MakeCursor(const Key& key, std::int64_t last) {
    v1::StreamCursor cursor;
    cursor.set_fence(std::get<0>(key));
    cursor.set_source(std::get<1>(key));
    cursor.set_stream(static_cast<v1::Stream>(std::get<2>(key)));
    cursor.set_last_seq(last);
    return cursor;
  }

  template <typename S>
  void Came(std::set<S*>& all, S* stream) {
    const std::lock_guard lock(mutex_);
    all.insert(stream);
    if (stopped_)
      stream->Close(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the controller stops"));
  }
  template <typename S>
  void Gone(std::set<S*>& all, S* stream) {
    const std::lock_guard lock(mutex_);
    all.erase(stream);
    if (static_cast<void*>(current_) == static_cast<void*>(stream)) current_ = nullptr;
    changed_.notify_all();
  }

  void Heard(ControlStream* from, v1::AgentMessage message) {
    const std::lock_guard lock(mutex_);
    if (message.has_hello()) current_ = from;
    if (message.has_heartbeat()) {
      v1::ControllerMessage answer;
      answer.mutable_heartbeat_ack()->set_seq(message.heartbeat().seq());
      from->Send(std::move(answer));
    }
    inbox_.push_back(std::move(message));
    changed_.notify_all();
  }

  // Like the real one: last_seq + 1 only, the same again is acknowledged, a gap asks for the
  // missing.
  void Store(UploadStream* from, const v1::UploadRequest& request) {
    v1::UploadResponse response;
    const std::lock_guard lock(mutex_);
    for (const v1::Frame& frame : request.frames().frames()) {
      const Key key{frame.fence(), frame.source(), frame.stream()};
      std::int64_t& last = cursors_[key];
      if (frame.seq() == last + 1) {
        last = frame.seq();
        frames_[key].push_back(frame);
      } else if (frame.seq() <= last) {
        ++repeats_;
      } else {
        *response.add_resume_from() = MakeCursor(key, last);
        continue;
      }
      if (acks_ == Acks::kGiven) *response.add_acks() = MakeCursor(key, last);
    }
    if (response.acks_size() + response.resume_from_size() > 0) from->Send(std::move(response));
    changed_.notify_all();
  }

  int port_ = 0;
  Agents agents_;
  Artifacts artifacts_service_;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::set<ControlStream*> controls_;
  std::set<UploadStream*> uploads_;
  ControlStream* current_ = nullptr;
  std::deque<v1::AgentMessage> inbox_;
  std::int64_t epoch_ = 0;
  std::map<Key, std::int64_t> cursors_;
  std::map<Key, std::vector<v1::Frame>> frames_;
  std::map<std::string, std::string> artifacts_;
  int repeats_ = 0;
  int fetches_ = 0;
  Acks acks_ = Acks::kGiven;
};

}  // namespace joulefarm::agent
