#include "deploy/fake_meter/fake_usb_bus.h"

#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <umockdev.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace joulefarm {
namespace {

struct Unref {
  void operator()(UMockdevIoctlData* of) const { umockdev_ioctl_data_unref(of); }
  void operator()(UMockdevIoctlBase* of) const { g_object_unref(of); }
};
using IoctlData = std::unique_ptr<UMockdevIoctlData, Unref>;

// What the request's argument points to; null: its memory cannot be read.
IoctlData Resolve(UMockdevIoctlData* data, std::size_t offset, std::size_t size) {
  g_autoptr(GError) error = nullptr;
  return IoctlData(umockdev_ioctl_data_resolve(data, offset, size, &error));
}

void Update(UMockdevIoctlData* data, std::size_t offset, const void* bytes, std::size_t size) {
  FakeUsbDevice::Data copy(size);
  std::memcpy(copy.data(), bytes, size);
  umockdev_ioctl_data_update(data, offset, copy.data(), static_cast<gint>(size));
}

template <typename T>
T Value(const UMockdevIoctlData* data) {
  T value;
  std::memcpy(&value, data->data, sizeof value);
  return value;
}

constexpr std::size_t kSetupBytes = 8;
constexpr std::uint8_t kIn = 0x80;

}  // namespace

struct FakeUsbBus::Testbed {
  UMockdevTestbed* bed = umockdev_testbed_new();
  ~Testbed() { g_object_unref(bed); }
};

// One device in one port, as usbfs shows it.
class FakeUsbBus::Plugged {
 public:
  Plugged(FakeUsbDevice& device, std::string node, std::string syspath, std::string driver)
      : device_(device),
        node_(std::move(node)),
        syspath_(std::move(syspath)),
        driver_(std::move(driver)),
        base_(umockdev_ioctl_base_new()) {
    g_signal_connect(base_.get(), "handle-ioctl", G_CALLBACK(&Plugged::OnIoctl), this);
    g_signal_connect(base_.get(), "client-vanished", G_CALLBACK(&Plugged::OnVanished), this);
  }

  const std::string& node() const { return node_; }
  const std::string& syspath() const { return syspath_; }
  UMockdevIoctlBase* base() const { return base_.get(); }
  std::string driver() const {
    const std::lock_guard lock(mutex_);
    return driver_;
  }
  void Remove() {
    const std::lock_guard lock(mutex_);
    gone_ = true;
  }

 private:
  struct Urb {
    UMockdevIoctlClient* client = nullptr;
    IoctlData urb;
    IoctlData buffer;
    bool discarded = false;
  };

  static gboolean OnIoctl(UMockdevIoctlBase*, UMockdevIoctlClient* client, Plugged* self) {
    const std::lock_guard lock(self->mutex_);
    const int code = self->Handle(client);
    umockdev_ioctl_client_complete(client, code == 0 ? 0 : -1, code);
    return TRUE;
  }
  static void OnVanished(UMockdevIoctlBase*, UMockdevIoctlClient* client, Plugged* self) {
    const std::lock_guard lock(self->mutex_);
    std::erase_if(self->urbs_, [&](const Urb& urb) { return urb.client == client; });
    if (self->owner_ == client) self->owner_ = nullptr;
  }

  // An errno, 0: done.
  int Handle(UMockdevIoctlClient* client) {
    const gulong request = umockdev_ioctl_client_get_request(client);
    UMockdevIoctlData* argument = umockdev_ioctl_client_get_arg(client);
    if (request == USBDEVFS_REAPURB || request == USBDEVFS_REAPURBNDELAY)
      return Reap(client, argument);
    if (request == USBDEVFS_DISCARDURB) return Discard(argument);
    if (gone_) return ENODEV;
    switch (request) {
      case USBDEVFS_GET_CAPABILITIES: {
        const std::uint32_t capabilities = USBDEVFS_CAP_BULK_CONTINUATION;
        const IoctlData data = Resolve(argument, 0, sizeof capabilities);
        if (data == nullptr) return EFAULT;
        Update(data.get(), 0, &capabilities, sizeof capabilities);
        return 0;
      }
      case USBDEVFS_CLAIMINTERFACE:
        if (!driver_.empty() || (owner_ != nullptr && owner_ != client)) return EBUSY;
        owner_ = client;
        return 0;
      case USBDEVFS_RELEASEINTERFACE:
        if (owner_ == client) owner_ = nullptr;
        return 0;
      case USBDEVFS_CLEAR_HALT:
        return 0;
      case USBDEVFS_GETDRIVER:
        return GetDriver(argument);
      case USBDEVFS_IOCTL:
        return DriverRequest(argument);
      case USBDEVFS_SUBMITURB:
        return Submit(client, argument);
      default:
        return ENOTTY;
    }
  }

  int GetDriver(UMockdevIoctlData* argument) {
    const std::string name = driver_.empty() && owner_ != nullptr ? "usbfs" : driver_;
    if (name.empty()) return ENODATA;
    const IoctlData data = Resolve(argument, 0, sizeof(usbdevfs_getdriver));
    if (data == nullptr) return EFAULT;
    Update(data.get(), offsetof(usbdevfs_getdriver, driver), name.c_str(), name.size() + 1);
    return 0;
  }

  // The kernel's driver lets go, or takes over.
  int DriverRequest(UMockdevIoctlData* argument) {
    const IoctlData data = Resolve(argument, 0, sizeof(usbdevfs_ioctl));
    if (data == nullptr) return EFAULT;
    switch (Value<usbdevfs_ioctl>(data.get()).ioctl_code) {
      case USBDEVFS_DISCONNECT:
        if (driver_.empty()) return ENODATA;
        released_ = std::exchange(driver_, "");
        return 0;
      case USBDEVFS_CONNECT:
        driver_ = std::exchange(released_, "");
        return 0;
      default:
        return ENOTTY;
    }
  }

  int Submit(UMockdevIoctlClient* client, UMockdevIoctlData* argument) {
    if (owner_ != client) return EINVAL;
    Urb urb;
    urb.client = client;
    urb.urb = Resolve(argument, 0, sizeof(usbdevfs_urb));
    if (urb.urb == nullptr) return EFAULT;
    const auto header = Value<usbdevfs_urb>(urb.urb.get());
    urb.buffer = Resolve(urb.urb.get(), offsetof(usbdevfs_urb, buffer),
                         static_cast<std::size_t>(header.buffer_length));
    if (urb.buffer == nullptr) return EFAULT;
    urbs_.push_back(std::move(urb));
    return 0;
  }

  int Discard(UMockdevIoctlData* argument) {
    const auto address = Value<gulong>(argument);
    for (Urb& urb : urbs_) {
      if (urb.urb->client_addr != address) continue;
      urb.discarded = true;
      return 0;
    }
    return EINVAL;
  }

  int Reap(UMockdevIoctlClient* client, UMockdevIoctlData* argument) {
    for (auto urb = urbs_.begin(); urb != urbs_.end(); ++urb) {
      if (urb->client != client || !Complete(*urb)) continue;
      const IoctlData pointer = Resolve(argument, 0, sizeof(void*));
      if (pointer == nullptr || !umockdev_ioctl_data_set_ptr(pointer.get(), 0, urb->urb.get()))
        return EFAULT;
      urbs_.erase(urb);
      return 0;
    }
    return gone_ ? ENODEV : EAGAIN;
  }

  void Finish(Urb& urb, int status, std::size_t length) {
    auto header = Value<usbdevfs_urb>(urb.urb.get());
    header.status = status;
    header.actual_length = static_cast<int>(length);
    Update(urb.urb.get(), offsetof(usbdevfs_urb, status), &header.status, sizeof header.status);
    Update(urb.urb.get(), offsetof(usbdevfs_urb, actual_length), &header.actual_length,
           sizeof header.actual_length);
  }

  // False: not yet.
  bool Complete(Urb& urb) {
    const auto header = Value<usbdevfs_urb>(urb.urb.get());
    const auto length = static_cast<std::size_t>(header.buffer_length);
    if (gone_) {
      Finish(urb, -ESHUTDOWN, 0);
    } else if (urb.discarded) {
      Finish(urb, -ENOENT, 0);
    } else if (header.type == USBDEVFS_URB_TYPE_CONTROL) {
      CompleteControl(urb, length);
    } else if ((header.endpoint & kIn) != 0) {
      const std::optional<FakeUsbDevice::Data> data = device_.In(header.endpoint, length);
      if (!data) return false;
      if (!data->empty()) Update(urb.buffer.get(), 0, data->data(), std::min(data->size(), length));
      Finish(urb, data->empty() ? -EPIPE : 0, std::min(data->size(), length));
    } else {
      const FakeUsbDevice::Data data(urb.buffer->data, urb.buffer->data + length);
      const bool taken = device_.Out(header.endpoint, data);
      Finish(urb, taken ? 0 : -EPIPE, taken ? length : 0);
    }
    return true;
  }

  // The setup packet is the first part of the buffer.
  void CompleteControl(Urb& urb, std::size_t length) {
    const FakeUsbDevice::Data setup(urb.buffer->data, urb.buffer->data + kSetupBytes);
    FakeUsbDevice::Data data(urb.buffer->data + kSetupBytes, urb.buffer->data + length);
    const bool taken = device_.Control(setup, data);
    data.resize(std::min(data.size(), length - kSetupBytes));
    if (taken && (setup[0] & kIn) != 0 && !data.empty())
      Update(urb.buffer.get(), kSetupBytes, data.data(), data.size());
    Finish(urb, taken ? 0 : -EPIPE, taken ? data.size() : 0);
  }

  FakeUsbDevice& device_;
  const std::string node_;
  const std::string syspath_;

  mutable std::mutex mutex_;  // guards what follows
  std::string driver_;
  std::string released_;  // by the driver that had it
  bool gone_ = false;
  UMockdevIoctlClient* owner_ = nullptr;  // who has claimed it
  std::deque<Urb> urbs_;

  std::unique_ptr<UMockdevIoctlBase, Unref> base_;
};

FakeUsbBus::FakeUsbBus() : testbed_(std::make_unique<Testbed>()) {}

FakeUsbBus::~FakeUsbBus() {
  while (!ports_.empty()) Unplug(ports_.begin()->first);
}

bool FakeUsbBus::Works() {
  const char* preloaded = std::getenv("LD_PRELOAD");
  return preloaded != nullptr && absl::StrContains(preloaded, "libumockdev-preload");
}

void FakeUsbBus::Plug(FakeUsbDevice& device, int port, const std::string& driver) {
  const FakeUsbDevice::Facts facts = device.facts();
  const int address = next_address_++;
  const std::string name = absl::StrCat("3-", port);
  const std::string path = absl::StrCat("/devices/pci0000:00/0000:00:14.0/usb3/", name);
  const std::string node = absl::StrFormat("bus/usb/003/%03d", address);
  // umockdev wants capitals.
  const std::string descriptors = absl::AsciiStrToUpper(absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(facts.descriptors.data()), facts.descriptors.size())));
  std::string record = absl::StrCat("P: ", path, "\nN: ", node, "=", descriptors, "\n");
  absl::StrAppend(&record, "E: DEVNAME=/dev/", node, "\nE: DEVTYPE=usb_device\nE: BUSNUM=003\n",
                  absl::StrFormat("E: DEVNUM=%03d\nE: MAJOR=189\nE: MINOR=%d\n", address,
                                  2 * 128 + address - 1),
                  "E: SUBSYSTEM=usb\n",
                  absl::StrFormat("A: busnum=3\\n\nA: devnum=%d\\n\nA: idVendor=%04x\\n\n"
                                  "A: idProduct=%04x\\n\n",
                                  address, facts.vendor, facts.product),
                  "A: bConfigurationValue=1\\n\nA: speed=12\\n\n",
                  "A: manufacturer=", facts.manufacturer, "\\n\nA: product=", facts.product_name,
                  "\\n\n");
  if (!facts.serial.empty()) absl::StrAppend(&record, "A: serial=", facts.serial, "\\n\n");
  absl::StrAppend(&record, "H: descriptors=", descriptors, "\n");
  g_autoptr(GError) error = nullptr;
  if (!umockdev_testbed_add_from_string(testbed_->bed, record.c_str(), &error))
    throw std::runtime_error(absl::StrCat("umockdev refuses the device: ", error->message));
  auto plugged = std::make_unique<Plugged>(device, absl::StrCat("/dev/", node),
                                           absl::StrCat("/sys", path), driver);
  if (!umockdev_testbed_attach_ioctl(testbed_->bed, plugged->node().c_str(), plugged->base(),
                                     &error))
    throw std::runtime_error(absl::StrCat("umockdev refuses the handler: ", error->message));
  umockdev_testbed_uevent(testbed_->bed, plugged->syspath().c_str(), "add");
  ports_[port] = std::move(plugged);
}

void FakeUsbBus::Unplug(int port) {
  std::unique_ptr<Plugged>& plugged = ports_.at(port);
  plugged->Remove();
  umockdev_testbed_uevent(testbed_->bed, plugged->syspath().c_str(), "remove");
  umockdev_testbed_remove_device(testbed_->bed, plugged->syspath().c_str());
  gone_.push_back(std::move(plugged));
  ports_.erase(port);
}

std::string FakeUsbBus::node(int port) const { return ports_.at(port)->node(); }

void FakeUsbBus::Forbid(int port) {
  const std::unique_ptr<char, decltype(&g_free)> root(umockdev_testbed_get_root_dir(testbed_->bed),
                                                      &g_free);
  const std::string folder = root.get();
  // Others may look around in the folder, which is umockdev's own.
  if (chmod(folder.c_str(), 0755) != 0 || chmod((folder + node(port)).c_str(), 0600) != 0)
    throw std::runtime_error(absl::StrCat("cannot change modes below ", folder));
}

std::string FakeUsbBus::driver(int port) const { return ports_.at(port)->driver(); }

}  // namespace joulefarm
