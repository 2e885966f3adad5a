// One meter on this host's buses, and what it is called: in settings, to the controller, to people.
//
// Threads: any. Ownership: values; models are the registry's.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {

struct FoundMeter {
  const MeterModel* model = nullptr;
  UsbDevice device;
  std::string obstacle;  // why it cannot be used now, with the cure; empty: it can
  // Another one here says the same serial number: the place tells them apart.
  bool shares_serial = false;
  // Of a program: what is run, and who remembers it.
  std::vector<std::string> command = {};
  ProcessJournal* journal = nullptr;
  // What the configuration calls the node of one that was found by itself; empty: nothing.
  std::string stated_node = {};
};

struct FoundMeters {
  std::vector<FoundMeter> meters;
  // About buses that cannot be looked at, and configured meters that are not there.
  std::vector<std::string> obstacles;
};

// Marks those that share a serial number, of whatever model: settings name a meter by it alone.
void TellTwinsApart(FoundMeters& here);

// What settings name it by: its serial number, or its place on the bus where it has none or one
// that others here have, too.
std::string KeyOf(const FoundMeter& meter);
// "meter:km003c:SERIAL", with its key; what is kept of it on this host (tares, latencies) is kept
// under that.
std::string IdOf(const FoundMeter& meter);
// What it is called beyond this host: as IdOf, and where its key is a place, such as other hosts
// have as well, one of agent `agent_id`: "meter:um25c:AGENT:/dev/rfcomm0".
std::string ResourceIdOf(const FoundMeter& meter, absl::string_view agent_id);
// "USB port 3-1.2".
std::string PlaceOf(const FoundMeter& meter);
// "ChargerLAB POWER-Z KM003C (serial A1) on USB port 3-1".
std::string Describe(const FoundMeter& meter);

// Those that a name in the configuration or on a command line may mean: a serial number, else a
// place. More than one: it means none of them.
std::vector<const FoundMeter*> MetersNamed(absl::string_view name, const FoundMeters& here);
// Why a name that several have is refused; says where they are and what to write.
std::string Ambiguous(absl::string_view name, const std::vector<const FoundMeter*>& meters);
// UNAVAILABLE: there is no meter of that id here, and why where that is known.
absl::Status NotHere(const std::string& id, const FoundMeters& here);

// Whether the configuration means this meter by `node`, which may be a link to its node.
bool IsAtNode(const FoundMeter& meter, const std::string& node);

// Which of the bus' devices it is now: its node changes each time it is plugged in, its place may.
// UNAVAILABLE: none, or it cannot be told which.
absl::StatusOr<UsbDevice> DeviceOf(const FoundMeter& meter, const std::vector<UsbDevice>& devices);

}  // namespace joulefarm::agent
