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

namespace joulefarm::agent {

enum class LinkKind {
  kNone,     // read from text or files: a decoder only
  kUsbBulk,  // vendor or CDC data endpoints through libusb
  kHid,      // HID reports through hidraw
  kSerial,   // a tty: CDC-ACM, CH340, Bluetooth SPP
  kTcp,      // a server at HOST:PORT
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

struct MeterModel {
  // Short, lower case, as `meters decode` names it: "km003c".
  std::string name;
  std::string title;  // for people: "ChargerLAB POWER-Z KM003C"
  LinkKind link = LinkKind::kNone;
  bool text = false;                                // what it says is lines of text
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
  double gain_u = 0;  // relative, k = 1, of the class where no calibration is stated
  // Of the zero, W, k = 1; nullopt: nobody states it, and only a tare tells.
  std::optional<double> offset_u_w = {};

  std::function<std::unique_ptr<MeterDecoder>()> make_decoder;
  std::function<std::unique_ptr<MeterDriver>()> make_driver;  // empty with LinkKind::kNone
  // Of a meter that feeds the device: a driver that sets this voltage. Empty: it sets none.
  std::function<std::unique_ptr<MeterDriver>(double supply_v)> make_supply_driver = {};
  // How well it was tested: "capture", "derived bytes", "hardware"; see docs/meters.md.
  std::string tested;
};

}  // namespace joulefarm::agent
