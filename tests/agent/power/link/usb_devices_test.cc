#include "agent/power/link/usb_devices.h"

#include <gtest/gtest.h>
#include <umockdev.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "agent/power/link/serial_link.h"
#include "agent/power/meter/registry.h"
#include "tests/agent/power/meter/serial_meter.h"

namespace joulefarm::agent {
namespace {

// A fake /sys and /dev; needs umockdev-wrapper around the program.
class UsbDevicesTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* preloaded = std::getenv("LD_PRELOAD");
    if (preloaded == nullptr || !absl::StrContains(preloaded, "umockdev")) {
      GTEST_SKIP() << "not run under umockdev-wrapper";
    }
    bed_.reset(umockdev_testbed_new());
  }
  void Add(const std::string& description) {
    GError* error = nullptr;
    EXPECT_TRUE(umockdev_testbed_add_from_string(bed_.get(), description.c_str(), &error))
        << (error == nullptr ? "" : error->message);
    g_clear_error(&error);
  }

  struct Unref {
    void operator()(UMockdevTestbed* bed) const { g_object_unref(bed); }
  };
  std::unique_ptr<UMockdevTestbed, Unref> bed_;
};

constexpr const char* kHub =
    "P: /devices/pci0000:00/0000:00:14.0/usb3\n"
    "E: DEVTYPE=usb_device\nE: SUBSYSTEM=usb\n"
    "A: idVendor=1d6b\\n\nA: idProduct=0002\\n\n\n";

// A device of two lines, as the PPK2 has them.
std::string TwoLines() {
  const std::string device = "/devices/pci0000:00/0000:00:14.0/usb3/3-1/3-1.2";
  std::string text = "P: " + device +
                     "\nE: DEVTYPE=usb_device\nE: SUBSYSTEM=usb\n"
                     "A: idVendor=1915\\n\nA: idProduct=c00a\\n\nA: serial=C69BBE\\n\n"
                     "A: manufacturer=Nordic Semiconductor\\n\nA: product=PPK2\\n\n\n";
  for (const char* number : {"1", "3"}) {
    const std::string interface = device + "/3-1.2:1." + number;
    const std::string tty = std::string("ttyACM") + (number[0] == '1' ? "0" : "1");
    text += "P: " + interface + "\nE: DEVTYPE=usb_interface\nE: SUBSYSTEM=usb\n" +
            "A: bInterfaceNumber=0" + number + "\\n\n\n";
    text += "P: " + interface + "/tty/" + tty + "\nN: " + tty + "\nE: DEVNAME=/dev/" + tty +
            "\nE: SUBSYSTEM=tty\n\n";
  }
  return text;
}

TEST_F(UsbDevicesTest, LinesWithTheDeviceTheyAreOf) {
  Add(kHub);
  Add(TwoLines());
  Add("P: /devices/platform/serial8250/tty/ttyS0\nN: ttyS0\nE: DEVNAME=/dev/ttyS0\n"
      "E: SUBSYSTEM=tty\n\n");
  const auto devices = ListSerialDevices();
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 2U) << "the built-in line is not on USB";
  for (std::size_t i = 0; i < 2; ++i) {
    const UsbDevice& device = (*devices)[i];
    EXPECT_EQ(device.node, i == 0 ? "/dev/ttyACM0" : "/dev/ttyACM1");
    EXPECT_EQ(device.interface_number, i == 0 ? 1 : 3);
    EXPECT_EQ(device.vendor, 0x1915);
    EXPECT_EQ(device.product, 0xC00A);
    EXPECT_EQ(device.manufacturer, "Nordic Semiconductor");
    EXPECT_EQ(device.product_name, "PPK2");
    EXPECT_EQ(device.serial, "C69BBE");
    EXPECT_EQ(device.path, "3-1.2");
  }
}

// As umockdev's scripts want them: control characters as ^ and a letter.
std::string ScriptBytes(const std::vector<std::uint8_t>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (byte < 0x20) {
      text += {'^', static_cast<char>(byte + 64)};
    } else if (byte == '^') {
      text += "^`";
    } else {
      text += static_cast<char>(byte);
    }
  }
  return text;
}

// Read from a real TC66: shared/design/meters.md, section 6.
constexpr const char* kTc66Reply =
    "006630928cdbb01e307647693bac80b012a60ec3c8645b9af0ead3c57ae5a0628f330593ff8f836a2a36d60f8709fc"
    "4f"
    "c5ec277ef1b0dbb4815a9497d8646eb206f404f8061c1177e994f37dfc6f4dab07385ea4d05c1e32616e88527b57d3"
    "10"
    "6babf8c170d31db582db234384fa559313e92b412f6af4e16e09168c608fba0a4231f411e56f5c203c590b4a68fd5b"
    "09"
    "2aca6ec4a4554d5542e8674b097e259c2aca6ec4a4554d5542e8674b097e259ce09c4004c92da948c3165eebdb8b9e"
    "c2";

TEST_F(UsbDevicesTest, AMeterFromTheBusToItsReading) {
  Add(kHub);
  const std::string device = "/devices/pci0000:00/0000:00:14.0/usb3/3-4";
  Add("P: " + device +
      "\nE: DEVTYPE=usb_device\nE: SUBSYSTEM=usb\nA: idVendor=28e9\\n\nA: idProduct=018a\\n\n"
      "A: manufacturer=RuiDeng\\n\nA: product=TC66\\n\n\n");
  Add("P: " + device +
      "/3-4:1.0\nE: DEVTYPE=usb_interface\nE: SUBSYSTEM=usb\n"
      "A: bInterfaceNumber=00\\n\n\n");
  Add("P: " + device +
      "/3-4:1.0/tty/ttyACM7\nN: ttyACM7\nE: DEVNAME=/dev/ttyACM7\n"
      "E: SUBSYSTEM=tty\n\n");
  const std::string reply = ScriptBytes(FromHex(kTc66Reply));
  const std::string script = testing::TempDir() + "tc66_script." + std::to_string(getpid());
  std::ofstream(script) << "d 0 /dev/ttyACM7\nw 0 query\nr 20 firm\nw 0 getva\nr 20 " << reply
                        << "\nw 0 getva\nr 20 " << reply << "\n";
  GError* error = nullptr;
  EXPECT_TRUE(umockdev_testbed_load_script(bed_.get(), "/dev/ttyACM7", script.c_str(), &error));
  g_clear_error(&error);
  std::filesystem::remove(script);

  const auto devices = ListSerialDevices();
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 1U);
  const MeterModel* tc66 = FindMeterModel("tc66");
  ASSERT_NE(tc66, nullptr);
  EXPECT_EQ(tc66->match(devices->front()), UsbMatch::kYes);
  const auto link = OpenSerial(devices->front().node, tc66->baud);
  ASSERT_TRUE(link.ok()) << link.status();
  const auto driver = tc66->make_driver();
  const auto identity = driver->Start(**link, 0);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->serial, "48724");
  MeterBatch batch;
  for (int i = 0; i < 20 && batch.samples.empty(); ++i) {
    ASSERT_TRUE(driver->Step(**link, batch).ok());
  }
  ASSERT_EQ(batch.samples.size(), 1U);
  EXPECT_EQ(batch.samples[0].power_w, 0.1026);
}

TEST_F(UsbDevicesTest, NothingThereIsAnEmptyList) {
  const auto devices = ListSerialDevices();
  ASSERT_TRUE(devices.ok()) << devices.status();
  EXPECT_TRUE(devices->empty());
}

}  // namespace
}  // namespace joulefarm::agent
