#include "agent/power/latency_file.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/power/meter_file.h"

namespace joulefarm::agent {
namespace {

using nlohmann::ordered_json;

MeterFile Latencies(const std::filesystem::path& file) {
  return {file, "latencies", "find them anew with `joulefarm-agent meters latency`"};
}

// What is wrong with the entry; empty: nothing.
std::string ReadLatency(const ordered_json& entry, MeterLatency& latency) {
  if (!entry.is_object()) return "it is no object";
  for (const char* key : {"latency_ns", "latency_u_ns"}) {
    if (!entry.contains(key) || !entry[key].is_number_integer())
      return absl::StrCat(key, " is no whole number");
  }
  for (const char* key : {"model", "taken_at"}) {
    if (!entry.contains(key) || !entry[key].is_string()) return absl::StrCat(key, " is no text");
  }
  latency.model = entry["model"];
  latency.latency_ns = entry["latency_ns"];
  latency.latency_u_ns = entry["latency_u_ns"];
  latency.taken_at = entry["taken_at"];
  if (latency.latency_u_ns < 0) return "latency_u_ns is negative";
  return IsTime(latency.taken_at) ? "" : "taken_at is no RFC 3339 time";
}

}  // namespace

std::filesystem::path LatencyFile(const std::filesystem::path& state_dir) {
  return state_dir / "latencies.json";
}

absl::StatusOr<MeterLatencies> ReadLatencies(const std::filesystem::path& file) {
  const MeterFile kept = Latencies(file);
  const absl::StatusOr<ordered_json> meters = kept.Read();
  if (!meters.ok()) return meters.status();
  MeterLatencies latencies;
  for (const auto& [id, entry] : meters->items()) {
    if (const std::string why = ReadLatency(entry, latencies[id]); !why.empty())
      return kept.Damaged(absl::StrCat(id, ": ", why));
  }
  return latencies;
}

absl::Status WriteLatencies(const std::filesystem::path& file, const MeterLatencies& latencies) {
  ordered_json meters = ordered_json::object();
  for (const auto& [id, latency] : latencies) {
    meters[id] = {{"model", latency.model},
                  {"latency_ns", latency.latency_ns},
                  {"latency_u_ns", latency.latency_u_ns},
                  {"taken_at", latency.taken_at}};
  }
  return Latencies(file).Write(std::move(meters));
}

}  // namespace joulefarm::agent
