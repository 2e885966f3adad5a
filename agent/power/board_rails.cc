#include "agent/power/board_rails.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/power/ina3221.h"
#include "agent/power/jetson_boards.h"
#include "agent/power/polled_power.h"

namespace joulefarm::agent {
namespace {

// Of shunt, chip and board together; not stated by their maker.
constexpr double kGainU = 0.05;

std::vector<const Rail*> Find(const std::vector<Rail>& rails, absl::string_view label) {
  std::vector<const Rail*> found;
  for (const Rail& rail : rails) {
    if (rail.label == label) found.push_back(&rail);
  }
  return found;
}

// The one rail that feeds the board.
const Rail* InputRail(const std::vector<Rail>& rails) {
  for (const absl::string_view label : kJetsonInputRails) {
    const std::vector<const Rail*> found = Find(rails, label);
    if (found.size() == 1) return found[0];
  }
  return nullptr;
}

// The rails of a board of which all that its sum needs are there; empty: none.
std::vector<const Rail*> SummedRails(const std::vector<Rail>& rails) {
  for (const std::vector<absl::string_view>& board : JetsonSummedBoards()) {
    std::vector<const Rail*> parts;
    for (const absl::string_view label : board) {
      const std::vector<const Rail*> found = Find(rails, label);
      if (found.size() == 1) parts.push_back(found[0]);
    }
    if (parts.size() == board.size()) return parts;
  }
  return {};
}

v1::ChannelInfo Channel(const std::string& name, const Rail& rail, std::string description) {
  v1::ChannelInfo channel = PowerChannel(name, v1::QUANTITY_POWER_W, rail.scale, rail.nominal_hz,
                                         v1::SCOPE_BOARD_RAIL, std::move(description));
  channel.set_gain_u(kGainU);
  if (rail.offset_u_w) channel.set_offset_u(*rail.offset_u_w);
  channel.set_refresh_ns(rail.refresh_ns);
  return channel;
}

v1::ChannelInfo SumChannel(const std::string& name, const std::vector<const Rail*>& parts) {
  double squares = 0;
  Rail as_one = *parts[0];
  for (const Rail* rail : parts) {
    const double offset = rail->offset_u_w.value_or(0);
    squares += offset * offset;
    as_one.refresh_ns = std::max(as_one.refresh_ns, rail->refresh_ns);
  }
  as_one.offset_u_w = std::sqrt(squares);
  const std::string labels =
      absl::StrJoin(parts, " + ", [](std::string* out, const Rail* rail) { *out += rail->label; });
  return Channel(name, as_one,
                 absl::StrCat("the module, as ", labels,
                              " read one right after the other; no carrier board, disk or fan"));
}

}  // namespace

void FindBoardRails(const HostPaths& paths, FoundPower& found) {
  Rails all = ListIna3221Hwmon(paths);
  Rails iio = ListIna3221Iio(paths);
  std::move(iio.rails.begin(), iio.rails.end(), std::back_inserter(all.rails));
  for (std::vector<std::string>* obstacles : {&all.obstacles, &iio.obstacles}) {
    for (std::string& obstacle : *obstacles) found.obstacles.push_back(std::move(obstacle));
  }
  const std::vector<Rail>& rails = all.rails;
  if (rails.empty()) return;
  const Rail* input = InputRail(rails);
  const std::vector<const Rail*> parts =
      input == nullptr ? SummedRails(rails) : std::vector<const Rail*>();
  auto source = std::make_unique<PolledPower>("INA3221");
  std::optional<std::string> whole;
  if (input != nullptr) {
    whole = found.Name(input->label, input->chip);
  } else if (!parts.empty()) {
    whole = found.Name("total", "ina3221");
  }
  if (whole) found.totals.push_back({*whole, Width::kBoard});
  std::vector<int> summed;
  std::vector<std::string> names;
  for (const Rail& rail : rails) {
    const bool is_whole = &rail == input;
    const std::string name = is_whole ? *whole : found.Name(rail.label, rail.chip);
    v1::ChannelInfo channel = Channel(
        name, rail,
        absl::StrCat("rail ", rail.label, " of INA3221 ", rail.chip,
                     is_whole ? ": what the module takes; no carrier board, disk or fan" : ""));
    const bool part = std::find(parts.begin(), parts.end(), &rail) != parts.end();
    if (!is_whole && whole && (parts.empty() || part)) channel.set_parent(*whole);
    const int index = source->Add(std::move(channel), rail.read);
    if (part) summed.push_back(index);
    names.push_back(name);
  }
  if (!parts.empty()) source->AddSum(SumChannel(*whole, parts), summed);
  if (!whole && names.size() == 1) {
    found.AddLoneRail(names[0]);
  } else if (!whole) {
    found.obstacles.push_back(absl::StrCat(
        "rails ", absl::StrJoin(names, ", "),
        ": none is known to be the whole board, so results are not reported from them; name one as "
        "power_channel in the agent's configuration to choose it"));
  }
  found.sources.push_back(std::move(source));
}

}  // namespace joulefarm::agent
