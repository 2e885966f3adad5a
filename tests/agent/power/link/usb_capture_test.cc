// Every question of a capture from a real KM003C through unmodified libusb: the link gives the
// bytes that the meter sent, and the decoder its measurements.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <umockdev.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/power/link/usb_bus.h"
#include "agent/power/link/usb_link.h"
#include "agent/power/meter/km003c.h"

namespace joulefarm::agent {
namespace {

using Frame = std::vector<std::uint8_t>;

constexpr std::uint32_t kPacketBlock = 6;
constexpr std::uint8_t kBulk = 3;
constexpr std::uint8_t kOut = 0x01;
constexpr std::uint8_t kIn = 0x81;
constexpr std::size_t kRead = 4096;
constexpr int kTimeoutMs = 5000;
constexpr char kSyspath[] = "/sys/devices/pci0000:00/0000:00:14.0/usb3/3-1";

std::string CapturePath() {
  const char* root = std::getenv("JOULEFARM_CAPTURES");
  return absl::StrCat(root != nullptr ? root : JOULEFARM_CAPTURES_DEFAULT,
                      "/km003c/pd_capture_new.9.pcapng");
}

template <typename T>
T At(const std::string& data, std::size_t at) {
  T value;
  std::memcpy(&value, data.data() + at, sizeof value);
  return value;
}

// A packet of usbmon's format for memory maps.
struct Packet {
  bool submitted = false;
  std::uint8_t transfer = 0;
  std::uint8_t endpoint = 0;
  std::uint32_t length = 0;
  Frame data;
};

std::vector<Packet> ReadCapture(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<Packet> packets;
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += At<std::uint32_t>(bytes, at + 4)) {
    if (At<std::uint32_t>(bytes, at) != kPacketBlock) continue;
    const std::size_t urb = at + 28;
    Packet& packet = packets.emplace_back();
    packet.submitted = bytes[urb + 8] == 'S';
    packet.transfer = static_cast<std::uint8_t>(bytes[urb + 9]);
    packet.endpoint = static_cast<std::uint8_t>(bytes[urb + 10]);
    packet.length = At<std::uint32_t>(bytes, urb + 32);
    const auto captured = At<std::uint32_t>(bytes, urb + 36);
    packet.data.assign(bytes.begin() + static_cast<std::ptrdiff_t>(urb + 64),
                       bytes.begin() + static_cast<std::ptrdiff_t>(urb + 64 + captured));
  }
  return packets;
}

class UsbCaptureTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::ifstream(CapturePath())) GTEST_SKIP() << "no recorded data at " << CapturePath();
    const char* preloaded = std::getenv("LD_PRELOAD");
    ASSERT_TRUE(preloaded != nullptr && absl::StrContains(preloaded, "umockdev"))
        << "run me under umockdev-wrapper";
    packets_ = ReadCapture(CapturePath());
    bed_ = umockdev_testbed_new();
    Frame descriptors;
    for (const Packet& packet : packets_) {
      // The device's descriptor and the whole one of its configuration.
      if (!packet.submitted && packet.endpoint == 0x80 &&
          (packet.data.size() == 18 || packet.data.size() == 130))
        descriptors.insert(descriptors.end(), packet.data.begin(), packet.data.end());
    }
    ASSERT_EQ(descriptors.size(), 148U);
    const std::string hex = absl::AsciiStrToUpper(absl::BytesToHexString(
        absl::string_view(reinterpret_cast<const char*>(descriptors.data()), descriptors.size())));
    const std::string record = absl::StrCat(
        "P: /devices/pci0000:00/0000:00:14.0/usb3/3-1\nN: bus/usb/003/009=", hex,
        "\nE: DEVNAME=/dev/bus/usb/003/009\nE: DEVTYPE=usb_device\nE: BUSNUM=003\nE: DEVNUM=009\n"
        "E: MAJOR=189\nE: MINOR=264\nE: SUBSYSTEM=usb\nA: busnum=3\\n\nA: devnum=9\\n\n"
        "A: idVendor=5fc9\\n\nA: idProduct=0063\\n\nA: bConfigurationValue=1\\n\nA: speed=12\\n\n"
        "H: descriptors=",
        hex, "\n");
    g_autoptr(GError) error = nullptr;
    ASSERT_TRUE(umockdev_testbed_add_from_string(bed_, record.c_str(), &error)) << error->message;
    ASSERT_TRUE(umockdev_testbed_load_pcap(bed_, kSyspath, CapturePath().c_str(), &error))
        << error->message;
  }
  void TearDown() override {
    if (bed_ != nullptr) g_object_unref(bed_);
  }

  std::vector<Packet> packets_;
  UMockdevTestbed* bed_ = nullptr;
};

TEST_F(UsbCaptureTest, EveryExchange) {
  const absl::StatusOr<std::vector<UsbDevice>> devices = ListUsbDevices();
  ASSERT_TRUE(devices.ok());
  ASSERT_EQ(devices->size(), 1U);
  EXPECT_EQ(Km003cModel().match((*devices)[0]), UsbMatch::kYes);
  const absl::StatusOr<std::unique_ptr<Link>> link =
      OpenUsbLink((*devices)[0], {.usb_interface = 0, .endpoint_out = kOut, .endpoint_in = kIn});
  ASSERT_TRUE(link.ok()) << link.status();
  std::vector<Frame> questions;
  std::vector<Frame> replies;
  // The read that the first captured reply answers began before the capture did.
  bool reading = false;
  for (const Packet& packet : packets_) {
    if (packet.transfer != kBulk) continue;
    reading = reading || (packet.submitted && packet.endpoint == kIn);
    if (packet.submitted && packet.endpoint == kOut) questions.push_back(packet.data);
    if (!packet.submitted && packet.endpoint == kIn && reading && !packet.data.empty())
      replies.push_back(packet.data);
  }
  // In the capture each read was under way before its question: so it has to be here.
  std::vector<absl::StatusOr<Frame>> read;
  std::jthread reader([&] {
    while (read.size() < replies.size() && (read.empty() || read.back().ok()))
      read.push_back((*link)->Read(kRead, kTimeoutMs));
  });
  for (const Frame& question : questions) {
    const absl::Status written = (*link)->Write(question, kTimeoutMs);
    ASSERT_TRUE(written.ok()) << absl::BytesToHexString(absl::string_view(
                                     reinterpret_cast<const char*>(question.data()), 4))
                              << ": " << written;
  }
  reader.join();
  Km003cDecoder decoder;
  int samples = 0;
  std::optional<MeterSample> first;
  ASSERT_EQ(read.size(), replies.size());
  for (std::size_t i = 0; i < replies.size(); ++i) {
    ASSERT_TRUE(read[i].ok()) << "reply " << i << ": " << read[i].status();
    ASSERT_EQ(*read[i], replies[i]) << "reply " << i;
    const absl::StatusOr<std::vector<MeterSample>> decoded = decoder.Decode(*read[i]);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    samples += static_cast<int>(decoded->size());
    if (!first && !decoded->empty()) first = decoded->front();
  }
  EXPECT_EQ(replies.size(), 1730U);
  // 1401 measurements and 18 with PD status behind, less the first.
  EXPECT_EQ(samples, 1418);
  ASSERT_TRUE(first);
  EXPECT_NEAR(*first->voltage_v, 0.004118, 1e-12);
  EXPECT_NEAR(*first->current_a, -30e-6, 1e-12);
}

}  // namespace
}  // namespace joulefarm::agent
