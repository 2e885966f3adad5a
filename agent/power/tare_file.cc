#include "agent/power/tare_file.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/power/meter_file.h"

namespace joulefarm::agent {
namespace {

using Json = nlohmann::ordered_json;

MeterFile Tares(const std::filesystem::path& file) {
  return {file, "tares", "take them anew with `joulefarm-agent meters tare`"};
}

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
  return IsTime(tare.taken_at) ? "" : "taken_at is no RFC 3339 time";
}

}  // namespace

std::filesystem::path TareFile(const std::filesystem::path& state_dir) {
  return state_dir / "tares.json";
}

absl::StatusOr<MeterTares> ReadTares(const std::filesystem::path& file) {
  const MeterFile kept = Tares(file);
  const absl::StatusOr<Json> meters = kept.Read();
  if (!meters.ok()) return meters.status();
  MeterTares tares;
  for (const auto& [id, entry] : meters->items()) {
    if (const std::string why = ReadOne(entry, tares[id]); !why.empty())
      return kept.Damaged(absl::StrCat(id, ": ", why));
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
  return Tares(file).Write(std::move(meters));
}

}  // namespace joulefarm::agent
