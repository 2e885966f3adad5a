#include "agent/commands/tare.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "agent/power/take_tare.h"
#include "agent/power/tare_file.h"
#include "agent/process/boottime.h"
#include "common/time/wall_now.h"

namespace joulefarm::agent {
namespace {

constexpr int kExitRefused = 1;

int Refuse(absl::string_view why, std::ostream& err) {
  err << why << "\n";
  return kExitRefused;
}

// Error: none, or several, and which there are.
absl::StatusOr<const FoundMeter*> Choose(const FoundMeters& here, const MeterConfig& config,
                                         const std::string& name) {
  std::vector<std::string> keys;
  for (const FoundMeter& meter : here.meters) {
    if (IdOf(meter) == name || ResourceIdOf(meter, config.agent_id) == name) return &meter;
    keys.push_back(KeyOf(meter));
  }
  const std::vector<const FoundMeter*> named = MetersNamed(name, here);
  if (named.size() == 1) return named[0];
  if (!named.empty()) return absl::NotFoundError(Ambiguous(name, named));
  if (name.empty() && here.meters.size() == 1) return here.meters.data();
  std::string text = name.empty()
                         ? "there is no meter here"
                         : absl::StrCat("meter ", name, " is not here (there are: ",
                                        keys.empty() ? "none" : absl::StrJoin(keys, ", "), ")");
  if (name.empty() && !keys.empty()) {
    text = absl::StrCat(keys.size(),
                        " meters are here; name one of them: ", absl::StrJoin(keys, ", "));
  }
  for (const std::string& obstacle : here.obstacles) absl::StrAppend(&text, "\n", obstacle);
  return absl::NotFoundError(text);
}

std::string Rfc3339(std::int64_t wall_ns) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixNanos(wall_ns), absl::UTCTimeZone());
}

std::string Describe(const MeterTare& tare) {
  const bool current = tare.current_a.has_value();
  std::string text =
      absl::StrFormat("%.4g %s, standard deviation %.2g %s, %d samples",
                      current ? *tare.current_a : tare.power_w.value_or(0), current ? "A" : "W",
                      tare.sd.value_or(0), current ? "A" : "W", tare.samples);
  if (tare.voltage_v) absl::StrAppend(&text, absl::StrFormat(", at %.3f V", *tare.voltage_v));
  return text;
}

}  // namespace

TareHooks RealTareHooks() {
  return {.find = FindMeters, .opener = OpenerOf, .now_ns = BoottimeNs, .wall_now_ns = WallNowNs};
}

int TakeTare(const TareRequest& request, const MeterConfig& config, const TareHooks& hooks,
             std::ostream& out, std::ostream& err) {
  const FoundMeters here = hooks.find(config);
  const absl::StatusOr<const FoundMeter*> chosen = Choose(here, config, request.meter);
  if (!chosen.ok()) return Refuse(chosen.status().message(), err);
  const FoundMeter& meter = **chosen;
  const std::string id = IdOf(meter);
  if (!meter.obstacle.empty()) return Refuse(meter.obstacle, err);
  absl::StatusOr<TareSamples> samples =
      SampleTare(*meter.model, SettingsFor(meter, here, config), hooks.opener(meter),
                 request.seconds, hooks.now_ns);
  if (!samples.ok()) return Refuse(absl::StrCat(id, ": ", samples.status().message()), err);
  const std::string why_not = WhyNoTare(*meter.model, *samples);
  if (!why_not.empty() && !request.force)
    return Refuse(absl::StrCat(id, ": ", why_not, ". Nothing is kept (--force keeps it)"), err);
  samples->tare.taken_at = Rfc3339(hooks.wall_now_ns());
  // Anew: another may have been taken meanwhile.
  absl::StatusOr<MeterTares> tares = ReadTares(request.file);
  if (!tares.ok()) return Refuse(tares.status().message(), err);
  (*tares)[id] = samples->tare;
  if (const absl::Status written = WriteTares(request.file, *tares); !written.ok())
    return Refuse(written.message(), err);
  if (!why_not.empty()) err << id << ": kept all the same: " << why_not << "\n";
  out << id << ": tare " << Describe(samples->tare) << ", as the meter signs it; kept in "
      << request.file.string() << ". An agent that runs uses it when it is started again.\n";
  return 0;
}

int ClearTare(const TareRequest& request, std::ostream& out, std::ostream& err) {
  absl::StatusOr<MeterTares> tares = ReadTares(request.file);
  if (!tares.ok()) return Refuse(tares.status().message(), err);
  std::vector<std::string> ids;
  for (const auto& [id, tare] : *tares) {
    const std::string prefix = absl::StrCat("meter:", tare.model, ":");
    if (request.meter.empty() || id == request.meter || id == prefix + request.meter)
      ids.push_back(id);
  }
  if (ids.empty()) {
    return Refuse(absl::StrCat("there is no tare ",
                               request.meter.empty() ? "" : absl::StrCat("of ", request.meter, " "),
                               "in ", request.file.string()),
                  err);
  }
  if (ids.size() > 1) {
    return Refuse(
        absl::StrCat("there are several tares; name one of them: ", absl::StrJoin(ids, ", ")), err);
  }
  tares->erase(ids[0]);
  if (const absl::Status written = WriteTares(request.file, *tares); !written.ok())
    return Refuse(written.message(), err);
  out << ids[0]
      << ": its tare is forgotten. An agent that runs uses it until it is started again.\n";
  return 0;
}

}  // namespace joulefarm::agent
