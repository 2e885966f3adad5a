#include "controller/ingest/recompute.h"

#include <bit>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "controller/ingest/finaliser.h"
#include "controller/store/json_text.h"

namespace joulefarm::controller {
namespace {

using Key =
    std::tuple<int, std::string, std::optional<int>, std::optional<int>, std::optional<v1::Phase>>;

Key KeyOf(const EnergyResult& row) {
  return {row.source, row.channel, row.run, row.request, row.phase};
}

// SQLite keeps no NaN: it is NULL there.
std::optional<double> AsStored(const std::optional<double>& value) {
  return value && std::isnan(*value) ? std::nullopt : value;
}

bool SameBits(const std::optional<double>& a, const std::optional<double>& b) {
  const std::optional<double> x = AsStored(a);
  const std::optional<double> y = AsStored(b);
  if (!x || !y) return x.has_value() == y.has_value();
  // 0 and -0 are stored alike.
  return std::bit_cast<std::uint64_t>(*x + 0.0) == std::bit_cast<std::uint64_t>(*y + 0.0);
}

std::vector<std::string> Differences(const StoredEnergy& stored, const EnergyResult& now) {
  const EnergyResult& then = stored.row;
  std::vector<std::string> differs;
  const auto number = [&](const char* column, const std::optional<double>& a,
                          const std::optional<double>& b) {
    if (!SameBits(a, b)) differs.emplace_back(column);
  };
  const auto other = [&](const char* column, const auto& a, const auto& b) {
    if (a != b) differs.emplace_back(column);
  };
  number("energy_j", then.energy_j, now.energy_j);
  number("energy_u_j", then.energy_u_j, now.energy_u_j);
  other("start_ns", then.start_ns, now.start_ns);
  other("end_ns", then.end_ns, now.end_ns);
  number("duration_s", then.duration_s, now.duration_s);
  number("gain_u_j", then.parts.gain_j, now.parts.gain_j);
  number("offset_u_j", then.parts.offset_j, now.parts.offset_j);
  number("clock_u_j", then.parts.clock_j, now.parts.clock_j);
  number("counter_u_j", then.parts.counter_j, now.parts.counter_j);
  number("gap_u_j", then.parts.gap_j, now.parts.gap_j);
  number("baseline_u_j", then.parts.baseline_j, now.parts.baseline_j);
  number("cable_u_j", then.parts.cable_j, now.parts.cable_j);
  number("energy_lo_j", then.energy_lo_j, now.energy_lo_j);
  number("energy_hi_j", then.energy_hi_j, now.energy_hi_j);
  number("energy_net_j", then.energy_net_j, now.energy_net_j);
  number("energy_net_u_j", then.energy_net_u_j, now.energy_net_u_j);
  other("baseline", then.baseline, now.baseline);
  number("mean_w", then.mean_w, now.mean_w);
  number("peak_w", then.peak_w, now.peak_w);
  number("mean_v", then.mean_v, now.mean_v);
  other("quality", then.quality, now.quality);
  other("reasons", stored.reasons, JsonArray(now.reasons));
  return differs;
}

}  // namespace

std::vector<Recomputed> Recompute(const StoredAttempt& attempt) {
  AttemptResults results = Finalise(attempt.data, Summaries::kComputed);
  std::map<Key, EnergyResult*> now;
  for (EnergyResult& row : results.energies) now.emplace(KeyOf(row), &row);
  std::vector<Recomputed> rows;
  for (const StoredEnergy& stored : attempt.energies) {
    Recomputed& row = rows.emplace_back();
    row.stored = stored.row;
    const auto found = now.find(KeyOf(stored.row));
    if (found == now.end()) {
      row.is_recomputed = false;
      row.differs = {"row"};
      continue;
    }
    row.differs = Differences(stored, *found->second);
    row.recomputed = std::move(*found->second);
    now.erase(found);
  }
  for (auto& [key, result] : now) {
    Recomputed& row = rows.emplace_back();
    row.is_stored = false;
    row.recomputed = *result;
    std::tie(row.stored.source, row.stored.channel, row.stored.run, row.stored.request,
             row.stored.phase) = key;
    row.differs = {"row"};
  }
  return rows;
}

}  // namespace joulefarm::controller
