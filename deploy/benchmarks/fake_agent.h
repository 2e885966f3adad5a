// An agent's side of the wire without an agent: opens a session, accepts the next grant, uploads
// frames as fast as the controller makes them durable.
//
// Thread rule: one thread; a thread of its own answers the control stream. Ownership: borrows the
// channel.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "joulefarm/v1/agent_service.grpc.pb.h"

namespace joulefarm::bench {

class FakeAgent {
 public:
  // Blocks until the session is open. Ends the process with a message when it cannot be opened.
  FakeAgent(const std::shared_ptr<grpc::Channel>& channel, std::string id);
  ~FakeAgent();
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;

  // Blocks until a grant has come and was accepted; its fence.
  std::int64_t AwaitGrant();

  // Hands over the frame (its seq must be the next of its stream). Frames travel in batches of up
  // to 256 KiB, as an agent sends them; blocks while more than an agent's window (1 MiB) waits to
  // be acknowledged.
  void Upload(v1::Frame frame);
  // Blocks until every frame sent is acknowledged, so durable.
  void AwaitAcknowledged();

 private:
  void ReadControl();
  void Heartbeats();
  void WriteControl(const v1::AgentMessage& message);
  void SendBatch();
  void ReadUpload();
  [[noreturn]] static void Die(const std::string& what);

  const std::string id_;
  std::unique_ptr<v1::AgentService::Stub> stub_;
  grpc::ClientContext control_context_;
  grpc::ClientContext upload_context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::ControllerMessage>> control_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::UploadRequest, v1::UploadResponse>> upload_;

  v1::UploadRequest batch_;
  std::size_t batch_bytes_ = 0;

  std::mutex write_mutex_;  // one control message at a time
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t epoch_ = 0;  // guarded by mutex_, as what follows
  std::int64_t fence_ = 0;  // of the grant accepted
  std::size_t sent_bytes_ = 0;
  std::size_t acknowledged_bytes_ = 0;
  std::map<std::pair<int, std::int64_t>, std::size_t> waiting_;  // stream and seq to size
  bool stopping_ = false;
  std::thread control_reader_;
  std::thread heartbeats_;
  std::thread upload_reader_;
};

}  // namespace joulefarm::bench
