#include "agent/power/tare_file.h"

#include <cerrno>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/spool/durable_file.h"

namespace joulefarm::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

// Absent where there is no such number.
std::optional<double> Number(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  const auto value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

// What is wrong with the entry; empty: nothing.
std::string ReadOne(const Json& entry, MeterTare& tare) {
  if (!entry.is_object()) return "it is no object";
  for (const auto& [key, value] : entry.items()) {
    const bool text = key == "model" || key == "taken_at";
    if (text ? !value.is_string() : !Number(entry, key.c_str()))
      return absl::StrCat(key, " is no ", text ? "text" : "number");
  }
  tare.current_a = Number(entry, "tare_a");
  tare.power_w = Number(entry, "tare_w");
  if (tare.current_a.has_value() == tare.power_w.has_value())
    return "it must have one of tare_a and tare_w";
  tare.model = entry.value("model", "");
  tare.sd = Number(entry, "sd");
  tare.voltage_v = Number(entry, "voltage_v");
  tare.samples = entry.value("samples", std::int64_t{0});
  tare.taken_at = entry.value("taken_at", "");
  absl::Time ignored;
  std::string why;
  if (!absl::ParseTime(absl::RFC3339_full, tare.taken_at, &ignored, &why))
    return "taken_at is no RFC 3339 time";
  return "";
}

absl::Status Damaged(const std::filesystem::path& file, absl::string_view why) {
  return absl::DataLossError(
      absl::StrCat("the tares of meters in ", file.string(), " are damaged (", why,
                   "): mend the file, or "
                   "remove it and take them anew with `joulefarm-agent meters tare`"));
}

}  // namespace

std::filesystem::path TareFile(const std::filesystem::path& state_dir) {
  return state_dir / "tares.json";
}

absl::StatusOr<MeterTares> ReadTares(const std::filesystem::path& file) {
  MeterTares tares;
  std::ifstream in(file);
  if (!in) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return tares;
    return absl::ErrnoToStatus(error,
                               absl::StrCat("cannot read the tares of meters in ", file.string()));
  }
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad()) return Damaged(file, "it cannot be read");
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return Damaged(file, "it is no JSON object");
  if (Number(json, "version") != kVersion) return Damaged(file, "its version is not 1");
  const auto meters = json.find("meters");
  if (meters == json.end() || !meters->is_object()) return Damaged(file, "it lists no meters");
  for (const auto& [id, entry] : meters->items()) {
    MeterTare& tare = tares[id];
    if (const std::string why = ReadOne(entry, tare); !why.empty())
      return Damaged(file, absl::StrCat(id, ": ", why));
  }
  return tares;
}

absl::Status WriteTares(const std::filesystem::path& file, const MeterTares& tares) {
  Json meters = Json::object();
  for (const auto& [id, tare] : tares) {
    Json entry;
    entry["model"] = tare.model;
    if (tare.current_a) entry["tare_a"] = *tare.current_a;
    if (tare.power_w) entry["tare_w"] = *tare.power_w;
    if (tare.sd) entry["sd"] = *tare.sd;
    if (tare.voltage_v) entry["voltage_v"] = *tare.voltage_v;
    entry["samples"] = tare.samples;
    entry["taken_at"] = tare.taken_at;
    meters[id] = std::move(entry);
  }
  const Json json = {{"version", kVersion}, {"meters", std::move(meters)}};
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot make the state directory ",
                                               file.parent_path().string(), ": ", error.message(),
                                               ": give another --state DIR"));
  }
  return WriteDurably(file,
                      absl::StrCat(json.dump(2, ' ', false, Json::error_handler_t::replace), "\n"));
}

}  // namespace joulefarm::agent
