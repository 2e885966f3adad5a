#include "agent/power/link/hid_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "agent/power/link/hid_bus.h"
#include "agent/power/meter/checksum.h"
#include "agent/power/meter/fnirsi.h"
#include "agent/power/meter/registry.h"
#include "agent/power/switch/ykush.h"
#include "agent/process/boottime.h"
#include "tests/agent/power/link/hid_testbed.h"
#include "tests/agent/power/meter/scripted_link.h"
#include "tests/agent/power/unprivileged.h"

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;
using Report = std::vector<std::uint8_t>;

// A keyboard's: usage page 1.
constexpr const char* kKeyboard =
    "05010906A101050719E029E71500250175019508810295017508810195067508150025650507190029658100C0";

Report Padded(Report report, std::size_t size = 64) {
  report.resize(size);
  return report;
}

// As the kernel gets it: with a report id that the device does not see.
Report Numbered(Report report) {
  report.insert(report.begin(), 0);
  return report;
}

// meters.md, section 1.
Report FnirsiReport() {
  return FromHex(
      "aa0420a10700a08601008c0a8c0a01fa00a0bb0d00400d030058022c01012c01"
      "804f1200e093040000000000012d0180841e0020a1070000000000012e0100da");
}

Report FnirsiCommand(std::uint8_t command) {
  Report report = Padded({0xAA, command});
  report[63] = Crc8(absl::MakeSpan(report).subspan(1, 62), 0x39, 0x42);
  return report;
}

TEST(HidBusTest, ListsEachInterfaceWithItsPort) {
  HidTestbed bed;
  bed.Add({});
  bed.Add({.number = 1,
           .port = "3-2.4",
           .interface = 0,
           .vendor = 0x046D,
           .product = 0xC31C,
           .descriptor = kKeyboard});
  bed.Add({.number = 2, .port = "3-2.4", .interface = 1, .vendor = 0x046D, .product = 0xC31C});
  const std::vector<UsbDevice> devices = ListHid();
  ASSERT_EQ(devices.size(), 3U);
  EXPECT_EQ(devices[0].node, "/dev/hidraw0");
  EXPECT_EQ(devices[0].path, "3-1");
  EXPECT_EQ(devices[0].vendor, 0x2E3C);
  EXPECT_EQ(devices[0].product, 0x5558);
  EXPECT_EQ(devices[0].manufacturer, "FNIRSI");
  EXPECT_EQ(devices[0].product_name, "USB Tester");
  EXPECT_EQ(devices[0].serial, "0001A0");
  EXPECT_EQ(devices[0].usage_page, 0xFF00);
  EXPECT_EQ(devices[0].interface_number, 3);
  EXPECT_EQ(devices[1].path, "3-2.4");
  EXPECT_EQ(devices[1].usage_page, 1);
  EXPECT_EQ(devices[2].path, "3-2.4");
  EXPECT_EQ(devices[2].interface_number, 1);

  int matches = 0;
  for (const UsbDevice& device : devices) {
    for (const MeterModel& model : MeterModels()) {
      if (model.link != LinkKind::kHid || model.match(device) != UsbMatch::kYes) continue;
      EXPECT_EQ(model.name, "fnirsi");
      EXPECT_EQ(device.node, "/dev/hidraw0");
      ++matches;
    }
  }
  EXPECT_EQ(matches, 1);
}

TEST(HidBusTest, NothingThere) {
  HidTestbed bed;
  EXPECT_TRUE(ListHid().empty());
}

TEST(HidLinkTest, OpenErrorsSayWhatToDo) {
  HidTestbed bed;
  const std::string node = bed.Add({});
  EXPECT_TRUE(absl::IsUnavailable(OpenHid("/dev/hidraw7").status()));
  bed.Forbid(node);
  const Unprivileged user;
  if (!user.works()) GTEST_SKIP() << "may not become another user here";
  const absl::Status status = OpenHid(node).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("deploy/udev/60-joulefarm-hid.rules"));
}

TEST(HidLinkTest, OneProcessAtATime) {
  HidTestbed bed;
  const std::string node = bed.Add({});
  auto first = OpenHid(node);
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = OpenHid(node).status();
  EXPECT_TRUE(absl::IsResourceExhausted(second)) << second;
  EXPECT_THAT(std::string(second.message()), HasSubstr("is held by another process"));
  first->reset();
  EXPECT_TRUE(OpenHid(node).ok());
}

TEST(HidLinkTest, ReportsOfTheScript) {
  HidTestbed bed;
  const std::string node = bed.Add({});
  const Report command = FnirsiCommand(0x82);
  bed.Script(node, HidTestbed::Line('w', 0, Numbered(command)) +
                       HidTestbed::Line('r', 40, FnirsiReport()));
  auto link = OpenHid(node);
  ASSERT_TRUE(link.ok()) << link.status();
  EXPECT_TRUE(absl::IsDeadlineExceeded((*link)->Read(64, 0).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded((*link)->Read(64, -5).status()));
  ASSERT_TRUE((*link)->Write(command, 100).ok());
  const auto report = (*link)->Read(64, 5000);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(*report, FnirsiReport());
  EXPECT_TRUE(absl::IsInvalidArgument((*link)->Read(0, 0).status()));
  std::vector<std::uint8_t> data;
  EXPECT_TRUE(absl::IsUnimplemented((*link)->Control({}, data, 0)));
}

// The driver as the agent runs it, through hidapi, against a script of what the meter does.
TEST(HidLinkTest, FnirsiThroughHidapi) {
  HidTestbed bed;
  const std::string node = bed.Add({});
  std::string script;
  for (const std::uint8_t command : {0x81, 0x82, 0x82}) {
    script += HidTestbed::Line('w', 0, Numbered(FnirsiCommand(command)));
  }
  // More than the test takes, however late it runs.
  for (int i = 0; i < 50; ++i) script += HidTestbed::Line('r', 40, FnirsiReport());
  bed.Script(node, script);
  auto link = OpenHid(node);
  ASSERT_TRUE(link.ok()) << link.status();
  const auto driver = FnirsiModel().make_driver();
  ASSERT_TRUE(driver->Start(**link, 0).ok());
  std::vector<MeterSample> samples;
  for (int i = 0; i < 20 && samples.size() < 8; ++i) {
    MeterBatch batch;
    const absl::Status status = driver->Step(**link, batch);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(batch.rejected, 0) << batch.refusal;
    for (const MeterSample& sample : batch.samples) samples.push_back(sample);
  }
  ASSERT_GE(samples.size(), 8U);
  EXPECT_EQ(samples[0].voltage_v, 5.0);
  EXPECT_EQ(samples[3].power_w, 100.0);
  for (std::size_t i = 1; i < samples.size(); ++i) EXPECT_GT(samples[i].t_ns, samples[i - 1].t_ns);
  driver->Stop(**link);
}

// All of `bytes`; false if the other side is gone.
bool ReadAll(int fd, Report& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t size = read(fd, bytes.data() + at, bytes.size() - at);
    if (size <= 0) return false;
    at += static_cast<std::size_t>(size);
  }
  return true;
}

// A hub of which port 2 can be switched, until its device file is closed.
TEST(HidLinkTest, YkushThroughHidapi) {
  HidTestbed bed;
  const std::string node = bed.Add({.interface = 0, .vendor = 0x04D8, .product = 0xF2F7});
  const int peer = bed.PeerFd(node);
  ASSERT_GE(peer, 0);
  std::jthread hub([peer] {
    std::array<bool, 4> on = {true, true, true, true};
    Report command(65);
    while (ReadAll(peer, command)) {
      const int port = command[1] & 0x0F;
      Report reply = Padded({0x01, command[1]});
      if (command[1] < 0x20) {
        on[static_cast<std::size_t>(port)] = command[1] >= 0x10;
      } else {
        reply[1] =
            static_cast<std::uint8_t>((on[static_cast<std::size_t>(port)] ? 0x10 : 0) | port);
      }
      if (write(peer, reply.data(), reply.size()) != 64) return;
    }
  });
  const absl::Cleanup end = [&bed] { bed.Release(); };
  const std::vector<UsbDevice> devices = ListHid();
  ASSERT_EQ(devices.size(), 1U);
  const auto model = FindYkush(devices[0]);
  ASSERT_TRUE(model.has_value());
  const auto ykush = MakeYkush(*model, [&node] { return OpenHid(node); });
  EXPECT_TRUE(ykush->Set(2, false).ok());
  const auto other = ykush->Get(1);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE(*other);
  EXPECT_TRUE(ykush->Set(2, true).ok());
}

TEST(HidLinkTest, AnUnpluggedDeviceIsUnavailable) {
  HidTestbed bed;
  const std::string node = bed.Add({});
  auto link = OpenHid(node);
  ASSERT_TRUE(link.ok()) << link.status();
  const int peer = bed.PeerFd(node);
  const Report report = FnirsiReport();
  ASSERT_EQ(write(peer, report.data(), report.size()), 64);
  EXPECT_TRUE((*link)->Read(64, 5000).ok());
  close(peer);
  EXPECT_TRUE(absl::IsUnavailable((*link)->Read(64, 5000).status()));
  const absl::Status status = (*link)->Write(FnirsiCommand(0x82), 100);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

// Pulled out while it samples, and plugged in again: at the same port it is the same meter.
TEST(HidLinkTest, UnpluggedAndPluggedInAgain) {
  HidTestbed bed;
  const Report report = FnirsiReport();
  std::int64_t samples = 0;
  for (int plugged = 0; plugged < 3; ++plugged) {
    // The node may be another one each time.
    const FakeHid meter{.number = plugged};
    const std::string node = bed.Add(meter);
    const int peer = bed.PeerFd(node);
    const std::vector<UsbDevice> devices = ListHid();
    ASSERT_EQ(devices.size(), 1U);
    EXPECT_EQ(devices[0].path, "3-1");
    auto link = OpenHid(devices[0].node);
    ASSERT_TRUE(link.ok()) << link.status();
    const auto driver = FnirsiModel().make_driver();
    ASSERT_TRUE(driver->Start(**link, 0).ok());
    for (int i = 0; i < 3; ++i) ASSERT_EQ(write(peer, report.data(), report.size()), 64);
    MeterBatch batch;
    for (int i = 0; i < 10 && batch.samples.size() < 8; ++i) {
      ASSERT_TRUE(driver->Step(**link, batch).ok());
    }
    EXPECT_EQ(batch.samples.size(), 8U);
    samples += static_cast<std::int64_t>(batch.samples.size());

    close(peer);
    bed.Release();
    bed.Remove(meter);
    absl::Status status;
    for (int i = 0; i < 10 && status.ok(); ++i) {
      MeterBatch none;
      status = driver->Step(**link, none);
      EXPECT_TRUE(none.samples.empty());
    }
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    driver->Stop(**link);
    EXPECT_TRUE(ListHid().empty());
    EXPECT_TRUE(absl::IsUnavailable(OpenHid(node).status()));
  }
  EXPECT_EQ(samples, 24);
}

}  // namespace
}  // namespace joulefarm::agent
