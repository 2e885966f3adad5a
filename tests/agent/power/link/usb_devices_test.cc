#include "agent/power/link/usb_devices.h"

#include <gtest/gtest.h>
#include <umockdev.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/match.h"

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

TEST_F(UsbDevicesTest, NothingThereIsAnEmptyList) {
  const auto devices = ListSerialDevices();
  ASSERT_TRUE(devices.ok()) << devices.status();
  EXPECT_TRUE(devices->empty());
}

}  // namespace
}  // namespace joulefarm::agent
