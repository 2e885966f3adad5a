#include "cli/view/device_live.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "cli/view/live_values.h"

namespace joulefarm::cli {
namespace {

v1::Telemetry Full() {
  v1::Telemetry telemetry;
  telemetry.set_device_id("edge-7f3a");
  telemetry.set_power_w(14.23);
  telemetry.set_provenance(v1::PROVENANCE_MEASURED);
  telemetry.set_channel("VDD_IN");
  telemetry.set_temp_c(50.7);
  telemetry.set_cpu_hz(2.4e9);
  telemetry.set_cpu_share(0.834);
  telemetry.set_tokens_per_s(402.4);
  telemetry.set_rss_bytes(96 << 20);
  return telemetry;
}

std::string Drawn(const std::vector<DeviceLive>& devices) {
  std::ostringstream out;
  Render(DeviceLiveTable(devices), {}, out);
  return out.str();
}

TEST(DeviceLive, ARowPerDevice) {
  EXPECT_EQ(
      Drawn({{"edge-7f3a", "ONLINE", "LEASED", "ENABLED", "job-7", "chat · run 3 of 4", Full()},
             {"orin", "ONLINE", "FREE", "ENABLED", "", "", {}},
             {"pixel", "OFFLINE", "LEASED", "ENABLED", "job-8", "", {}},
             {"rpi", "ONLINE", "FREE", "DRAINING", "", "", {}}}),
      "DEVICE      POWER  CHANNEL   TEMP     CLOCK   CPU      SPEED       RSS  WHAT IT DOES\n"
      "edge-7f3a  14.2 W  VDD_IN   51 °C  2.40 GHz  83 %  402 tok/s  96.0 MiB  job-7 · chat · run "
      "3 of 4\n"
      "orin            -  -            -         -     -          -         -  idle · no "
      "telemetry\n"
      "pixel           -  -            -         -     -          -         -  offline, holds "
      "job-8\n"
      "rpi             -  -            -         -     -          -         -  draining · no "
      "telemetry\n");
}

TEST(DeviceLive, ColumnsNobodyHasAreLeftOut) {
  v1::Telemetry telemetry;
  telemetry.set_cpu_share(0.05);
  EXPECT_EQ(Drawn({{"vm", "ONLINE", "FREE", "ENABLED", "", "", telemetry}}),
            "DEVICE  CPU  WHAT IT DOES\n"
            "vm      5 %  idle\n");
}

TEST(DeviceLive, LogLines) {
  EXPECT_EQ(DeviceLiveLine(Full()),
            "edge-7f3a  14.2 W (VDD_IN)  51 °C  2.40 GHz  cpu 83 %  402 tok/s  96.0 MiB");
  v1::Telemetry nothing;
  nothing.set_device_id("vm");
  EXPECT_EQ(DeviceLiveLine(nothing), "vm  nothing can be read");
}

TEST(LiveValues, PowerSaysWhereItComesFrom) {
  v1::Telemetry telemetry;
  EXPECT_EQ(PowerText(telemetry), "");
  telemetry.set_power_w(14.2);
  for (const auto& [provenance, text] : std::vector<std::pair<v1::Provenance, std::string>>{
           {v1::PROVENANCE_MEASURED, "14.2 W"},
           {v1::PROVENANCE_ESTIMATED, "~14.2 W"},
           {v1::PROVENANCE_MODELLED, "~14.2 W"},
           {v1::PROVENANCE_SIMULATED, "sim 14.2 W"},
           {v1::PROVENANCE_REPLAYED, "sim 14.2 W"}}) {
    telemetry.set_provenance(provenance);
    EXPECT_EQ(PowerText(telemetry), text);
  }
  telemetry.set_power_w(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(PowerText(telemetry), "");
}

}  // namespace
}  // namespace joulefarm::cli
