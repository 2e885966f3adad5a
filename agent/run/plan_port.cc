// RunPlan: the USB port that the device hangs on, cut for the time of the attempt.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/process/boottime.h"
#include "agent/run/plan.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kLookAgainNs = 10'000'000;  // at least

WorkloadOutcome StoppedAt(const std::string& waited_for) {
  return {.outcome = v1::OUTCOME_TIMED_OUT,
          .failure_class = v1::FAILURE_CLASS_DEVICE,
          .reason = absl::StrCat("waited for ", waited_for)};
}

WorkloadOutcome NotCut(v1::FailureClass failure_class, std::string reason) {
  return {
      .outcome = v1::OUTCOME_FAILED, .failure_class = failure_class, .reason = std::move(reason)};
}

std::string StepText(const PowerStep& step, const std::string& power_path) {
  const CutShows shows = ShownBy(power_path);
  return absl::StrFormat("it %s by %.3g W, and %.3g W are the least that tell%s",
                         step.rise_w < 0 ? "fell" : "rose", std::abs(step.rise_w), step.limit_w,
                         shows == CutShows::kEither
                             ? ""
                             : absl::StrFormat("; by power_path %s a cut is a %s",
                                               power_path.empty() ? "(not stated)" : power_path,
                                               shows == CutShows::kRise ? "rise" : "fall"));
}

bool IsMeasured(Sampler& sampler) { return sampler.Live().provenance == v1::PROVENANCE_MEASURED; }

}  // namespace

std::optional<WorkloadOutcome> RunPlan::CutPort(Sampler& sampler,
                                                absl::Span<const std::string> meters) {
  if (!spec_.cut_usb()) return std::nullopt;
  if (!settings_.usb_port) {
    return NotCut(v1::FAILURE_CLASS_POLICY,
                  "power.cut_usb is asked for, and the agent's configuration has no usb_port");
  }
  const std::optional<std::vector<PowerPoint>> before = LookAtPower(sampler);
  if (!before) return StoppedAt("power to look at before the USB port is cut");
  const absl::Status cut = port_cut_.Cut(*settings_.usb_port, meters);
  if (!cut.ok()) {
    return NotCut(v1::FAILURE_CLASS_INFRA,
                  absl::StrCat("cannot cut the device's USB port: ", cut.message()));
  }
  if (!port_cut_.cut()) {
    recorder_->Log("agent", "the USB port was without power already");
    return std::nullopt;
  }
  const std::int64_t cut_ns = BoottimeNs();
  std::optional<std::vector<PowerPoint>> after;
  if (stop_.SleepUntil(cut_ns + settings_.cut_wait_ns) != Wake::kStop) after = LookAtPower(sampler);
  if (!after) return StoppedAt("power to look at after the USB port was cut");
  RecordCut(cut_ns, IsMeasured(sampler) ? StepBetween(*before, *after) : std::nullopt);
  return std::nullopt;
}

void RunPlan::RecordCut(std::int64_t cut_ns, const std::optional<PowerStep>& step) {
  cut_shown_ = step && ShowsCut(*step, ShownBy(settings_.power_path));
  // The way back is the other way, also where either may be a cut.
  if (cut_shown_) cut_shows_ = step->Fell() ? CutShows::kFall : CutShows::kRise;
  RecordPort(false, cut_ns, !step ? "no_meter" : cut_shown_ ? "seen" : "not_seen");
  // Where nothing can show it, a switch that has its doubts is all there is to go by.
  const std::string& doubt = port_cut_.doubt();
  if (cut_shown_ || (!step && doubt.empty())) return;
  const SwitchedPort& port = *settings_.usb_port;
  v1::Reason reason;
  reason.set_domain(v1::DOMAIN_ENERGY);
  reason.set_quality(v1::QUALITY_SUSPECT);
  reason.set_code("port_not_cut");
  reason.set_detail(PortResourceId(port, settings_.agent_id));
  RecordReason(reason);
  recorder_->Log("agent", absl::StrCat("switch ", port.power_switch.name, " says that port ",
                                       port.port, " is cut",
                                       step ? absl::StrCat(", and the power does not show it: ",
                                                           StepText(*step, settings_.power_path))
                                            : "",
                                       doubt.empty() ? "" : absl::StrCat("; ", doubt)));
}

void RunPlan::PowerPort(Sampler& sampler) {
  if (!port_cut_.cut() || !cut_shown_) return;
  const std::optional<std::vector<PowerPoint>> before = LookAtPower(sampler);
  // PutBack tries again, and says what is wrong.
  if (!before || !port_cut_.Restore().ok()) return;
  const std::int64_t on_ns = BoottimeNs();
  std::optional<std::vector<PowerPoint>> after;
  if (stop_.SleepUntil(on_ns + settings_.cut_wait_ns) != Wake::kStop) after = LookAtPower(sampler);
  const std::optional<PowerStep> step = after ? StepBetween(*before, *after) : std::nullopt;
  const bool shown = step && ShowsPowerAgain(*step, cut_shows_);
  RecordPort(true, on_ns, !step ? "" : shown ? "seen" : "not_seen");
  if (!step || shown) return;
  const SwitchedPort& port = *settings_.usb_port;
  recorder_->Log("agent",
                 absl::StrCat("switch ", port.power_switch.name, " says that port ", port.port,
                              " has power again, and the power does not show "
                              "it: ",
                              StepText(*step, settings_.power_path)));
}

std::optional<std::vector<PowerPoint>> RunPlan::LookAtPower(Sampler& sampler) {
  const std::int64_t start_ns = BoottimeNs();
  const std::int64_t longest_ns = start_ns + settings_.longest_cut_look_ns;
  std::int64_t until_ns = start_ns + settings_.cut_look_ns;
  while (true) {
    if (stop_.SleepUntil(until_ns) == Wake::kStop) return std::nullopt;
    const std::int64_t now_ns = BoottimeNs();
    std::vector<PowerPoint> points = sampler.RecentPower(now_ns - start_ns);
    if (!IsMeasured(sampler) || points.size() >= kFewestPointsOfAStep || now_ns >= longest_ns)
      return points;
    until_ns = std::min(longest_ns, now_ns + std::max(kLookAgainNs, settings_.cut_look_ns / 5));
  }
}

void RunPlan::RecordPort(bool on, std::int64_t t_ns, const std::string& verified) {
  v1::Event event;
  event.set_t_ns(t_ns);
  event.mutable_port()->set_resource_id(PortResourceId(*settings_.usb_port, settings_.agent_id));
  event.mutable_port()->set_on(on);
  event.mutable_port()->set_verified(verified);
  recorder_->Record(std::move(event));
}

}  // namespace joulefarm::agent
