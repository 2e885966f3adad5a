#include "cli/view/device_live.h"

#include <algorithm>
#include <functional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/view/live_values.h"

namespace joulefarm::cli {
namespace {

// "job-7 · chat · tiny-q8_0 · run 3 of 4", "idle", "offline".
TextCell DoingCell(const DeviceLive& device) {
  if (device.link == "OFFLINE" || device.link == "UNKNOWN") {
    return {absl::StrCat(device.link == "OFFLINE" ? "offline" : "out of reach",
                         device.job.empty() ? "" : ", holds " + OneLine(device.job)),
            Style::kWarn};
  }
  if (!device.job.empty()) {
    return {absl::StrCat(OneLine(device.job), device.doing.empty() ? "" : " · ", device.doing)};
  }
  if (device.admin != "ENABLED" && !device.admin.empty())
    return {absl::AsciiStrToLower(OneLine(device.admin)), Style::kWarn};
  if (device.alloc == "DIRTY") return {"being cleaned up", Style::kWarn};
  return {"idle", Style::kDim};
}

}  // namespace

TextTable DeviceLiveTable(const std::vector<DeviceLive>& devices) {
  struct LiveValue {
    TextColumn column;
    std::function<std::string(const v1::Telemetry&)> text;
  };
  const std::vector<LiveValue> all{
      {{"POWER", Align::kRight}, PowerText},
      {{"CHANNEL", Align::kLeft, Fit::kDrop},
       [](const v1::Telemetry& telemetry) { return OneLine(telemetry.channel()); }},
      {{"TEMP", Align::kRight}, TempText},
      {{"CLOCK", Align::kRight, Fit::kDrop}, ClockText},
      {{"CPU", Align::kRight}, CpuText},
      {{"SPEED", Align::kRight}, SpeedText},
      {{"RSS", Align::kRight, Fit::kDrop}, MemoryText}};
  std::vector<LiveValue> values;
  for (const LiveValue& value : all) {
    for (const DeviceLive& device : devices) {
      if (!device.telemetry || value.text(*device.telemetry).empty()) continue;
      values.push_back(value);
      break;
    }
  }
  TextTable table;
  table.columns.push_back({"DEVICE", Align::kLeft, Fit::kShrink});
  for (const LiveValue& value : values) table.columns.push_back(value.column);
  table.columns.push_back({"WHAT IT DOES", Align::kLeft, Fit::kShrink});
  for (const DeviceLive& device : devices) {
    std::vector<TextCell> row{{OneLine(device.id)}};
    for (const LiveValue& value : values) {
      const std::string text = device.telemetry ? value.text(*device.telemetry) : "";
      row.push_back(text.empty() ? TextCell{"-", Style::kDim} : TextCell{text});
    }
    TextCell doing = DoingCell(device);
    if (!device.telemetry && device.link == "ONLINE")
      absl::StrAppend(&doing.text, " · no telemetry");
    row.push_back(std::move(doing));
    table.rows.push_back(std::move(row));
  }
  return table;
}

bool HasLiveValue(const v1::Telemetry& telemetry) {
  const auto texts = {PowerText(telemetry), TempText(telemetry),  ClockText(telemetry),
                      CpuText(telemetry),   SpeedText(telemetry), MemoryText(telemetry)};
  return std::any_of(texts.begin(), texts.end(),
                     [](const std::string& text) { return !text.empty(); });
}

std::string DeviceLiveLine(const v1::Telemetry& telemetry) {
  std::vector<std::string> parts{OneLine(telemetry.device_id())};
  const std::string power = PowerText(telemetry);
  if (!power.empty()) {
    parts.push_back(telemetry.channel().empty()
                        ? power
                        : absl::StrCat(power, " (", OneLine(telemetry.channel()), ")"));
  }
  const std::string cpu = CpuText(telemetry);
  for (const std::string& text :
       {TempText(telemetry), ClockText(telemetry), cpu.empty() ? "" : "cpu " + cpu,
        SpeedText(telemetry), MemoryText(telemetry)}) {
    if (!text.empty()) parts.push_back(text);
  }
  if (parts.size() == 1) parts.push_back("nothing can be read");
  return absl::StrJoin(parts, "  ");
}

}  // namespace joulefarm::cli
