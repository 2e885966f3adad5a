#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "agent/commands/meters.h"

namespace joulefarm::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kTextWidth = 100;

// "PROVENANCE_MEASURED" as "measured".
std::string Word(const std::string& name, std::size_t prefix) {
  return absl::AsciiStrToLower(absl::string_view(name).substr(prefix));
}
std::string ScopeWord(const v1::ChannelInfo& channel) {
  return Word(v1::Scope_Name(channel.scope()), std::string("SCOPE_").size());
}
std::string ProvenanceWord(const v1::ChannelInfo& channel) {
  return Word(v1::Provenance_Name(channel.provenance()), std::string("PROVENANCE_").size());
}

std::string Now(const MeterNow& meter) {
  if (meter.power_w) return absl::StrFormat("%.3f W", *meter.power_w);
  if (meter.energy_j) return absl::StrFormat("%.1f J", *meter.energy_j);
  if (meter.voltage_v) return absl::StrFormat("%.3f V", *meter.voltage_v);
  return "-";
}

int Depth(const std::vector<MeterNow>& meters, const MeterNow& meter) {
  if (meter.channel.parent().empty()) return 0;
  for (const MeterNow& other : meters) {
    if (other.channel.name() == meter.channel.parent()) return Depth(meters, other) + 1;
  }
  return 0;
}

std::string Role(const MeterNow& meter) {
  if (!meter.channel.parent().empty()) return absl::StrCat("part of ", meter.channel.parent());
  return meter.total ? "total" : "-";
}

constexpr std::size_t kColumns = 7;
using Row = std::array<std::string, kColumns>;

// Characters of UTF-8.
std::size_t Width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  }));
}

void WriteRows(const std::vector<Row>& rows, std::ostream& out) {
  constexpr std::array<bool, kColumns> kRight = {false, true, true, false, false, false, true};
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::string blanks(widths[i] - Width(row[i]), ' ');
      absl::StrAppend(&line, i == 0 ? "" : "  ", kRight[i] ? blanks : "", row[i],
                      kRight[i] ? "" : blanks);
    }
    out << absl::StripTrailingAsciiWhitespace(line) << '\n';
  }
}

// Text in lines of at most kTextWidth, all but the first indented.
void WriteWrapped(const std::string& text, std::ostream& out) {
  std::string line = "  -";
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line.size() + 1 + word.size() > kTextWidth) {
      out << line << '\n';
      line = "   ";
    }
    absl::StrAppend(&line, " ", word);
  }
  out << line << '\n';
}

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

// "km003c: ChargerLAB POWER-Z KM003C, serial 1, USB port 3-1, …".
std::string Describe(const std::string& channel, const MeterReport& meter) {
  std::string text = absl::StrCat(channel, ": ", meter.title);
  if (meter.serial) absl::StrAppend(&text, ", serial ", *meter.serial);
  if (!meter.place.empty()) absl::StrAppend(&text, ", ", meter.place);
  absl::StrAppend(&text, ", firmware ", meter.firmware.value_or("not told"));
  const MeterCounts& counts = meter.counts;
  if (counts.distinct_hz)
    absl::StrAppend(&text, absl::StrFormat("; %.0f values/s that differ", *counts.distinct_hz));
  if (counts.half_round_trip_ns) {
    absl::StrAppend(&text, absl::StrFormat(", stamps within ±%.2f ms",
                                           static_cast<double>(*counts.half_round_trip_ns) * 1e-6));
  }
  const MeterSettings& settings = meter.settings;
  if (settings.tare_a) absl::StrAppend(&text, absl::StrFormat("; tare %.4g A", *settings.tare_a));
  if (settings.tare_w) absl::StrAppend(&text, absl::StrFormat("; tare %.4g W", *settings.tare_w));
  if (!settings.tare_at.empty()) absl::StrAppend(&text, " taken ", settings.tare_at);
  if (settings.latency) {
    absl::StrAppend(&text,
                    absl::StrFormat("; stamps %.3g ± %.2g ms late as found ",
                                    static_cast<double>(settings.latency->latency_ns) * 1e-6,
                                    static_cast<double>(settings.latency->latency_u_ns) * 1e-6),
                    settings.latency->taken_at);
  }
  absl::StrAppend(&text, "; ", counts.lost, " lost, ",
                  counts.rejected + counts.out_of_range + counts.out_of_order, " refused");
  if (!meter.trouble.empty()) absl::StrAppend(&text, "; last trouble: ", meter.trouble);
  return text;
}

Json MeterAsJson(const std::optional<MeterReport>& meter) {
  if (!meter) return nullptr;
  Json object;
  object["id"] = meter->id;
  object["model"] = meter->model;
  object["serial"] = OrNull(meter->serial);
  object["firmware"] = OrNull(meter->firmware);
  object["place"] = TextOrNull(meter->place);
  object["tare_a"] = OrNull(meter->settings.tare_a);
  object["tare_w"] = OrNull(meter->settings.tare_w);
  object["tare_at"] = TextOrNull(meter->settings.tare_at);
  const std::optional<MeterLatency>& latency = meter->settings.latency;
  object["latency_ns"] = latency ? Json(latency->latency_ns) : Json(nullptr);
  object["latency_u_ns"] = latency ? Json(latency->latency_u_ns) : Json(nullptr);
  object["latency_at"] = latency ? Json(latency->taken_at) : Json(nullptr);
  object["distinct_hz"] = OrNull(meter->counts.distinct_hz);
  object["half_round_trip_ns"] = OrNull(meter->counts.half_round_trip_ns);
  object["samples"] = meter->counts.samples;
  object["lost"] = meter->counts.lost;
  object["rejected"] = meter->counts.rejected;
  object["out_of_range"] = meter->counts.out_of_range;
  object["out_of_order"] = meter->counts.out_of_order;
  object["reopened"] = meter->counts.reopened;
  object["trouble"] = TextOrNull(meter->trouble);
  return object;
}

}  // namespace

void WriteMetersTable(const MetersReport& report, std::ostream& out) {
  if (report.meters.empty()) {
    out << "Nothing measures power here.\n";
  } else {
    std::vector<Row> rows = {{"CHANNEL", "NOW", "±", "SCOPE", "PROVENANCE", "ROLE", "RATE"}};
    for (const MeterNow& meter : report.meters) {
      const std::string indent(2 * static_cast<std::size_t>(Depth(report.meters, meter)), ' ');
      rows.push_back(
          {indent + meter.channel.name(), Now(meter),
           meter.power_u_w ? absl::StrFormat("%.2g", *meter.power_u_w) : "-",
           meter.channel.scope() == v1::SCOPE_UNSPECIFIED ? "-" : ScopeWord(meter.channel),
           ProvenanceWord(meter.channel), Role(meter),
           absl::StrCat(meter.channel.nominal_hz(), " Hz")});
    }
    WriteRows(rows, out);
  }
  bool first = true;
  for (const MeterNow& meter : report.meters) {
    // Once each.
    if (!meter.meter || !meter.channel.parent().empty() ||
        meter.channel.quantity() == v1::QUANTITY_VOLTAGE_V)
      continue;
    if (std::exchange(first, false)) out << "\nMeters:\n";
    WriteWrapped(Describe(meter.channel.name(), *meter.meter), out);
  }
  for (const MeterNow& meter : report.meters) {
    if (meter.channel.primary() && report.fallback.empty()) {
      out << "\nResults are reported from " << meter.channel.name() << ": "
          << meter.channel.description() << ".\n";
    }
  }
  if (!report.fallback.empty()) {
    out << "\nResults are reported from the channel " << report.fallback
        << ", which does not measure; their columns say so.\n";
  }
  if (report.obstacles.empty()) return;
  out << "\nIn the way:\n";
  for (const std::string& obstacle : report.obstacles) WriteWrapped(obstacle, out);
}

void WriteMetersJson(const MetersReport& report, std::ostream& out, std::ostream& err) {
  Json array = Json::array();
  for (const MeterNow& meter : report.meters) {
    const v1::ChannelInfo& channel = meter.channel;
    Json object;
    object["name"] = channel.name();
    object["quantity"] =
        Word(v1::Quantity_Name(channel.quantity()), std::string("QUANTITY_").size());
    object["scope"] =
        channel.scope() == v1::SCOPE_UNSPECIFIED ? Json(nullptr) : Json(ScopeWord(channel));
    object["provenance"] = ProvenanceWord(channel);
    object["parent"] = TextOrNull(channel.parent());
    object["total"] = meter.total;
    object["primary"] = channel.primary();
    object["power_w"] = OrNull(meter.power_w);
    object["power_u_w"] = OrNull(meter.power_u_w);
    object["energy_j"] = OrNull(meter.energy_j);
    object["voltage_v"] = OrNull(meter.voltage_v);
    object["rate_hz"] = channel.nominal_hz();
    object["gain_u"] = channel.has_gain_u() ? Json(channel.gain_u()) : Json(nullptr);
    object["offset_u_w"] = channel.has_offset_u() ? Json(channel.offset_u()) : Json(nullptr);
    object["description"] = TextOrNull(channel.description());
    object["meter"] = MeterAsJson(meter.meter);
    array.push_back(std::move(object));
  }
  out << array.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  for (const std::string& obstacle : report.obstacles) err << "in the way: " << obstacle << '\n';
}

}  // namespace joulefarm::agent
