#include "agent/power/polled_power.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

constexpr int kStartPolls = 5;

}  // namespace

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
  absl::Status polled;
  // One that the machine disturbed says nothing of the source.
  for (int attempt = 0; attempt < kStartPolls; ++attempt) {
    std::vector<PowerReading> readings;
    std::int64_t lost = 0;
    polled = Poll(readings, lost);
    if (!readings.empty()) return absl::OkStatus();
  }
  return polled;
}

absl::Status PolledPower::Read(Input& input) const {
  const bool counter = IsCounter(input.channel);
  input.raw.reset();
  std::int64_t took_ns = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    input.begun_ns = now_();
    const absl::StatusOr<std::int64_t> raw = input.read();
    if (!raw.ok())
      return absl::Status(raw.status().code(), absl::StrCat(title_, ": ", raw.status().message()));
    input.t_ns = counter ? now_() : input.begun_ns;
    took_ns = input.t_ns - input.begun_ns;
    if (took_ns <= limits_.read_ns) {
      input.raw = *raw;
      return absl::OkStatus();
    }
  }
  return absl::DeadlineExceededError(absl::StrCat(
      title_, ": reading ", channels_[static_cast<std::size_t>(input.channel)].name(), " took ",
      took_ns, " ns, more than ", limits_.read_ns, " ns; keep other work off the agent's cores"));
}

absl::Status PolledPower::Poll(std::vector<PowerReading>& readings, std::int64_t& lost) {
  absl::Status trouble;
  absl::Status slow;
  bool any = false;
  bool dropped = false;
  for (Input& input : inputs_) {
    absl::Status read = Read(input);
    if (input.raw) {
      any = true;
      readings.push_back(PowerReading{input.channel, input.t_ns, *input.raw});
      if (IsCounter(input.channel)) CountOn(input);
    } else if (absl::IsDeadlineExceeded(read)) {
      dropped = true;
      slow = std::move(read);
    } else if (trouble.ok()) {
      trouble = std::move(read);
    }
  }
  for (const Sum& sum : sums_) {
    if (!AddUp(sum, readings)) dropped = true;
  }
  // Where only some cannot be read, the stamps of those show it.
  if (!any || dropped) ++lost;
  // A busy moment is nothing to tell of but by what it lost.
  return trouble.ok() && !any ? slow : trouble;
}

void PolledPower::CountOn(Input& input) const {
  const v1::ChannelInfo& channel = channels_[static_cast<std::size_t>(input.channel)];
  input.doubtful = false;
  if (input.last) {
    std::int64_t rise = *input.raw - *input.last;
    if (rise < 0 && channel.has_wrap_raw()) rise += channel.wrap_raw();
    // One that ran backward counts on from where it is; its own channel shows the reset.
    rise = std::max<std::int64_t>(0, rise);
    input.risen += rise;
    const auto gap_ns = static_cast<double>(input.t_ns - input.last_ns);
    const double most = static_cast<double>(channel.wrap_raw()) / 2;
    input.doubtful = channel.has_wrap_raw() && input.highest_per_ns * gap_ns > most;
    // Of a rise that long, part may be a reset or a wrap: the poll limit refuses it later.
    if (!channel.has_wrap_raw() || (!input.doubtful && static_cast<double>(rise) <= most)) {
      // What a reading shows may have come together since one refresh before the last.
      const double span_ns = gap_ns + static_cast<double>(channel.refresh_ns());
      input.highest_per_ns = std::max(input.highest_per_ns, static_cast<double>(rise) / span_ns);
    }
  }
  input.last = input.raw;
  input.last_ns = input.t_ns;
}

bool PolledPower::AddUp(const Sum& sum, std::vector<PowerReading>& readings) const {
  const bool counter = IsCounter(sum.channel);
  PowerReading reading{sum.channel, 0, 0};
  std::int64_t begun_ns = 0;
  bool doubtful = false;
  for (const std::size_t i : sum.inputs) {
    const Input& input = inputs_[i];
    if (!input.raw) return true;  // what it lacks has been said already
    if (reading.t_ns == 0) {
      begun_ns = input.begun_ns;
      reading.t_ns = input.t_ns;
    }
    // The first part was read first: later stamps are those of counters that all have been read.
    if (counter) reading.t_ns = input.t_ns;
    doubtful = doubtful || input.doubtful;
    reading.raw += counter ? input.risen : *input.raw;
  }
  if (counter && (doubtful || reading.t_ns - begun_ns > limits_.sum_ns)) return false;
  readings.push_back(reading);
  return true;
}

}  // namespace joulefarm::agent
