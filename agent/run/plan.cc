#include "agent/run/plan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "agent/process/boottime.h"
#include "agent/run/attempt_record.h"
#include "agent/run/gates.h"
#include "agent/run/power_mode.h"
#include "agent/run/settle.h"
#include "common/text/waiting.h"

namespace joulefarm::agent {
namespace {

// A wait is told of at once and then this often: every report goes to the controller.
constexpr std::int64_t kTellNs = 5'000'000'000;
constexpr std::int64_t kShortestPollNs = 10'000'000;

// The class the attempt has if the limit passes meanwhile; a stop for another reason has its own.
WorkloadOutcome BrokenOff(v1::FailureClass failure_class, const std::string& waited_for) {
  return {.outcome = v1::OUTCOME_TIMED_OUT,
          .failure_class = failure_class,
          .reason = absl::StrCat("waited for ", waited_for)};
}

WorkloadOutcome Failed(v1::FailureClass failure_class, std::string reason) {
  return {
      .outcome = v1::OUTCOME_FAILED, .failure_class = failure_class, .reason = std::move(reason)};
}

std::string JoinTexts(const std::vector<GateFinding>& findings) {
  return absl::StrJoin(findings, "; ", [](std::string* out, const GateFinding& finding) {
    absl::StrAppend(out, finding.text);
  });
}

std::string SecondsSince(std::int64_t start_ns) {
  return absl::StrFormat("%.3g s", static_cast<double>(BoottimeNs() - start_ns) * 1e-9);
}

std::string ProvenanceWord(v1::Provenance provenance) {
  const std::string name = v1::Provenance_Name(provenance);
  absl::string_view word = name;
  absl::ConsumePrefix(&word, "PROVENANCE_");
  return absl::AsciiStrToLower(word);
}

}  // namespace

RunPlan::RunPlan(const v1::JobSpec& spec, const HostPaths& paths, const PlanSettings& settings,
                 const PlanJournals& journals, Recorder* recorder, std::stop_token stop,
                 Moved moved)
    : spec_(spec),
      paths_(paths),
      settings_(settings),
      recorder_(recorder),
      stop_(std::move(stop)),
      moved_(std::move(moved)),
      device_(paths),
      environment_(paths, journals.environment),
      port_cut_(paths, journals.port, journals.processes) {}

void RunPlan::Tell(v1::AttemptState state, const std::string& text) {
  const std::int64_t now_ns = BoottimeNs();
  if (told_ns_ != 0 && now_ns - told_ns_ < kTellNs) return;
  told_ns_ = now_ns;
  moved_(state, text);
}

std::optional<WorkloadOutcome> RunPlan::AwaitGates() {
  GateWishes wishes;
  wishes.spec = spec_.gates();
  wishes.reference_temp_c = settings_.reference_temp_c;
  wishes.model_bytes = spec_.has_model() ? spec_.model().size_bytes() : 0;
  const std::int64_t start_ns = BoottimeNs();
  // The use of the processors is only known over some time.
  if (wishes.spec.has_max_background_cpu() &&
      stop_.SleepUntil(start_ns + settings_.poll_ns) == Wake::kStop) {
    return BrokenOff(v1::FAILURE_CLASS_DEVICE, "gate max_background_cpu");
  }
  bool waited = false;
  told_ns_ = 0;
  while (true) {
    const DeviceState device = device_.Read();
    const std::vector<GateFinding> findings = JudgeGates(wishes, device);
    if (!waited) {
      for (std::string& remark : GateRemarks(wishes, device))
        recorder_->Log("agent", std::move(remark));
    }
    if (findings.empty()) break;
    const std::string texts = JoinTexts(findings);
    if (findings.front().unreadable) return Failed(findings.front().failure_class, texts);
    if (!waited) recorder_->Log("agent", absl::StrCat(kWaitingFor, texts));
    waited = true;
    Tell(v1::ATTEMPT_STATE_PREPARING, absl::StrCat(kWaitingFor, texts));
    if (stop_.SleepUntil(BoottimeNs() + settings_.poll_ns) == Wake::kStop)
      return BrokenOff(findings.front().failure_class, texts);
  }
  if (waited) recorder_->Log("agent", absl::StrCat("gates met after ", SecondsSince(start_ns)));
  return std::nullopt;
}

std::optional<WorkloadOutcome> RunPlan::SetEnvironment() {
  absl::Status status;
  if (settings_.environment.cores) {
    absl::StatusOr<std::vector<int>> cores = ParseCoreList(*settings_.environment.cores);
    status = cores.status();
    if (cores.ok()) cores_ = *std::move(cores);
  }
  if (status.ok()) status = environment_.Apply(settings_.environment);
  // Afterwards: the power mode may bring them up or take them away.
  if (status.ok()) status = CheckCores(cores_);
  // The operator asked for it: a result under other conditions would only look like one.
  if (!status.ok()) return Failed(v1::FAILURE_CLASS_INFRA, std::string(status.message()));
  return std::nullopt;
}

ProcessJournal* RunPlan::EngineJournal(ProcessJournal* journal) {
  if (cores_.empty()) return journal;
  pinning_.emplace(cores_, journal);
  return &*pinning_;
}

std::optional<WorkloadOutcome> RunPlan::Begin(Sampler& sampler,
                                              absl::Span<const std::string> meters) {
  RecordStated();
  if (auto ended = CutPort(sampler, meters)) return ended;
  if (auto ended = Settle(sampler)) return ended;
  RecordDeviceState("start", device_.Read(), *recorder_);
  return std::nullopt;
}

absl::Status RunPlan::PutBack() {
  absl::Status status;
  if (port_cut_.cut()) {
    status = port_cut_.Restore();
    if (status.ok()) RecordPort(true, BoottimeNs(), "");
  }
  const absl::Status environment = environment_.Restore();
  if (status.ok() || environment.ok()) return status.ok() ? environment : status;
  return absl::Status(status.code(), absl::StrCat(status.message(), "; ", environment.message()));
}

std::optional<WorkloadOutcome> RunPlan::Settle(Sampler& sampler) {
  const std::int64_t window_ns = spec_.plan().settle_ns();
  if (spec_.power() == v1::POWER_REQUIRE_NONE || window_ns <= 0) return std::nullopt;
  const std::int64_t start_ns = BoottimeNs();
  const LiveReading first = sampler.Live();
  const bool measured = !first.channel.empty() && first.provenance == v1::PROVENANCE_MEASURED;
  std::vector<std::string> not_judged;
  if (!measured) not_judged.emplace_back("power");
  if (!first.temp_c) not_judged.emplace_back("temperature");
  SettleJudge judge(window_ns, start_ns, measured, first.scope == v1::SCOPE_BATTERY);
  const std::int64_t poll_ns =
      std::clamp(window_ns / 20, kShortestPollNs, std::max(kShortestPollNs, settings_.poll_ns));
  std::string told_doing;
  std::string outcome;
  while (true) {
    const std::int64_t now_ns = BoottimeNs();
    const LiveReading live = sampler.Live();
    if (live.temp_c) judge.AddTemperature(now_ns, *live.temp_c);
    if (measured) judge.AddPower(sampler.RecentPower(window_ns));
    if (!judge.can_judge()) {
      outcome = "not judged";
      break;
    }
    const SettleVerdict verdict = judge.Judge(now_ns);
    if (verdict.settled) {
      outcome = absl::StrCat("settled in ", SecondsSince(start_ns), ": ", verdict.text);
      break;
    }
    // Within the window it waits for nothing but the plan.
    const std::string doing = now_ns - start_ns < window_ns
                                  ? "settling"
                                  : absl::StrCat(kWaitingFor, "the device to settle");
    if (doing != std::exchange(told_doing, doing)) told_ns_ = 0;
    Tell(v1::ATTEMPT_STATE_SETTLING, absl::StrCat(doing, ": ", verdict.text));
    if (stop_.SleepUntil(now_ns + poll_ns) == Wake::kStop) {
      return BrokenOff(
          verdict.temperature_moves ? v1::FAILURE_CLASS_THERMAL : v1::FAILURE_CLASS_DEVICE,
          absl::StrCat("the device to settle: ", verdict.text));
    }
  }
  if (!measured) {
    absl::StrAppend(&outcome, "; power is ",
                    first.channel.empty()
                        ? "not sampled"
                        : absl::StrCat(ProvenanceWord(first.provenance), ", not measured"));
  }
  if (!first.temp_c) absl::StrAppend(&outcome, "; no temperature can be read");
  RecordSettled(outcome, absl::StrJoin(not_judged, ","));
  return std::nullopt;
}

void RunPlan::RecordSettled(const std::string& text, const std::string& not_judged) {
  v1::AttemptFacts facts;
  facts.set_settled(text);
  RecordFacts(std::move(facts));
  if (not_judged.empty()) return;
  v1::Reason reason;
  reason.set_domain(v1::DOMAIN_ENERGY);
  reason.set_quality(v1::QUALITY_VALID);
  reason.set_code("settle_not_judged");
  reason.set_detail(not_judged);
  RecordReason(reason);
}

void RunPlan::RecordStated() {
  v1::AttemptFacts facts;
  if (!settings_.power_path.empty()) facts.set_power_path(settings_.power_path);
  facts.mutable_operator_stated()->insert(settings_.operator_stated.begin(),
                                          settings_.operator_stated.end());
  if (auto sha256 = PromptsSha256(spec_)) facts.set_prompts_sha256(*sha256);
  if (settings_.battery_wh) facts.set_battery_wh(*settings_.battery_wh);
  if (!cores_.empty()) facts.set_pinned_cores(CoreListText(cores_));
  if (const PowerModeTool tool(paths_); tool.exists()) {
    const absl::StatusOr<PowerMode> mode = tool.Query();
    if (mode.ok()) {
      facts.set_power_mode(mode->name);
    } else {
      recorder_->Log("agent",
                     absl::StrCat("the power mode is not known: ", mode.status().message()));
    }
  }
  if (facts.ByteSizeLong() > 0) RecordFacts(std::move(facts));
}

void RunPlan::End() { RecordDeviceState("end", device_.Read(), *recorder_); }

void RunPlan::RecordFacts(v1::AttemptFacts facts) {
  v1::Event event;
  event.set_t_ns(BoottimeNs());
  *event.mutable_facts() = std::move(facts);
  recorder_->Record(std::move(event));
}

void RunPlan::RecordReason(const v1::Reason& reason) {
  v1::Event event;
  event.set_t_ns(BoottimeNs());
  *event.mutable_reason() = reason;
  recorder_->Record(std::move(event));
}

}  // namespace joulefarm::agent
