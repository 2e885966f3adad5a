// What ODPM, dumpsys battery and powermetrics print.
//
// Threads: any. Ownership: values.
#pragma once

#include "agent/power/meter/dumpsys_battery.h"
#include "agent/power/meter/odpm.h"
#include "agent/power/meter/powermetrics.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::phone_text {

inline constexpr char kOdpm[] =
    "t=358356\n"
    "CH0(T=358356)[S10M_VDD_TPU], 761330\n"
    "CH1(T=358356)[VSYS_PWR_MODEM], 48689000\n"
    "t=358457\n"
    "CH0(T=358457)[S10M_VDD_TPU], 761431\n";

inline constexpr char kDump[] =
    "Current Battery Service state:\n"
    "  AC powered: false\n"
    "  USB powered: true\n"
    "  Wireless powered: false\n"
    "  Max charging current: 3000000\n"
    "  Max charging voltage: 5000000\n"
    "  Charge counter: 3991656\n"
    "  status: 3\n"
    "  health: 2\n"
    "  present: true\n"
    "  level: 96\n"
    "  scale: 100\n"
    "  voltage: 4387\n"
    "  temperature: 300\n"
    "  technology: Li-ion\n";

inline constexpr char kPowermetrics[] =
    "*** Sampled system activity (Mon Nov  2 12:00:00 2026 +0100) (1003.45ms elapsed) ***\n"
    "\n"
    "**** Processor usage ****\n"
    "E-Cluster Power: 23 mW\n"
    "E-Cluster HW active frequency: 1037 MHz\n"
    "CPU Power: 947 mW\n"
    "GPU Power: 153 mW\n"
    "ANE Power: 0 mW\n"
    "DRAM Power: 220 mW\n"
    "Package Power: 1473 mW\n"
    "\n"
    "**** GPU usage ****\n"
    "GPU Power: 150 mW\n"
    "*** Sampled system activity (Mon Nov  2 12:00:01 2026 +0100) (1000.00ms elapsed) ***\n"
    "CPU Power: 400 mW\n"
    "GPU Power: 100 mW\n"
    "ANE Power: 0 mW\n"
    "Combined Power (CPU + GPU + ANE): 500 mW\n";

// Of these a sample ends with the line that begins the next, so a frame is a reading and the
// beginning of another.
inline MutationCase OdpmCase() {
  return {
      .make = OdpmModel().make_decoder,
      .frames = {LineOf("t=1\nCH0(T=1)[A], 2\nt=2"), LineOf("CH0(T=2)[A], 7\nCH1(T=2)[B], 8\nt=3")},
      .stream = true};
}

inline MutationCase DumpsysBatteryCase() {
  return {.make = DumpsysBatteryModel().make_decoder,
          .frames = {LineOf("voltage: 4000\nCurrent Battery Service state:"),
                     LineOf("current now: -500\nvoltage: 3900\nCurrent Battery Service state:")},
          .stream = true,
          .max_voltage_v = 30,
          .max_current_a = 20};
}

inline MutationCase PowermetricsCase() {
  return {
      .make = PowermetricsModel().make_decoder,
      .frames = {LineOf("CPU Power: 5 mW\n*** Sampled system activity ***"),
                 LineOf("CPU Power: 7 mW\nPackage Power: 9 mW\n*** Sampled system activity ***")},
      .stream = true};
}

}  // namespace joulefarm::agent::phone_text
