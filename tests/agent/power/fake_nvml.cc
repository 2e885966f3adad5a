// A libnvidia-ml.so that says what a test tells it to.
#include "tests/agent/power/fake_nvml.h"

#include <cstring>

namespace {

using joulefarm::agent::FakeGpu;
using joulefarm::agent::FakeNvml;

constexpr int kInvalidArgument = 2;

FakeNvml& State() {
  static FakeNvml state;
  return state;
}

}  // namespace

extern "C" {

FakeNvml* FakeNvmlState() { return &State(); }

int nvmlInit_v2() {
  if (State().init_code == 0) ++State().open;
  return State().init_code;
}
int nvmlShutdown() {
  --State().open;
  return 0;
}
const char* nvmlErrorString(int code) {
  switch (code) {
    case joulefarm::agent::kNvmlNotSupported:
      return "Not Supported";
    case joulefarm::agent::kNvmlNoPermission:
      return "Insufficient Permissions";
    case joulefarm::agent::kNvmlDriverNotLoaded:
      return "Driver Not Loaded";
    case joulefarm::agent::kNvmlGpuIsLost:
      return "GPU is lost";
    default:
      return "Unknown Error";
  }
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = State().count;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, FakeGpu** device) {
  if (index >= State().count) return kInvalidArgument;
  *device = &State().gpus[index];
  return 0;
}
int nvmlDeviceGetName(FakeGpu* device, char* name, unsigned length) {
  std::strncpy(name, device->name, length);
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(FakeGpu* device, unsigned long long* mj) {
  *mj = device->energy_mj;
  return device->energy_code;
}
int nvmlDeviceGetPowerUsage(FakeGpu* device, unsigned* mw) {
  *mw = device->power_mw;
  return device->power_code;
}

}  // extern "C"
