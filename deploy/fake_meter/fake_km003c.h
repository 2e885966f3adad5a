// A ChargerLAB KM003C that is not there: answers polls as a real one does, and misbehaves as it is
// told.
//
// Threads: any. Ownership: what it shows is a function that it owns.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "deploy/fake_meter/fake_usb_bus.h"

namespace joulefarm {

class FakeKm003c : public FakeUsbDevice {
 public:
  struct Flow {
    double voltage_v = 5;
    double current_a = 0;
  };
  // What flows at a time, BOOTTIME ns. A conversion is made every 2 ms and stands until the next.
  using Source = std::function<Flow(std::int64_t t_ns)>;
  enum class Mood {
    kFine,
    kSilent,   // takes questions and does not answer
    kStalled,  // refuses all transfers
    kGarbage,  // answers with noise
  };

  FakeKm003c(std::string serial, Source source, std::string product_name = "POWER-Z KM003C")
      : serial_(std::move(serial)),
        product_name_(std::move(product_name)),
        source_(std::move(source)) {}

  void SetMood(Mood mood);
  // As if its last user had gone without reading the answer.
  void LeaveReply();
  // Questions answered with a measurement.
  std::int64_t answered() const;

  Facts facts() const override;
  bool Out(std::uint8_t endpoint, const Data& data) override;
  std::optional<Data> In(std::uint8_t endpoint, std::size_t most) override;
  bool Control(const Data& setup, Data& data) override;

 private:
  Data Measurement(std::uint8_t transaction) const;

  const std::string serial_;
  const std::string product_name_;
  const Source source_;
  mutable std::mutex mutex_;  // guards what follows
  Mood mood_ = Mood::kFine;
  std::deque<Data> replies_;
  std::int64_t answered_ = 0;
};

}  // namespace joulefarm
