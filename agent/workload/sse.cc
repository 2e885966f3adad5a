#include "agent/workload/sse.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/process/text.h"

namespace joulefarm::agent {

absl::Status SseParser::Feed(absl::string_view bytes, std::vector<SseEvent>& events) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    absl::StrAppend(&line_, bytes.substr(0, end));
    if (line_.size() + data_.size() > kLongestEvent) {
      return absl::InvalidArgumentError(
          absl::StrCat("an event is longer than ", kLongestEvent, " bytes"));
    }
    if (end == absl::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (absl::Status status = TakeLine(events); !status.ok()) return status;
    line_.clear();
  }
  return absl::OkStatus();
}

absl::Status SseParser::TakeLine(std::vector<SseEvent>& events) {
  absl::string_view line(line_);
  if (std::exchange(first_line_, false)) absl::ConsumePrefix(&line, "\xEF\xBB\xBF");
  if (line.empty()) {
    if (has_data_) events.push_back(SseEvent{type_.empty() ? "message" : type_, std::move(data_)});
    has_data_ = false;
    type_.clear();
    data_.clear();
    return absl::OkStatus();
  }
  const std::size_t colon = line.find(':');
  const absl::string_view name = line.substr(0, colon);
  absl::string_view value =
      colon == absl::string_view::npos ? absl::string_view() : line.substr(colon + 1);
  absl::ConsumePrefix(&value, " ");
  if (name == "data" || name == "error") {
    if (std::exchange(has_data_, true)) data_.push_back('\n');
    absl::StrAppend(&data_, value);
    if (name == "error") type_ = "error";
  } else if (name == "event") {
    type_ = std::string(value);
  } else if (!name.empty() && name != "id" && name != "retry") {
    // The standard would pass over it; an engine that sends it is not speaking this protocol.
    return absl::InvalidArgumentError(
        absl::StrCat("not a server-sent event: ", Printable(line, 200)));
  }
  return absl::OkStatus();
}

}  // namespace joulefarm::agent
