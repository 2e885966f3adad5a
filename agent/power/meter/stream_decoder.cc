#include "agent/power/meter/stream_decoder.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {

absl::StatusOr<std::vector<MeterSample>> StreamDecoder::Decode(Bytes bytes) {
  arrived_.insert(arrived_.end(), bytes.begin(), bytes.end());
  std::size_t at = 0;
  absl::Status refusal;
  while (at < arrived_.size()) {
    const Taken taken = Take(Bytes(arrived_).subspan(at), samples_);
    at += taken.bytes;
    refusal = taken.status;
    if (!refusal.ok() || taken.bytes == 0) break;
  }
  arrived_.erase(arrived_.begin(), arrived_.begin() + static_cast<std::ptrdiff_t>(at));
  if (!refusal.ok()) return refusal;
  return std::exchange(samples_, {});
}

absl::StatusOr<std::vector<MeterSample>> StreamDecoder::Finish() {
  absl::StatusOr<std::vector<MeterSample>> last = Decode(Bytes());
  if (!last.ok() || arrived_.empty()) return last;
  const std::size_t left = arrived_.size();
  arrived_.clear();
  samples_ = *std::move(last);
  return absl::DataLossError(absl::StrCat(left, " bytes at the end are no whole frame"));
}

void StreamDecoder::Reset() {
  arrived_.clear();
  samples_.clear();
}

absl::Status CheckRange(const MeterSample& sample, double max_voltage_v, double max_current_a) {
  const auto within = [](const std::optional<double>& value, double most) {
    return !value || (std::isfinite(*value) && std::abs(*value) <= most);
  };
  if (!within(sample.voltage_v, max_voltage_v)) {
    return absl::DataLossError(
        absl::StrCat(*sample.voltage_v, " V: beyond ", max_voltage_v, " V, not a measurement"));
  }
  if (!within(sample.current_a, max_current_a)) {
    return absl::DataLossError(
        absl::StrCat(*sample.current_a, " A: beyond ", max_current_a, " A, not a measurement"));
  }
  if (!within(sample.power_w, max_voltage_v * max_current_a)) {
    return absl::DataLossError(absl::StrCat(
        *sample.power_w, " W: beyond ", max_voltage_v * max_current_a, " W, not a measurement"));
  }
  for (const auto& [name, value] : sample.more) {
    if (!std::isfinite(value)) return absl::DataLossError(absl::StrCat(name, " is not a number"));
  }
  return absl::OkStatus();
}

}  // namespace joulefarm::agent
