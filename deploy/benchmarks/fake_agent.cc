#include "deploy/benchmarks/fake_agent.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace joulefarm::bench {
namespace {

constexpr std::size_t kWindowBytes = std::size_t{1} << 20;
constexpr std::size_t kBatchBytes = std::size_t{256} << 10;
constexpr auto kHeartbeat = std::chrono::seconds(5);

}  // namespace

void FakeAgent::Die(const std::string& what) {
  std::fprintf(stderr, "joulefarm-bench: %s\n", what.c_str());
  std::exit(1);
}

FakeAgent::FakeAgent(const std::shared_ptr<grpc::Channel>& channel, std::string id)
    : id_(std::move(id)), stub_(v1::AgentService::NewStub(channel)) {
  control_ = stub_->Control(&control_context_);
  v1::AgentMessage message;
  v1::Hello& hello = *message.mutable_hello();
  hello.set_agent_id(id_);
  hello.set_boot_id("bench");
  hello.set_instance("bench");
  hello.set_version("bench");
  v1::DeviceAnnouncement& device = *hello.add_devices();
  device.set_device_id(id_);
  device.mutable_facts()->set_os("linux");
  device.set_clean(true);
  WriteControl(message);
  control_reader_ = std::thread([this] { ReadControl(); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return epoch_ != 0; });
  heartbeats_ = std::thread([this] { Heartbeats(); });
}

void FakeAgent::WriteControl(const v1::AgentMessage& message) {
  const std::lock_guard lock(write_mutex_);
  control_->Write(message);
}

void FakeAgent::Heartbeats() {
  v1::AgentMessage message;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kHeartbeat, [this] { return stopping_; })) {
    message.mutable_heartbeat()->set_seq(message.heartbeat().seq() + 1);
    lock.unlock();
    WriteControl(message);
    lock.lock();
  }
}

FakeAgent::~FakeAgent() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  heartbeats_.join();
  control_context_.TryCancel();
  upload_context_.TryCancel();
  control_reader_.join();
  if (upload_reader_.joinable()) upload_reader_.join();
}

void FakeAgent::ReadControl() {
  v1::ControllerMessage message;
  while (control_->Read(&message)) {
    v1::AgentMessage reply;
    if (message.has_grant()) {
      reply.mutable_grant_reply()->set_fence(message.grant().fence());
      reply.mutable_grant_reply()->set_accepted(true);
      WriteControl(reply);
    }
    const std::lock_guard lock(mutex_);
    if (message.has_welcome()) epoch_ = message.welcome().session_epoch();
    if (message.has_grant()) fence_ = message.grant().fence();
    changed_.notify_all();
  }
  const std::lock_guard lock(mutex_);
  if (epoch_ == 0) Die("the controller refused the session");
}

std::int64_t FakeAgent::AwaitGrant() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return fence_ != 0; });
  upload_ = stub_->Upload(&upload_context_);
  v1::UploadRequest request;
  request.mutable_hello()->set_agent_id(id_);
  request.mutable_hello()->set_session_epoch(epoch_);
  upload_->Write(request);
  upload_reader_ = std::thread([this] { ReadUpload(); });
  return fence_;
}

void FakeAgent::ReadUpload() {
  v1::UploadResponse response;
  while (upload_->Read(&response)) {
    if (response.rejected_size() > 0) Die("a frame was refused: " + response.rejected(0).detail());
    const std::lock_guard lock(mutex_);
    for (const v1::StreamCursor& ack : response.acks()) {
      const auto begin = waiting_.lower_bound({ack.stream(), 0});
      const auto end = waiting_.upper_bound({ack.stream(), ack.last_seq()});
      for (auto it = begin; it != end; ++it) acknowledged_bytes_ += it->second;
      waiting_.erase(begin, end);
    }
    changed_.notify_all();
  }
  const std::lock_guard lock(mutex_);
  if (!stopping_) Die("the controller ended the upload");
}

void FakeAgent::Upload(v1::Frame frame) {
  const std::size_t bytes = frame.payload().size();
  if (batch_bytes_ > 0 && batch_bytes_ + bytes > kBatchBytes) SendBatch();
  batch_bytes_ += bytes;
  *batch_.mutable_frames()->add_frames() = std::move(frame);
}

void FakeAgent::SendBatch() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return sent_bytes_ - acknowledged_bytes_ < kWindowBytes; });
    sent_bytes_ += batch_bytes_;
    for (const v1::Frame& frame : batch_.frames().frames()) {
      waiting_[{frame.stream(), frame.seq()}] = frame.payload().size();
    }
  }
  if (!upload_->Write(batch_)) Die("the controller ended the upload");
  batch_.Clear();
  batch_bytes_ = 0;
}

void FakeAgent::AwaitAcknowledged() {
  if (batch_bytes_ > 0) SendBatch();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.empty(); });
}

}  // namespace joulefarm::bench
