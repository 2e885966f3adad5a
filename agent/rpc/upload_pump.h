// Moves frames from the spool to the controller: in order of arrival, at most about 1 MiB
// unacknowledged.
//
// Thread rule: one executor. Ownership: the spool outlives the pump. Knows nothing of gRPC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "agent/spool/spool.h"
#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::agent {

class UploadPump {
 public:
  struct Handlers {
    std::function<void(v1::UploadRequest)> send;
    // Frames of this stream will never be taken.
    std::function<void(std::int64_t fence, v1::Stream stream, const std::string& detail)> refused;
    // The controller needs frames that are not in the spool any more.
    std::function<void(std::int64_t fence, const std::string& detail)> missing;
    // The spool cannot be read.
    std::function<void(const absl::Status&)> trouble;
  };
  static constexpr std::size_t kWindowBytes = 1 << 20;
  static constexpr std::size_t kBatchBytes = 256 << 10;

  UploadPump(Spool* spool, Handlers handlers) : spool_(spool), handlers_(std::move(handlers)) {}

  // A new Upload stream is open: names the session, lets go of what the store has, sends the rest.
  void Begin(const std::string& agent_id, std::int64_t session_epoch,
             const std::vector<v1::StreamCursor>& cursors);
  // The stream is gone; everything unacknowledged will be sent again by the next Begin.
  void End();
  void Received(const v1::UploadResponse& response);
  // There may be more to send.
  void Pump();
  void Forget(std::int64_t fence);

  std::size_t in_flight_bytes() const { return in_flight_bytes_; }

 private:
  using Key = std::tuple<std::int64_t, std::int32_t, int>;  // fence, source, stream
  struct InFlight {
    std::int64_t id = 0;
    Key key;
    std::int64_t seq = 0;
    std::size_t bytes = 0;
  };

  void Acknowledged(const v1::StreamCursor& cursor);
  void Rewind(const v1::StreamCursor& cursor);
  template <typename Gone>
  void Land(Gone gone);

  Spool* const spool_;
  const Handlers handlers_;
  bool open_ = false;
  std::int64_t last_read_id_ = 0;
  std::map<Key, std::int64_t> acknowledged_;
  std::deque<InFlight> in_flight_;  // in order of id
  std::size_t in_flight_bytes_ = 0;
};

}  // namespace joulefarm::agent
