// USB devices that are not there, on a bus of umockdev's: unmodified libusb and udev see them, in
// this process and in those that it starts. The process runs under umockdev-wrapper.
//
// Threads: Plug and Unplug on one thread; a device's functions are called on umockdev's. Ownership:
// the bus owns its testbed; devices outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace joulefarm {

class FakeUsbDevice {
 public:
  using Data = std::vector<std::uint8_t>;
  struct Facts {
    std::uint16_t vendor = 0;
    std::uint16_t product = 0;
    std::string manufacturer;
    std::string product_name;
    std::string serial;
    Data descriptors;  // device and configuration
  };

  virtual ~FakeUsbDevice() = default;
  virtual Facts facts() const = 0;
  // The host wrote to an endpoint. False: it stalls.
  virtual bool Out(std::uint8_t endpoint, const Data& data) = 0;
  // What the host reads; nullopt: nothing yet. An empty one is a stall.
  virtual std::optional<Data> In(std::uint8_t endpoint, std::size_t most) = 0;
  // A control transfer; `data` is sent or to be filled. False: it stalls.
  virtual bool Control(const Data& setup, Data& data) = 0;
};

class FakeUsbBus {
 public:
  FakeUsbBus();
  ~FakeUsbBus();
  FakeUsbBus(const FakeUsbBus&) = delete;
  FakeUsbBus& operator=(const FakeUsbBus&) = delete;

  // False: this process does not run under umockdev-wrapper.
  static bool Works();

  // Plugs a device into the port "3-1", "3-2" and so on, with a new address each time. `driver`: a
  // driver of the kernel that has its interfaces at first; empty: none.
  void Plug(FakeUsbDevice& device, int port = 1, const std::string& driver = "");
  // Whoever has it open sees that it is gone.
  void Unplug(int port = 1);
  // Of the device in the port, such as "/dev/bus/usb/003/002".
  std::string node(int port = 1) const;
  // Takes the right to open the device from all but root.
  void Forbid(int port = 1);
  // What a kernel's driver has now; empty: none.
  std::string driver(int port = 1) const;

 private:
  class Plugged;
  struct Testbed;

  int next_address_ = 2;
  std::map<int, std::unique_ptr<Plugged>> ports_;
  // Somebody may still have them open.
  std::vector<std::unique_ptr<Plugged>> gone_;
  std::unique_ptr<Testbed> testbed_;  // last: its thread calls the others
};

}  // namespace joulefarm
