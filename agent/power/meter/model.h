// What the registry knows of a meter model: how it is recognised on a bus, what it can do, and how
// its decoder and driver are made. One file pair per model ends in one function that returns this.
//
// Threads: any. Ownership: values; what is made belongs to the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/power/link/usb_device.h"
#include "agent/power/meter/decoder.h"
#include "agent/power/meter/driver.h"
#include "agent/power/meter/settings.h"

namespace joulefarm::agent {

enum class LinkKind {
  kNone,     // read from text or files: a decoder only
  kUsbBulk,  // vendor or CDC data endpoints through libusb
  kHid,      // HID reports through hidraw
  kSerial,   // a tty: CDC-ACM, CH340, Bluetooth SPP
  kTcp,      // a server at HOST:PORT
  kProgram,  // a program that prints lines
};

enum class UsbMatch {
  kNo,
  kYes,
  kFirmwareUpdate,  // the model in a mode in which it must be left alone
};

// How samples of a meter are to be read. All durations in ns.
enum class SampleKind {
  kInstant,   // power at the stamp
  kAveraged,  // a mean over smoothing_ns, the stamp at its end
  kCounter,   // cumulative energy
};

// How much of a device a meter takes in.
enum class MeterReach { kDevice, kBattery, kBoard, kPackage };

// A meter that is a program's output.
struct MeterProgram {
  // argv, unless the operator states another; "{interval_ms}" is between two lines.
  std::vector<std::string> command;
  // Run anew for each reading, and read to its end; else it goes on printing.
  bool once_per_reading = false;
  // Why a sample is not the device's power, with the cure; OK: it is. `negate`: as MeterSettings.
  std::function<absl::Status(const MeterSample&, bool negate)> check;
};

// What a meter can feed a device with.
struct MeterSupply {
  double least_v = 0;
  double most_v = 0;
  bool off_is_zero = false;     // 0 V is stated to switch it off
  bool only_as_source = false;  // with mode: source_meter
};

struct MeterModel {
  // Short, lower case, as `meters decode` names it: "km003c".
  std::string name;
  std::string title;  // for people: "ChargerLAB POWER-Z KM003C"
  LinkKind link = LinkKind::kNone;
  bool text = false;                                // what it says is lines of text
  std::optional<MeterProgram> program = {};         // of LinkKind::kProgram
  std::function<UsbMatch(const UsbDevice&)> match;  // empty: it cannot be found by itself
  // Of the serial line, the server or the USB endpoints.
  int baud = 115200;
  int tcp_port = 0;  // where its server listens unless told otherwise
  int usb_interface = 0;
  std::uint8_t endpoint_out = 0;
  std::uint8_t endpoint_in = 0;

  double max_rate_hz = 0;
  bool own_clock = false;  // samples carry the meter's clock
  SampleKind kind = SampleKind::kInstant;
  std::int64_t smoothing_ns = 0;
  // How old a value may be when it is read, on top of half the round trip.
  std::int64_t refresh_ns = 0;
  // The same in periods of the rate it runs at, on top of those.
  double refresh_periods = 0;
  double smoothing_periods = 0;
  // Of a meter that is asked: half of the longest round trip that its driver accepts, so that no
  // stamp is off by more.
  std::int64_t stamp_bound_ns = 0;
  // Constant delay from the power to its stamp, and what is known of it (k = 1, but a bound until
  // it has been calibrated).
  std::int64_t latency_ns = 0;
  std::int64_t latency_u_ns = 0;
  // Of one count of the power, W: what stored values are multiples of.
  double resolution_w = 1e-6;
  double max_voltage_v = 0;  // beyond these a value is refused
  double max_current_a = 0;
  MeterReach reach = MeterReach::kDevice;
  bool modelled = false;  // its values are its maker's model of the device, and no sensor's
  // False: it says a power, or a current, of which power needs the voltage (needs_supply_v) that is
  // stated or that it is set to.
  bool measures_voltage = true;
  bool needs_supply_v = false;
  // Of one that can feed the device; nullopt: it cannot.
  std::optional<MeterSupply> supply = {};
  bool has_usb_pass_through = false;
  double gain_u = 0;  // relative, k = 1, of the class where no calibration is stated
  // Of the zero, W, k = 1; nullopt: nobody states it, and only a tare tells.
  std::optional<double> offset_u_w = {};

  std::function<std::unique_ptr<MeterDecoder>()> make_decoder;
  std::function<std::unique_ptr<MeterDriver>()> make_driver;  // empty with LinkKind::kNone
  // Of a meter that what is stated changes the driver of; in the place of make_driver. `again`: it
  // has been opened for the same purpose before, so nothing is switched on that was on then.
  std::function<std::unique_ptr<MeterDriver>(const MeterSettings& settings, bool again)>
      make_stated_driver = {};
  // How well it was tested: "capture", "derived bytes", "hardware"; see docs/meters.md.
  std::string tested;
};

// A driver that does what is stated.
inline std::unique_ptr<MeterDriver> DriverOf(const MeterModel& model, const MeterSettings& settings,
                                             bool again) {
  return model.make_stated_driver ? model.make_stated_driver(settings, again) : model.make_driver();
}

}  // namespace joulefarm::agent
