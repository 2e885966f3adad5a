#include "agent/power/link/usb_link.h"

#include <libusb.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace joulefarm::agent {
namespace {

struct Closer {
  void operator()(libusb_context* context) const { libusb_exit(context); }
  void operator()(libusb_device_handle* handle) const { libusb_close(handle); }
};
using Context = std::unique_ptr<libusb_context, Closer>;
using Handle = std::unique_ptr<libusb_device_handle, Closer>;

// "USB 3-1 (POWER-Z KM003C)".
std::string NameOf(const UsbDevice& device) {
  const std::string what = device.product_name.empty()
                               ? absl::StrFormat("%04x:%04x", device.vendor, device.product)
                               : device.product_name;
  return absl::StrCat("USB ", device.path, " (", what, ")");
}

// What libusb says of a transfer, in the codes of Link.
absl::Status Failed(const std::string& name, const char* what, int code) {
  const std::string text = absl::StrCat(name, ": ", what, ": ", libusb_strerror(code));
  switch (code) {
    case LIBUSB_ERROR_TIMEOUT:
      return absl::DeadlineExceededError(text);
    case LIBUSB_ERROR_NO_DEVICE:
    case LIBUSB_ERROR_NOT_FOUND:
      return absl::UnavailableError(absl::StrCat(name, ": ", what, ": it was unplugged"));
    case LIBUSB_ERROR_ACCESS:
      return absl::PermissionDeniedError(text);
    case LIBUSB_ERROR_PIPE:
      return absl::InternalError(absl::StrCat(name, ": ", what, ": it refused (stall)"));
    default:
      return absl::InternalError(text);
  }
}

// Control transfers on a device of which nothing is claimed.
class ControlLink : public Link {
 public:
  ControlLink(Context context, Handle handle, std::string name)
      : context_(std::move(context)), handle_(std::move(handle)), name_(std::move(name)) {}

  absl::Status Write(absl::Span<const std::uint8_t> /*bytes*/, int /*timeout_ms*/) override {
    return absl::UnimplementedError(absl::StrCat(name_, " is open for control transfers only"));
  }
  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t /*most*/,
                                                 int /*timeout_ms*/) override {
    return absl::UnimplementedError(absl::StrCat(name_, " is open for control transfers only"));
  }
  absl::Status Control(const ControlRequest& request, std::vector<std::uint8_t>& data,
                       int timeout_ms) override {
    const int code = libusb_control_transfer(
        handle_.get(), request.request_type, request.request, request.value, request.index,
        data.data(), static_cast<std::uint16_t>(data.size()), static_cast<unsigned>(timeout_ms));
    if (code < 0) return Failed(name_, "a control request", code);
    data.resize(static_cast<std::size_t>(code));
    return absl::OkStatus();
  }

 protected:
  libusb_device_handle* handle() const { return handle_.get(); }
  const std::string& name() const { return name_; }

 private:
  const Context context_;  // after the handle
  const Handle handle_;
  const std::string name_;
};

class UsbLink : public ControlLink {
 public:
  UsbLink(Context context, Handle handle, std::string name, const UsbLinkOptions& options,
          bool taken)
      : ControlLink(std::move(context), std::move(handle), std::move(name)),
        options_(options),
        taken_(taken) {}
  ~UsbLink() override {
    // Errors: it is gone, and its interfaces with it.
    libusb_release_interface(handle(), options_.usb_interface);
    if (taken_) libusb_attach_kernel_driver(handle(), options_.usb_interface);
  }

  absl::Status Write(absl::Span<const std::uint8_t> bytes, int timeout_ms) override {
    // libusb does not write to what it sends, but does not say so.
    std::vector<std::uint8_t> data(bytes.begin(), bytes.end());
    int done = 0;
    const int code = libusb_bulk_transfer(handle(), options_.endpoint_out, data.data(),
                                          static_cast<int>(data.size()), &done,
                                          static_cast<unsigned>(timeout_ms));
    if (code != LIBUSB_SUCCESS) return After(code, options_.endpoint_out, "writing");
    if (static_cast<std::size_t>(done) != data.size()) {
      return absl::InternalError(
          absl::StrCat(name(), ": ", done, " of ", data.size(), " bytes were written"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t most, int timeout_ms) override {
    std::vector<std::uint8_t> data(most);
    int done = 0;
    const int code =
        libusb_bulk_transfer(handle(), options_.endpoint_in, data.data(), static_cast<int>(most),
                             &done, static_cast<unsigned>(timeout_ms));
    // What came before the time was over has come.
    if (code != LIBUSB_SUCCESS && !(code == LIBUSB_ERROR_TIMEOUT && done > 0))
      return After(code, options_.endpoint_in, "reading");
    if (done == 0) return absl::DeadlineExceededError(absl::StrCat(name(), ": an empty transfer"));
    data.resize(static_cast<std::size_t>(done));
    return data;
  }

 private:
  // An endpoint that stalls stays so until it is cleared.
  absl::Status After(int code, std::uint8_t endpoint, const char* what) {
    if (code == LIBUSB_ERROR_PIPE) libusb_clear_halt(handle(), endpoint);
    return Failed(name(), what, code);
  }

  const UsbLinkOptions options_;
  const bool taken_;
};

absl::StatusOr<Context> Start() {
  libusb_context* raw = nullptr;
  if (const int code = libusb_init(&raw); code != LIBUSB_SUCCESS)
    return absl::InternalError(absl::StrCat("libusb does not start: ", libusb_strerror(code)));
  return Context(raw);
}

// Bus and address out of "/dev/bus/usb/003/009".
bool Address(const std::string& node, int& bus, int& address) {
  const std::vector<std::string> parts = absl::StrSplit(node, '/');
  return parts.size() >= 2 && absl::SimpleAtoi(parts[parts.size() - 2], &bus) &&
         absl::SimpleAtoi(parts.back(), &address);
}

absl::StatusOr<Handle> OpenHandle(libusb_context* context, const UsbDevice& device) {
  int bus = 0;
  int address = 0;
  if (!Address(device.node, bus, address)) {
    return absl::InternalError(
        absl::StrCat(NameOf(device), ": its node \"", device.node, "\" is none of /dev/bus/usb"));
  }
  libusb_device** list = nullptr;
  const ssize_t count = libusb_get_device_list(context, &list);
  if (count < 0) return Failed(NameOf(device), "listing devices", static_cast<int>(count));
  const absl::Cleanup free_list = [list] { libusb_free_device_list(list, 1); };
  for (ssize_t i = 0; i < count; ++i) {
    libusb_device* candidate = list[i];
    if (libusb_get_bus_number(candidate) != bus || libusb_get_device_address(candidate) != address)
      continue;
    libusb_device_handle* handle = nullptr;
    const int code = libusb_open(candidate, &handle);
    if (code == LIBUSB_SUCCESS) return Handle(handle);
    if (code == LIBUSB_ERROR_ACCESS)
      return absl::PermissionDeniedError(UsbPermissionAdvice(device));
    return Failed(NameOf(device), "opening", code);
  }
  return absl::UnavailableError(absl::StrCat(NameOf(device), ": it was unplugged"));
}

}  // namespace

std::string UsbPermissionAdvice(const UsbDevice& device) {
  return absl::StrCat(
      NameOf(device), ": no permission to open ", device.node,
      "; install the rules for meters and join their group: sudo cp "
      "deploy/udev/60-joulefarm-usb.rules /etc/udev/rules.d/ && sudo groupadd --system --force "
      "joulefarm && sudo usermod -aG joulefarm USER_OF_THE_AGENT && sudo udevadm control --reload "
      "&& sudo udevadm trigger -s usb, then start the agent again");
}

absl::StatusOr<std::unique_ptr<Link>> OpenUsbControl(const UsbDevice& device) {
  absl::StatusOr<Context> context = Start();
  if (!context.ok()) return context.status();
  absl::StatusOr<Handle> handle = OpenHandle(context->get(), device);
  if (!handle.ok()) return handle.status();
  return std::make_unique<ControlLink>(*std::move(context), *std::move(handle), NameOf(device));
}

absl::StatusOr<std::unique_ptr<Link>> OpenUsbLink(const UsbDevice& device,
                                                  const UsbLinkOptions& options) {
  absl::StatusOr<Context> context = Start();
  if (!context.ok()) return context.status();
  absl::StatusOr<Handle> handle = OpenHandle(context->get(), device);
  if (!handle.ok()) return handle.status();
  bool taken = false;
  int code = libusb_claim_interface(handle->get(), options.usb_interface);
  // 1: a driver of the kernel; a program that has claimed it is none.
  if (code == LIBUSB_ERROR_BUSY &&
      libusb_kernel_driver_active(handle->get(), options.usb_interface) == 1) {
    if (!options.take_from_kernel ||
        libusb_detach_kernel_driver(handle->get(), options.usb_interface) != LIBUSB_SUCCESS) {
      return HeldError(absl::StrCat("interface ", options.usb_interface, " of ", NameOf(device)),
                       "a driver of the kernel (powerz, of Linux 6.7 and later)",
                       "it does not give it up; unload it: echo blacklist powerz | sudo tee "
                       "/etc/modprobe.d/joulefarm.conf && sudo modprobe -r powerz");
    }
    taken = true;
    code = libusb_claim_interface(handle->get(), options.usb_interface);
  }
  if (code == LIBUSB_ERROR_BUSY) {
    return HeldError(
        NameOf(device), "another program",
        absl::StrCat("end that (sudo fuser -v ", device.node, " says which one it is)"));
  }
  if (code != LIBUSB_SUCCESS) {
    return Failed(NameOf(device),
                  absl::StrCat("claiming interface ", options.usb_interface).c_str(), code);
  }
  return std::make_unique<UsbLink>(*std::move(context), *std::move(handle), NameOf(device), options,
                                   taken);
}

}  // namespace joulefarm::agent
