#include "agent/power/switch/both_halves.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

class BothHalves : public PowerSwitch {
 public:
  BothHalves(std::unique_ptr<PowerSwitch> half, HalfFinder finder)
      : half_(std::move(half)), finder_(std::move(finder)) {}

  absl::Status Set(int port, bool on) override {
    const absl::Status other = SetOther(port, on);
    // Power comes back as far as it can.
    if (!other.ok() && !on) return other;
    const absl::Status half = half_->Set(port, on);
    return half.ok() ? other : half;
  }

  absl::StatusOr<bool> Get(int port) override {
    const absl::StatusOr<bool> on = half_->Get(port);
    if (!on.ok() || *on) return on;
    const absl::StatusOr<std::optional<OtherHalf>> other = Other(port);
    if (!other.ok()) return other.status();
    return *other ? (*other)->power_switch->Get((*other)->port) : on;
  }

  std::string Doubt(int port) override {
    const absl::StatusOr<std::optional<OtherHalf>> other = finder_.other(port);
    if (!other.ok()) return std::string(other.status().message());
    if (!*other) return finder_.unknown(port);
    const absl::StatusOr<bool> on = (*other)->power_switch->Get((*other)->port);
    if (on.ok()) return "";
    return absl::StrCat("its other half, ", (*other)->title,
                        ", is not switched and may keep the power on: ", on.status().message());
  }

 private:
  // Nullopt also where it cannot be switched.
  absl::StatusOr<std::optional<OtherHalf>> Other(int port) const {
    absl::StatusOr<std::optional<OtherHalf>> other = finder_.other(port);
    if (!other.ok() || !*other) return other;
    const absl::StatusOr<bool> on = (*other)->power_switch->Get((*other)->port);
    if (on.ok()) return other;
    if (absl::IsFailedPrecondition(on.status())) return std::optional<OtherHalf>();
    return absl::Status(on.status().code(),
                        absl::StrCat("the other half of port ", port, ", ", (*other)->title, ": ",
                                     on.status().message()));
  }

  absl::Status SetOther(int port, bool on) const {
    const absl::StatusOr<std::optional<OtherHalf>> other = Other(port);
    if (!other.ok()) return other.status();
    return *other ? (*other)->power_switch->Set((*other)->port, on) : absl::OkStatus();
  }

  const std::unique_ptr<PowerSwitch> half_;
  const HalfFinder finder_;
};

}  // namespace

std::unique_ptr<PowerSwitch> MakeBothHalves(std::unique_ptr<PowerSwitch> half, HalfFinder finder) {
  return std::make_unique<BothHalves>(std::move(half), std::move(finder));
}

}  // namespace joulefarm::agent
