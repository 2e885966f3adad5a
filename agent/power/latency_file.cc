#include "agent/power/latency_file.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/spool/durable_file.h"

namespace joulefarm::agent {
namespace {

using nlohmann::ordered_json;

constexpr int kLatencyVersion = 1;

absl::Status DamagedLatencies(const std::filesystem::path& file, absl::string_view why) {
  return absl::DataLossError(
      absl::StrCat("the latencies of meters in ", file.string(), " are damaged (", why,
                   "): mend the file, or remove it and find them anew with `joulefarm-agent meters "
                   "latency`"));
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
  absl::Time ignored;
  std::string why;
  if (!absl::ParseTime(absl::RFC3339_full, latency.taken_at, &ignored, &why))
    return "taken_at is no RFC 3339 time";
  return "";
}

}  // namespace

std::filesystem::path LatencyFile(const std::filesystem::path& state_dir) {
  return state_dir / "latencies.json";
}

absl::StatusOr<MeterLatencies> ReadLatencies(const std::filesystem::path& file) {
  MeterLatencies latencies;
  std::ifstream in(file);
  if (!in) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return latencies;
    return absl::ErrnoToStatus(
        error, absl::StrCat("cannot read the latencies of meters in ", file.string()));
  }
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad()) return DamagedLatencies(file, "it cannot be read");
  const ordered_json json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return DamagedLatencies(file, "it is no JSON object");
  const auto version = json.find("version");
  if (version == json.end() || *version != kLatencyVersion)
    return DamagedLatencies(file, "its version is not 1");
  const auto meters = json.find("meters");
  if (meters == json.end() || !meters->is_object())
    return DamagedLatencies(file, "it lists no meters");
  for (const auto& [id, entry] : meters->items()) {
    if (const std::string why = ReadLatency(entry, latencies[id]); !why.empty())
      return DamagedLatencies(file, absl::StrCat(id, ": ", why));
  }
  return latencies;
}

absl::Status WriteLatencies(const std::filesystem::path& file, const MeterLatencies& latencies) {
  ordered_json meters = ordered_json::object();
  for (const auto& [id, latency] : latencies) {
    ordered_json entry;
    entry["model"] = latency.model;
    entry["latency_ns"] = latency.latency_ns;
    entry["latency_u_ns"] = latency.latency_u_ns;
    entry["taken_at"] = latency.taken_at;
    meters[id] = std::move(entry);
  }
  const ordered_json json = {{"version", kLatencyVersion}, {"meters", std::move(meters)}};
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot make the state directory ",
                                               file.parent_path().string(), ": ", error.message(),
                                               ": give another --state DIR"));
  }
  return WriteDurably(
      file, absl::StrCat(json.dump(2, ' ', false, ordered_json::error_handler_t::replace), "\n"));
}

}  // namespace joulefarm::agent
