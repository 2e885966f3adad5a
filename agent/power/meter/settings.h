// What the operator states of a meter that hangs on this host.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/process/process_journal.h"

namespace joulefarm::agent {

// How late a meter's stamps were found to be.
struct MeterLatency {
  std::string model = {};
  // From the power to its stamp, but for half of what the model averages over.
  std::int64_t latency_ns = 0;
  std::int64_t latency_u_ns = 0;  // that it may be off by, at most
  std::string taken_at = {};      // RFC 3339

  bool operator==(const MeterLatency&) const = default;
};

// Absent: not stated.
struct MeterSettings {
  // Which one: its serial number, or where it has none the path of its USB port. Empty: the only
  // one there.
  std::string serial;
  // A meter that cannot be found by itself: its model, and its tty or the HOST:PORT of its server.
  // Of a program that prints lines: ProgramNode.
  std::string model;
  std::string node;
  // argv of such a program; empty: its model's. "{interval_ms}" is filled in.
  std::vector<std::string> command;
  // What its power channel is called. Empty: as its model.
  std::string channel;
  // Nearest rate it is started at; 0: its fastest.
  double rate_hz = 0;
  // Current flows the other way through it than its maker counts.
  bool negate = false;
  // power = gain * (what it says - tare_w - V * tare_a). Tares have the sign that `negate` gives.
  std::optional<double> gain;
  std::optional<double> gain_u;  // relative standard uncertainty of the gain
  std::optional<double> tare_w;
  std::optional<double> tare_a;
  std::optional<double> tare_v;         // mean voltage when tare_a was taken, where there was one
  std::optional<double> tare_sd;        // of the tare, in its unit
  std::string tare_at;                  // RFC 3339
  std::optional<MeterLatency> latency;  // absent: what is known of the model
  // What the device is fed with: a meter that can (Monsoon) is set to it; one that does not measure
  // the voltage counts with it.
  std::optional<double> supply_v;
  // Standard uncertainty of a voltage that is stated and not measured, V.
  std::optional<double> supply_u_v;
  // Of a PPK2: "source_meter", it feeds the device with supply_v; "ampere_meter" or empty, another
  // supply does.
  std::string mode;
  // Of a Monsoon, while it samples: "off", "on", "auto"; empty: as it is set.
  std::string usb_pass_through;
  std::string sense_point;          // "meter" or "device"
  std::optional<double> cable_ohm;  // between sense point and device, there and back
};

// What a meter says while nothing draws power through it.
struct MeterTare {
  std::string model = {};
  // One of the two, signed as the meter signs it.
  std::optional<double> current_a = {};
  std::optional<double> power_w = {};
  std::optional<double> sd = {};         // standard deviation of the samples, in the same unit
  std::optional<double> voltage_v = {};  // mean, where power came in on the other side
  std::int64_t samples = 0;
  std::string taken_at = {};  // RFC 3339
};
// By the meter's id on this host (IdOf), as the next.
using MeterTares = std::map<std::string, MeterTare>;

// As MeterTares.
using MeterLatencies = std::map<std::string, MeterLatency>;

// Which meter measures a device.
struct MeterChoice {
  // Of the agent it hangs on; empty: this one.
  std::string agent;
  // Empty: the only one there.
  std::string serial;
  // That results are reported from; empty: its power.
  std::string channel = {};
};

// What the operator states of meters, of this host and of its device.
struct MeterConfig {
  std::vector<MeterSettings> meters;
  MeterChoice device;
  MeterTares tares;
  MeterLatencies latencies;
  // Of this agent: part of what meters without a serial number are called beyond this host.
  std::string agent_id;
  // Not stated: what remembers programs that are started for meters, so that none outlives a crash.
  // May be null; outlives what is made with this.
  ProcessJournal* journal = nullptr;
};

}  // namespace joulefarm::agent
