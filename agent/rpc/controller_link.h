// The agent's line to its controller: one channel, at most one session's Control and Upload
// streams, artifact fetches.
//
// Thread rule: every method on the executor that `post` posts to, except artifacts() (any thread).
// Everything told comes on the executor. Ownership: owns the channel; must be destroyed by main
// after Shutdown's callback has come and no Fetch is under way, never inside a callback. The spool
// outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/artifact/artifact_cache.h"
#include "agent/core/session_types.h"
#include "agent/spool/spool.h"
#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::agent {

struct LinkOptions {
  std::string target;  // HOST:PORT
  std::string agent_id;
};

struct LinkHandlers {
  // `arrived_ns`: BOOTTIME, read before anything else was done with the message.
  std::function<void(Connection, v1::ControllerMessage, std::int64_t arrived_ns)> received;
  std::function<void(Connection, Rpc, absl::Status)> lost;
  std::function<void(Fence, v1::Stream, std::string detail)> refused;
  std::function<void(Fence, std::string detail)> missing;
  std::function<void(absl::Status)> trouble;
};

class ControllerLink {
 public:
  ControllerLink(LinkOptions options, Spool* spool, std::function<void(std::function<void()>)> post,
                 LinkHandlers handlers);
  ~ControllerLink();
  ControllerLink(const ControllerLink&) = delete;
  ControllerLink& operator=(const ControllerLink&) = delete;

  void Connect(Connection connection, v1::Hello hello);
  // Nothing happens unless the connection is the present one.
  void Send(Connection connection, v1::AgentMessage message);
  // The same ahead of all that waits to be sent, for what is small and must be prompt.
  void SendFirst(Connection connection, v1::AgentMessage message);
  // The same for what may be lost: nothing happens while anything else waits to be sent.
  void SendIfIdle(Connection connection, std::vector<v1::AgentMessage> messages);
  void OpenUpload(Connection connection, std::int64_t session_epoch,
                  const std::vector<v1::StreamCursor>& cursors);
  void Disconnect(Connection connection);
  // The spool has more frames.
  void FramesCommitted();
  void Forget(Fence fence);
  // `done` when no call is left; afterwards only the destructor.
  void Shutdown(std::function<void()> done);

  ArtifactSource& artifacts();

 private:
  struct Calls;
  std::unique_ptr<Calls> calls_;
};

}  // namespace joulefarm::agent
