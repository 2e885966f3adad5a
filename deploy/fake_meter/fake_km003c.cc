#include "deploy/fake_meter/fake_km003c.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/escaping.h"

namespace joulefarm {
namespace {

constexpr std::uint8_t kEndpointOut = 0x01;
constexpr std::uint8_t kEndpointIn = 0x81;
constexpr std::uint8_t kGetData = 0x0C;
constexpr std::uint8_t kAdc = 0x02;  // as it stands in the question
constexpr std::int64_t kConversionNs = 2'000'000;
constexpr std::size_t kVoltageAt = 8;
constexpr std::size_t kCurrentAt = 12;
constexpr double kMicro = 1e6;
// As captured from a real one: descriptors of the device and its configuration, and a reply.
constexpr char kDescriptors[] =
    "12011002ef020120c95f6300000101040301"
    "0902820004010080320904000002ff0000020705010240000007058102400000080b0102020200000904010001"
    "02020002052400100105240100020424020205240601020705830308000a09040200020a000000070502024000"
    "00070582024000000904030002030000000921110100012218000705850340000107050503400001";
constexpr char kReply[] =
    "410c82020100000be08d4d001e000000218e4d00eaffffff278e4d00480000001c0c9502737e000001007b7e0080a4"
    "0c"
    "00000000";

FakeUsbDevice::Data FromHex(const char* hex) {
  const std::string bytes = absl::HexStringToBytes(hex);
  return {bytes.begin(), bytes.end()};
}

std::int64_t BoottimeNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void Put(FakeUsbDevice::Data& data, std::size_t at, double micros) {
  const auto value = static_cast<std::uint32_t>(static_cast<std::int32_t>(std::lround(micros)));
  for (std::size_t i = 0; i < 4; ++i) data[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

}  // namespace

void FakeKm003c::SetMood(Mood mood) {
  const std::lock_guard lock(mutex_);
  mood_ = mood;
}

void FakeKm003c::LeaveReply() {
  const std::lock_guard lock(mutex_);
  replies_.push_back(Measurement(0xEE));
}

std::int64_t FakeKm003c::answered() const {
  const std::lock_guard lock(mutex_);
  return answered_;
}

FakeUsbDevice::Facts FakeKm003c::facts() const {
  return {.vendor = 0x5FC9,
          .product = 0x0063,
          .manufacturer = "ChargerLAB",
          .product_name = product_name_,
          .serial = serial_,
          .descriptors = FromHex(kDescriptors)};
}

FakeUsbDevice::Data FakeKm003c::Measurement(std::uint8_t transaction) const {
  Data reply = FromHex(kReply);
  reply[1] = transaction;
  const std::int64_t now_ns = BoottimeNs();
  const Flow flow = source_(now_ns - now_ns % kConversionNs);
  // The averages are not averaged here, and the raw values not raw.
  for (const std::size_t offset : {0, 8, 16}) {
    Put(reply, kVoltageAt + offset, flow.voltage_v * kMicro);
    Put(reply, kCurrentAt + offset, flow.current_a * kMicro);
  }
  return reply;
}

bool FakeKm003c::Out(std::uint8_t endpoint, const Data& data) {
  const std::lock_guard lock(mutex_);
  if (mood_ == Mood::kStalled || endpoint != kEndpointOut) return false;
  if (mood_ == Mood::kSilent || data.size() != 4) return true;
  if (mood_ == Mood::kGarbage) {
    replies_.push_back({0x41, data[1], 0x80, 0x02, 0xDE, 0xAD, 0xBE, 0xEF, 0x99});
  } else if (data[0] == kGetData && data[2] == kAdc) {
    replies_.push_back(Measurement(data[1]));
    ++answered_;
  } else {
    replies_.push_back({0x06, data[1], 0, 0});
  }
  return true;
}

std::optional<FakeUsbDevice::Data> FakeKm003c::In(std::uint8_t endpoint, std::size_t /*most*/) {
  const std::lock_guard lock(mutex_);
  if (mood_ == Mood::kStalled || endpoint != kEndpointIn) return Data();
  if (replies_.empty()) return std::nullopt;
  Data reply = std::move(replies_.front());
  replies_.pop_front();
  return reply;
}

bool FakeKm003c::Control(const Data& /*setup*/, Data& /*data*/) { return false; }

}  // namespace joulefarm
