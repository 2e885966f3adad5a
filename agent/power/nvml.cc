#include "agent/power/nvml.h"

#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/power/polled_power.h"

namespace joulefarm::agent {
namespace {

// Of NVML's binary interface, which NVIDIA keeps stable.
using Device = struct NvmlDevice*;
constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
constexpr int kNoPermission = 4;

constexpr double kMilli = 1e-3;
constexpr double kHz = 20;
constexpr std::int64_t kMs = 1'000'000;
// A call goes to the driver and may wait for the GPU.
constexpr PolledLimits kLimits{.read_ns = 20 * kMs, .sum_ns = 40 * kMs};
// The counters move about every 20 to 100 ms.
constexpr std::int64_t kCountNs = 100 * kMs;
// Power is a mean over a second on some GPUs; which they are, NVML does not say.
constexpr std::int64_t kMeanNs = 1000 * kMs;
// What NVIDIA states of the power reading, ± 5 % of the current power draw (NVML's manual): all of
// its error, so that none is left for the zero.
constexpr double kGainU = 0.05;
constexpr double kOffsetU = 0;

class Library {
 public:
  // NOT_FOUND: there is none. FAILED_PRECONDITION: it is there and does not work.
  static absl::StatusOr<std::shared_ptr<const Library>> Load(const std::string& file) {
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return absl::NotFoundError(absl::StrCat("no ", file));
    auto library = std::shared_ptr<Library>(new Library(handle));
    const bool complete =
        library->Find("nvmlInit_v2", library->init_) &&
        library->Find("nvmlShutdown", library->shutdown_) &&
        library->Find("nvmlErrorString", library->error_string_) &&
        library->Find("nvmlDeviceGetCount_v2", library->count_) &&
        library->Find("nvmlDeviceGetHandleByIndex_v2", library->handle_by_index_) &&
        library->Find("nvmlDeviceGetName", library->name_) &&
        library->Find("nvmlDeviceGetPowerUsage", library->power_);
    if (!complete)
      return absl::FailedPreconditionError(
          absl::StrCat("NVML: ", file, " lacks functions; update the NVIDIA driver"));
    // Absent in old ones.
    library->Find("nvmlDeviceGetTotalEnergyConsumption", library->energy_);
    if (const int code = library->init_(); code != kSuccess)
      return absl::FailedPreconditionError(absl::StrCat(
          "NVML: ", library->Text(code), "; is the NVIDIA driver loaded (try nvidia-smi)?"));
    library->initialised_ = true;
    return std::shared_ptr<const Library>(std::move(library));
  }
  ~Library() {
    if (initialised_) shutdown_();
    dlclose(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  absl::StatusOr<unsigned> Count() const {
    unsigned count = 0;
    if (const int code = count_(&count); code != kSuccess) return Error(code);
    return count;
  }
  absl::StatusOr<Device> Open(unsigned index) const {
    Device device = nullptr;
    if (const int code = handle_by_index_(index, &device); code != kSuccess) return Error(code);
    return device;
  }
  std::string Name(Device device) const {
    std::array<char, 96> name{};
    if (name_(device, name.data(), name.size() - 1) != kSuccess) return "NVIDIA GPU";
    return name.data();
  }
  // mJ since the driver was loaded. UNIMPLEMENTED: the GPU has no such counter.
  absl::StatusOr<std::int64_t> EnergyMj(Device device) const {
    if (energy_ == nullptr) return absl::UnimplementedError("the driver has no energy counters");
    unsigned long long mj = 0;  // NOLINT(google-runtime-int): NVML's
    if (const int code = energy_(device, &mj); code != kSuccess) return Error(code);
    return static_cast<std::int64_t>(mj);
  }
  absl::StatusOr<std::int64_t> PowerMw(Device device) const {
    unsigned mw = 0;
    if (const int code = power_(device, &mw); code != kSuccess) return Error(code);
    return mw;
  }

 private:
  explicit Library(void* handle) : handle_(handle) {}

  template <typename Function>
  bool Find(const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(handle_, name));
    return function != nullptr;
  }
  std::string Text(int code) const {
    const char* text = error_string_(code);
    return absl::StrCat(text == nullptr ? "error" : text, " (", code, ")");
  }
  absl::Status Error(int code) const {
    switch (code) {
      case kNotSupported:
        return absl::UnimplementedError(Text(code));
      case kNoPermission:
        return absl::PermissionDeniedError(Text(code));
      default:
        return absl::UnavailableError(Text(code));
    }
  }

  void* const handle_;
  bool initialised_ = false;
  int (*init_)() = nullptr;
  int (*shutdown_)() = nullptr;
  const char* (*error_string_)(int) = nullptr;
  int (*count_)(unsigned*) = nullptr;
  int (*handle_by_index_)(unsigned, Device*) = nullptr;
  int (*name_)(Device, char*, unsigned) = nullptr;
  int (*energy_)(Device, unsigned long long*) = nullptr;  // NOLINT(google-runtime-int): NVML's
  int (*power_)(Device, unsigned*) = nullptr;
};

struct Gpu {
  unsigned index = 0;
  Device device = nullptr;
  std::string model;
  bool counts = false;  // else it says its power
};

// nullopt: it says neither, and `found` says why.
std::optional<Gpu> Look(const Library& library, unsigned index, FoundPower& found) {
  const auto obstacle = [&](const absl::Status& why, const std::string& what) {
    found.obstacles.push_back(absl::StrCat("NVML gpu", index, what, ": ", why.message()));
    return std::nullopt;
  };
  const absl::StatusOr<Device> device = library.Open(index);
  if (!device.ok()) return obstacle(device.status(), "");
  Gpu gpu{.index = index, .device = *device, .model = library.Name(*device), .counts = true};
  if (library.EnergyMj(*device).ok()) return gpu;
  gpu.counts = false;
  const absl::Status power = library.PowerMw(*device).status();
  if (power.ok()) return gpu;
  std::string what = absl::StrCat(" (", gpu.model, ") does not say its power or energy");
  if (absl::IsUnimplemented(power))
    what += ", as on Jetsons, whose rails have sensors of their own";
  return obstacle(power, what);
}

v1::ChannelInfo Channel(std::string name, bool counts, std::string description) {
  v1::ChannelInfo channel =
      PowerChannel(std::move(name), counts ? v1::QUANTITY_ENERGY_COUNTER_J : v1::QUANTITY_POWER_W,
                   kMilli, kHz, v1::SCOPE_PACKAGE, std::move(description));
  channel.set_gain_u(kGainU);
  channel.set_refresh_ns((counts ? kCountNs : kMeanNs) + kLimits.read_ns);
  if (!counts) channel.set_offset_u(kOffsetU);
  return channel;
}

void AddTotal(const std::string& name, FoundPower& found) {
  for (const PowerTotal& total : found.totals) {
    if (total.width != Width::kPackage) continue;
    found.obstacles.push_back(absl::StrCat(
        "NVML ", name, ": takes power beside ", total.channel,
        ", and results are reported from one of them; name it as power_channel in the agent's "
        "configuration to choose it"));
    break;
  }
  found.totals.push_back({name, Width::kPackage});
}

}  // namespace

void FindNvml(const NvmlSettings& settings, FoundPower& found) {
  const absl::StatusOr<std::shared_ptr<const Library>> library = Library::Load(settings.library);
  if (!library.ok()) {
    if (!absl::IsNotFound(library.status()))
      found.obstacles.emplace_back(library.status().message());
    return;
  }
  const absl::StatusOr<unsigned> count = (*library)->Count();
  if (!count.ok()) {
    found.obstacles.push_back(absl::StrCat("NVML: ", count.status().message()));
    return;
  }
  std::vector<Gpu> gpus;
  for (unsigned i = 0; i < *count; ++i) {
    if (std::optional<Gpu> gpu = Look(**library, i, found)) gpus.push_back(*std::move(gpu));
  }
  if (gpus.empty()) return;
  auto source = std::make_unique<PolledPower>("NVML", BoottimeNs, kLimits);
  std::vector<int> parts;
  std::string last;
  bool alike = gpus.size() == *count;
  for (const Gpu& gpu : gpus) {
    alike = alike && gpu.counts == gpus[0].counts;
    last = found.Name(absl::StrCat("gpu", gpu.index), "nvml");
    const auto read = [lib = *library, device = gpu.device, counts = gpu.counts] {
      return counts ? lib->EnergyMj(device) : lib->PowerMw(device);
    };
    parts.push_back(source->Add(
        Channel(last, gpu.counts,
                absl::StrCat(gpu.model, ": the board with its memory, by NVML's ",
                             gpu.counts ? "energy counter"
                                        : "power reading, which may be a mean over a second")),
        read));
  }
  if (gpus.size() == 1) {
    AddTotal(last, found);
  } else if (alike) {
    const std::string name = found.Name("gpus", "nvml");
    v1::ChannelInfo sum =
        Channel(name, gpus[0].counts, absl::StrCat("sum of ", gpus.size(), " GPUs, by NVML"));
    sum.set_refresh_ns((gpus[0].counts ? kCountNs : kMeanNs) + kLimits.sum_ns);
    source->AddSum(std::move(sum), parts);
    for (const int part : parts) source->SetParent(part, name);
    AddTotal(name, found);
  } else {
    found.obstacles.emplace_back(
        "NVML: not all GPUs say the same of their power, so there is no sum of them; name one as "
        "power_channel in the agent's configuration to choose it");
  }
  found.sources.push_back(std::move(source));
}

}  // namespace joulefarm::agent
