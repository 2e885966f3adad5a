#include "agent/rpc/upload_pump.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

// What a frame costs on the wire beside its payload, roughly.
constexpr std::size_t kFrameOverhead = 64;

}  // namespace

void UploadPump::Begin(const std::string& agent_id, std::int64_t session_epoch,
                       const std::vector<v1::StreamCursor>& cursors) {
  End();
  open_ = true;
  v1::UploadRequest request;
  request.mutable_hello()->set_agent_id(agent_id);
  request.mutable_hello()->set_session_epoch(session_epoch);
  handlers_.send(std::move(request));
  for (const v1::StreamCursor& cursor : cursors) Acknowledged(cursor);
  spool_->CheckUploaded();
  Pump();
}

void UploadPump::End() {
  open_ = false;
  last_read_id_ = 0;
  acknowledged_.clear();
  in_flight_.clear();
  in_flight_bytes_ = 0;
}

void UploadPump::Received(const v1::UploadResponse& response) {
  if (!open_) return;
  for (const v1::StreamCursor& cursor : response.acks()) Acknowledged(cursor);
  for (const v1::FrameRejected& rejected : response.rejected()) {
    v1::StreamCursor all;
    all.set_fence(rejected.fence());
    all.set_source(rejected.source());
    all.set_stream(rejected.stream());
    all.set_last_seq(std::numeric_limits<std::int64_t>::max());
    Acknowledged(all);
    handlers_.refused(
        rejected.fence(), rejected.stream(),
        absl::StrCat(rejected.code(), rejected.detail().empty() ? "" : ": ", rejected.detail()));
  }
  for (const v1::StreamCursor& cursor : response.resume_from()) {
    if (!open_) return;  // a handler may have ended the session
    Rewind(cursor);
  }
  Pump();
}

void UploadPump::Acknowledged(const v1::StreamCursor& cursor) {
  const Key key{cursor.fence(), cursor.source(), cursor.stream()};
  std::int64_t& last = acknowledged_[key];
  last = std::max(last, cursor.last_seq());
  Land([&](const InFlight& sent) { return sent.key == key && sent.seq <= cursor.last_seq(); });
  spool_->Acknowledge(cursor);
}

void UploadPump::Rewind(const v1::StreamCursor& cursor) {
  const Key key{cursor.fence(), cursor.source(), cursor.stream()};
  v1::StreamCursor next = cursor;
  next.set_last_seq(cursor.last_seq() + 1);
  const absl::StatusOr<std::int64_t> id = spool_->FrameId(next);
  if (absl::IsNotFound(id.status())) {
    handlers_.missing(cursor.fence(), std::string(id.status().message()));
    return;
  }
  if (!id.ok()) {
    handlers_.trouble(id.status());
    return;
  }
  acknowledged_[key] = cursor.last_seq();
  Land([&](const InFlight& sent) { return sent.id >= *id; });
  last_read_id_ = std::min(last_read_id_, *id - 1);
}

void UploadPump::Pump() {
  while (open_ && in_flight_bytes_ < kWindowBytes) {
    const absl::StatusOr<std::vector<StoredFrame>> frames =
        spool_->Read(last_read_id_, std::min(kBatchBytes, kWindowBytes - in_flight_bytes_));
    if (!frames.ok()) {
      handlers_.trouble(frames.status());
      return;
    }
    if (frames->empty()) return;
    v1::UploadRequest request;
    for (const StoredFrame& stored : *frames) {
      const v1::Frame& frame = stored.frame;
      last_read_id_ = stored.id;
      const Key key{frame.fence(), frame.source(), frame.stream()};
      const auto known = acknowledged_.find(key);
      if (known != acknowledged_.end() && frame.seq() <= known->second) {
        // Known to the store already, or of a stream it refuses.
        v1::StreamCursor cursor;
        cursor.set_fence(frame.fence());
        cursor.set_source(frame.source());
        cursor.set_stream(frame.stream());
        cursor.set_last_seq(frame.seq());
        spool_->Acknowledge(cursor);
        continue;
      }
      const std::size_t bytes = frame.payload().size() + kFrameOverhead;
      in_flight_.push_back({stored.id, key, frame.seq(), bytes});
      in_flight_bytes_ += bytes;
      *request.mutable_frames()->add_frames() = frame;
    }
    if (request.has_frames()) handlers_.send(std::move(request));
  }
}

void UploadPump::Forget(std::int64_t fence) {
  std::erase_if(acknowledged_,
                [fence](const auto& entry) { return std::get<0>(entry.first) == fence; });
  Land([fence](const InFlight& sent) { return std::get<0>(sent.key) == fence; });
}

template <typename Gone>
void UploadPump::Land(Gone gone) {
  std::erase_if(in_flight_, [&](const InFlight& sent) {
    if (!gone(sent)) return false;
    in_flight_bytes_ -= sent.bytes;
    return true;
  });
}

}  // namespace joulefarm::agent
