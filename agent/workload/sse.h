// Parses server-sent events (WHATWG HTML, 9.2.6) out of bytes that arrive in any pieces.
//
// Threads: one. Ownership: results own their data.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {

struct SseEvent {
  std::string type;  // "message" unless the stream says otherwise; "error" also for llama.cpp's
                     // "error:" field
  std::string data;
};

class SseParser {
 public:
  // An event that grows beyond this is refused.
  static constexpr std::size_t kLongestEvent = std::size_t{4} * 1024 * 1024;

  // Appends the events that are complete now. An error: this is not a stream of events, or one is
  // too long; the parser is of no use afterwards.
  absl::Status Feed(absl::string_view bytes, std::vector<SseEvent>& events);

  // True when nothing of an event is pending.
  bool idle() const { return line_.empty() && !has_data_; }

 private:
  absl::Status TakeLine(std::vector<SseEvent>& events);

  std::string line_;
  bool after_cr_ = false;  // a line feed next belongs to the line that was ended already
  bool first_line_ = true;
  bool has_data_ = false;
  std::string type_;
  std::string data_;
};

}  // namespace joulefarm::agent
