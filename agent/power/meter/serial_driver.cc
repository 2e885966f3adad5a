#include "agent/power/meter/serial_driver.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kDrainRead = 4096;
// A meter that streams sends less than this before a stop reaches it.
constexpr std::size_t kMostDrained = std::size_t{1} << 20;

}  // namespace

absl::Status DecodeInto(MeterDecoder& decoder, Bytes bytes, MeterBatch& batch) {
  absl::StatusOr<std::vector<MeterSample>> samples = decoder.Decode(bytes);
  // Every refusal takes a byte at least, so this ends.
  while (!samples.ok()) {
    if (!absl::IsDataLoss(samples.status())) return samples.status();
    ++batch.rejected;
    batch.refusal = std::string(samples.status().message());
    samples = decoder.Decode(Bytes());
  }
  for (MeterSample& sample : *samples) batch.samples.push_back(std::move(sample));
  batch.lost += decoder.TakeLost();
  return absl::OkStatus();
}

absl::Status ReadInto(Link& link, std::size_t most, int timeout_ms, MeterDecoder& decoder,
                      MeterBatch& batch) {
  const absl::StatusOr<std::vector<std::uint8_t>> bytes = link.Read(most, timeout_ms);
  batch.arrived_ns = BoottimeNs();
  if (absl::IsDeadlineExceeded(bytes.status())) return absl::OkStatus();
  if (!bytes.ok()) return bytes.status();
  return DecodeInto(decoder, *bytes, batch);
}

absl::Status DrainLine(Link& link, int quiet_ms) {
  for (std::size_t drained = 0; drained < kMostDrained;) {
    const absl::StatusOr<std::vector<std::uint8_t>> bytes = link.Read(kDrainRead, quiet_ms);
    if (absl::IsDeadlineExceeded(bytes.status())) return absl::OkStatus();
    if (!bytes.ok()) return bytes.status();
    drained += bytes->size();
  }
  return absl::DataLossError(
      "it does not stop sending: not the meter it was taken for, or another baud rate");
}

}  // namespace joulefarm::agent
