// What decoders of lines of text share: lines are put together from what arrives, and refused when
// they are no text.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/power/meter/decoder.h"

namespace joulefarm::agent {

// Lines end with a line feed; carriage returns before it are no part of them. A call that ends in
// the middle of a line waits for the rest; a line that is too long is refused whole.
class TextDecoder : public MeterDecoder {
 public:
  // Samples that lines before a refused one gave come with the next call.
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) final;
  absl::StatusOr<std::vector<MeterSample>> Finish() override;
  void Reset() override;

 protected:
  // One line, never empty. DATA_LOSS: refused. `samples` is appended to.
  virtual absl::Status Line(absl::string_view line, std::vector<MeterSample>& samples) = 0;

 private:
  std::string text_;  // what has no line feed yet, or waits behind a refused line
  std::vector<MeterSample> ready_;
  bool refused_begin_ = false;  // of the line whose rest comes next
};

// "\"VDD_IN 12\" is no rail": what a message shows of a line.
std::string Shown(absl::string_view text);

// A finite number in decimal digits and nothing else; nullopt: it is none.
std::optional<double> Decimal(absl::string_view text);

}  // namespace joulefarm::agent
