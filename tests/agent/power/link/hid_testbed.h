// A bus with HID devices as umockdev makes it: sysfs, udev and device nodes that hidapi takes for
// the kernel's. Only under umockdev-wrapper.
//
// A node is a pseudo terminal: reports are bytes in a row, so a test reads in whole reports.
//
// Threads: one, but for the fds. Ownership: the test bed and its temporary folder.
#pragma once

#include <fcntl.h>
#include <glib-object.h>
#include <glib.h>
#include <gtest/gtest.h>
#include <umockdev.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {

struct FakeHid {
  int number = 0;  // of hidraw
  std::string port = "3-1";
  int interface = 3;
  unsigned vendor = 0x2E3C;
  unsigned product = 0x5558;
  // Usage page ff00, 64 bytes each way without report id.
  std::string descriptor = "0600FF0901A1010902150026FF007508954081020903150026FF00750895409102C0";
};

class HidTestbed {
 public:
  HidTestbed() : bed_(umockdev_testbed_new()) {}
  ~HidTestbed() {
    Release();
    g_object_unref(bed_);
  }
  HidTestbed(const HidTestbed&) = delete;
  HidTestbed& operator=(const HidTestbed&) = delete;

  // The node, "/dev/hidraw0".
  std::string Add(const FakeHid& device) {
    const std::string node = absl::StrCat("/dev/hidraw", device.number);
    const std::string usb = absl::StrCat("/devices/pci0000:00/0000:00:14.0/usb3/", device.port);
    const std::string interface = absl::StrCat(usb, "/", device.port, ":1.", device.interface);
    const std::string hid_name =
        absl::StrFormat("0003:%04X:%04X.%04X", device.vendor, device.product, device.number + 1);
    const std::string hid = absl::StrCat(interface, "/", hid_name);
    std::vector<std::string>& paths = ports_[device.port];
    if (paths.empty()) {
      paths.push_back(usb);
      Describe(absl::StrFormat(
          "P: %s\nE: DEVTYPE=usb_device\nE: SUBSYSTEM=usb\nE: BUSNUM=003\nE: DEVNUM=009\n"
          "A: busnum=3\\n\nA: devnum=9\\n\nA: idVendor=%04x\\n\nA: idProduct=%04x\\n\n"
          "A: bcdDevice=0100\\n\nA: manufacturer=FNIRSI\\n\nA: product=USB Tester\\n\n"
          "A: serial=0001A0\\n\n",
          usb, device.vendor, device.product));
    }
    Describe(absl::StrFormat(
        "P: %s\nE: DEVTYPE=usb_interface\nE: SUBSYSTEM=usb\nA: bInterfaceNumber=%02d\\n\n",
        interface, device.interface));
    Describe(absl::StrFormat(
        "P: %s\nE: SUBSYSTEM=hid\nE: HID_ID=0003:%08X:%08X\nE: HID_NAME=FNIRSI USB Tester\n"
        "E: HID_UNIQ=0001A0\nH: report_descriptor=%s\n",
        hid, device.vendor, device.product, device.descriptor));
    Describe(absl::StrFormat(
        "P: %s/hidraw/hidraw%d\nN: hidraw%d\nE: DEVNAME=%s\nE: SUBSYSTEM=hidraw\nE: MAJOR=240\n"
        "E: MINOR=%d\nL: device=../../../%s\n",
        hid, device.number, device.number, node, device.number, hid_name));
    paths.insert(paths.end(), {interface, hid, absl::StrCat(hid, "/hidraw/hidraw", device.number)});
    LoadIoctls(node, device.descriptor);
    return node;
  }

  // Unplugged, all interfaces of it: the last added first, as the kernel does it.
  void Remove(const FakeHid& device) {
    std::vector<std::string>& paths = ports_[device.port];
    for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
      umockdev_testbed_remove_device(bed_, absl::StrCat("/sys", *path).c_str());
    }
    ports_.erase(device.port);
    // umockdev leaves the node.
    gchar* const root = umockdev_testbed_get_root_dir(bed_);
    std::filesystem::remove(absl::StrCat(root, "/dev/hidraw", device.number));
    g_free(root);
  }

  // What the driver is to write ("w 0 …") and is given to read ("r 40 …"); see Line.
  void Script(const std::string& node, const std::string& lines) {
    const std::string path = File("script", lines);
    GError* error = nullptr;
    ASSERT_TRUE(umockdev_testbed_load_script(bed_, node.c_str(), path.c_str(), &error))
        << error->message;
  }

  // The other end of a node that has no script.
  int PeerFd(const std::string& node) {
    // A terminal that nobody has open reads as closed; a device does not.
    held_.push_back(open(node.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_GE(held_.back(), 0);
    return umockdev_testbed_get_dev_fd(bed_, node.c_str());
  }
  // Reading from the other ends ends.
  void Release() {
    for (const int fd : held_) close(fd);
    held_.clear();
  }

  // Lets other users go through the folders and to what umockdev itself needs, and none but root to
  // the nodes.
  void Forbid(const std::string& node) {
    using std::filesystem::perms;
    gchar* const root = umockdev_testbed_get_root_dir(bed_);
    std::filesystem::permissions(root, perms(0755));
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const bool link = entry.is_symlink();
      if (!link)
        std::filesystem::permissions(entry, entry.is_directory() ? perms(0755) : perms(0666));
    }
    std::filesystem::permissions(absl::StrCat(root, node), perms::none);
    g_free(root);
  }

  static std::string Line(char operation, int ms, const std::vector<std::uint8_t>& bytes) {
    std::string line = absl::StrFormat("%c %d ", operation, ms);
    for (const std::uint8_t byte : bytes) {
      if (byte < 0x20) {
        absl::StrAppend(&line, "^", std::string(1, static_cast<char>(byte + 64)));
      } else if (byte == '^') {
        absl::StrAppend(&line, "^`");
      } else {
        line.push_back(static_cast<char>(byte));
      }
    }
    return line + "\n";
  }

 private:
  void Describe(const std::string& text) {
    GError* error = nullptr;
    ASSERT_TRUE(umockdev_testbed_add_from_string(bed_, text.c_str(), &error))
        << error->message << "\n"
        << text;
  }

  void LoadIoctls(const std::string& node, const std::string& descriptor) {
    const std::string size = absl::StrFormat("%02X000000", descriptor.size() / 2);
    std::string padded = descriptor;
    padded.resize(std::size_t{4096} * 2, '0');
    const std::string path =
        File("ioctl", absl::StrCat("@DEV ", node, "\nHIDIOCGRDESCSIZE 0 ", size,
                                   "\nHIDIOCGRDESC 0 ", size, padded, "\n"));
    GError* error = nullptr;
    ASSERT_TRUE(umockdev_testbed_load_ioctl(bed_, node.c_str(), path.c_str(), &error))
        << error->message;
  }

  std::string File(const std::string& name, const std::string& content) {
    const std::string path = absl::StrCat(dir_.path().string(), "/", name, files_++);
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  UMockdevTestbed* const bed_;
  const TempDir dir_;
  std::map<std::string, std::vector<std::string>> ports_;  // what hangs on each
  std::vector<int> held_;
  int files_ = 0;
};

}  // namespace joulefarm::agent
