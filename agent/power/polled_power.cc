#include "agent/power/polled_power.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {

int PolledPower::Add(v1::ChannelInfo channel, Reader reader) {
  Input& input = inputs_.emplace_back();
  input.channel = static_cast<int>(channels_.size());
  input.read = std::move(reader);
  channels_.push_back(std::move(channel));
  return input.channel;
}

int PolledPower::AddSum(v1::ChannelInfo channel, std::vector<int> parts) {
  Sum& sum = sums_.emplace_back();
  sum.channel = static_cast<int>(channels_.size());
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (std::find(parts.begin(), parts.end(), inputs_[i].channel) != parts.end())
      sum.inputs.push_back(i);
  }
  channels_.push_back(std::move(channel));
  return sum.channel;
}

absl::Status PolledPower::Start() {
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  absl::Status polled = Poll(readings, lost);
  return readings.empty() ? std::move(polled) : absl::OkStatus();
}

absl::Status PolledPower::Poll(std::vector<PowerReading>& readings, std::int64_t& lost) {
  absl::Status trouble;
  bool any = false;
  for (Input& input : inputs_) {
    input.t_ns = BoottimeNs();
    absl::StatusOr<std::int64_t> raw = input.read();
    input.raw = raw.ok() ? std::optional<std::int64_t>(*raw) : std::nullopt;
    if (!raw.ok()) {
      if (trouble.ok()) {
        trouble =
            absl::Status(raw.status().code(), absl::StrCat(title_, ": ", raw.status().message()));
      }
      continue;
    }
    any = true;
    readings.push_back(PowerReading{input.channel, input.t_ns, *input.raw});
    CountOn(input);
  }
  // Where only some fail, the stamps of those show it.
  if (!any) ++lost;
  for (const Sum& sum : sums_) AddUp(sum, readings);
  return trouble;
}

void PolledPower::CountOn(Input& input) {
  const v1::ChannelInfo& channel = channels_[static_cast<std::size_t>(input.channel)];
  if (channel.quantity() != v1::QUANTITY_ENERGY_COUNTER_J) return;
  if (input.last) {
    std::int64_t rise = *input.raw - *input.last;
    if (rise < 0 && channel.has_wrap_raw()) rise += channel.wrap_raw();
    // One that ran backward counts on from where it is; its own channel shows the reset.
    input.risen += std::max<std::int64_t>(0, rise);
  }
  input.last = input.raw;
}

void PolledPower::AddUp(const Sum& sum, std::vector<PowerReading>& readings) const {
  const bool counter =
      channels_[static_cast<std::size_t>(sum.channel)].quantity() == v1::QUANTITY_ENERGY_COUNTER_J;
  PowerReading reading{sum.channel, 0, 0};
  for (const std::size_t i : sum.inputs) {
    const Input& input = inputs_[i];
    if (!input.raw) return;
    if (reading.t_ns == 0) reading.t_ns = input.t_ns;
    reading.raw += counter ? input.risen : *input.raw;
  }
  readings.push_back(reading);
}

}  // namespace joulefarm::agent
