#include "agent/run/attempt_runner.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "agent/host/clock.h"
#include "agent/host/sampler.h"
#include "agent/power/found_meters.h"
#include "agent/power/usb_place.h"
#include "agent/process/boottime.h"
#include "agent/process/stop_fd.h"
#include "agent/run/clock_records.h"
#include "agent/run/granted_meters.h"
#include "agent/run/stop_outcome.h"
#include "common/text/waiting.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kFirstRetryNs = 200'000'000;
constexpr std::int64_t kLongestRetryNs = 5'000'000'000;

WorkloadOutcome Infra(std::string reason) {
  return {.outcome = v1::OUTCOME_FAILED,
          .failure_class = v1::FAILURE_CLASS_INFRA,
          .reason = std::move(reason)};
}

WorkloadOutcome RequiredMeterFailed(const absl::Status& why) {
  return {.outcome = v1::OUTCOME_FAILED,
          .failure_class = v1::FAILURE_CLASS_DEVICE,
          .reason = absl::StrCat("the experiment requires measured power, and the meter did not "
                                 "start: ",
                                 why.message())};
}

}  // namespace

AttemptRunner::AttemptRunner(v1::Grant grant, const RunEnvironment& environment,
                             RunCallbacks callbacks)
    : grant_(std::move(grant)),
      environment_(environment),
      callbacks_(std::move(callbacks)),
      work_dir_(environment.run_dir / std::to_string(grant_.fence())) {
  const v1::LimitSpec& limits = grant_.spec().limits();
  limits_ =
      std::make_unique<RunLimits>(limits.prepare_ns(), limits.run_ns(), [this](std::string text) {
        Stop({grant_.fence(), StopWhy::kTimedOut, v1::FAILURE_CLASS_TIMEOUT, std::move(text)});
      });
  thread_ = std::thread([this] { Run(); });
}

AttemptRunner::~AttemptRunner() {
  Stop({grant_.fence(), StopWhy::kShutdown, v1::FAILURE_CLASS_INFRA, "the agent was stopped"});
  thread_.join();
}

void AttemptRunner::Stop(StopAttempt stop) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    stop_ = std::move(stop);
  }
  stop_source_.request_stop();
}

std::optional<StopAttempt> AttemptRunner::StopReason() {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void AttemptRunner::Moved(v1::AttemptState state, const std::string& detail) {
  if (state == v1::ATTEMPT_STATE_RUNNING) limits_->RunsBegin();
  // An attempt never goes back: what a workload prepares after settling is part of it.
  settling_ = settling_ || state == v1::ATTEMPT_STATE_SETTLING;
  if (settling_ && state == v1::ATTEMPT_STATE_PREPARING) state = v1::ATTEMPT_STATE_SETTLING;
  if (callbacks_.moved) callbacks_.moved(grant_.fence(), state, detail);
}

void AttemptRunner::Run() {
  v1::Final final_word;
  final_word.set_started_ns(BoottimeNs());
  bool clean = true;
  absl::Status stored;
  {
    SpoolRecorder recorder(environment_.spool, grant_.fence(), grant_.source());
    RecordClocks(recorder);
    ClockLog::Follow clocks(environment_.clocks, &recorder);
    WorkloadOutcome said;
    try {
      said = Execute(recorder, clean);
    } catch (const std::exception& error) {
      said = Infra(absl::StrCat("the agent failed: ", error.what()));
      clean = false;  // nobody saw to what the workload had started
    }
    clocks.AwaitBurst(stop_source_.get_token(), kLastBurst);
    RecordClocks(recorder);
    const std::optional<StopAttempt> stop = StopReason();
    const WorkloadOutcome outcome = Resolve(said, stop ? &*stop : nullptr);
    std::error_code error;
    std::filesystem::remove_all(work_dir_, error);
    if (error) {
      clean = false;
      recorder.Log("agent",
                   absl::StrCat("cannot remove ", work_dir_.string(), ": ", error.message()));
    }
    final_word.set_outcome(outcome.outcome);
    final_word.set_failure_class(outcome.failure_class);
    final_word.set_reason(outcome.reason);
    final_word.set_ended_ns(BoottimeNs());
    final_word.set_clean(clean);
    if (callbacks_.ended) callbacks_.ended(grant_.fence(), clean);
    // Nobody wants the last word of an attempt the controller has given up.
    if (!stop || stop->why != StopWhy::kAborted) stored = recorder.Finish(std::move(final_word));
  }
  if (callbacks_.stored) callbacks_.stored(grant_.fence(), std::move(stored));
}

WorkloadOutcome AttemptRunner::Execute(SpoolRecorder& recorder, bool& clean) {
  Moved(v1::ATTEMPT_STATE_PREPARING, grant_.spec().has_model() ? "fetching the model" : "");
  std::error_code error;
  std::filesystem::create_directories(work_dir_, error);
  if (error)
    return Infra(absl::StrCat("cannot create ", work_dir_.string(), ": ", error.message()));
  absl::StatusOr<std::unique_ptr<Workload>> workload = environment_.make_workload(grant_.spec());
  if (!workload.ok()) {
    return Infra(absl::StrCat("this agent cannot run the workload: ", workload.status().message()));
  }
  if (auto failed = CheckPower()) return *std::move(failed);
  // Held to the end of the attempt: what an engine uses is not thrown out.
  const absl::StatusOr<std::optional<CachedArtifact>> model = FetchModel();
  if (!model.ok()) return Infra(std::string(model.status().message()));
  std::optional<std::filesystem::path> model_path;
  if (*model) {
    model_path = (*model)->path();
    recorder.Log("agent", absl::StrCat("model ", grant_.spec().model().name(), ": ",
                                       (*model)->fetched_bytes(), " bytes transferred",
                                       (*model)->fetched_bytes() == 0 ? ", it was here" : ""));
  }
  if (stop_source_.stop_requested()) {
    WorkloadOutcome stopped;
    stopped.outcome = v1::OUTCOME_CANCELED;
    return stopped;
  }
  RunPlan plan(grant_.spec(), environment_.paths, environment_.plan, environment_.journals,
               &recorder, stop_source_.get_token(),
               [this](v1::AttemptState state, const std::string& text) { Moved(state, text); });
  // After an exception too.
  const absl::Cleanup put_back = [&] {
    if (const absl::Status back = plan.PutBack(); !back.ok()) {
      clean = false;
      recorder.Log("agent", std::string(back.message()));
    }
  };
  std::optional<WorkloadOutcome> ended = plan.AwaitGates();
  if (!ended) ended = plan.SetEnvironment();
  if (!ended) ended = RunWorkload(**workload, plan, recorder, std::move(model_path), clean);
  return *std::move(ended);
}

std::optional<WorkloadOutcome> AttemptRunner::CheckPower() {
  const absl::StatusOr<ChosenPower> power = ChoosePower();
  if (!power.ok()) {
    // Not INFRA: nothing about the device changes by trying again.
    return WorkloadOutcome{.outcome = v1::OUTCOME_FAILED,
                           .failure_class = v1::FAILURE_CLASS_POLICY,
                           .reason = std::string(power.status().message())};
  }
  if (!power->meter.ok() && grant_.spec().power() == v1::POWER_REQUIRE_REQUIRED)
    return RequiredMeterFailed(power->meter);
  return std::nullopt;
}

absl::StatusOr<AttemptRunner::ChosenPower> AttemptRunner::ChoosePower() {
  PowerWish wish = WishOf(grant_.spec());
  // A meter that was not granted may measure another device just now.
  wish.no_meter = true;
  ChosenPower chosen;
  PowerSelection& power = chosen.selection;
  power = SelectPower(wish, environment_.paths, environment_.power);
  if (wish.require == v1::POWER_REQUIRE_NONE) return chosen;
  if (const std::optional<std::string> missing =
          MissingMeter(grant_, environment_.power.meter.device)) {
    power.obstacles.push_back(*missing);
    power.ranking = {kEstimatedChannel};
  }
  if (IsMeasuredElsewhere(grant_)) {
    // The result comes from there; what this host has is beside it.
    power.ranking.clear();
    return chosen;
  }
  for (const v1::GrantedResource& granted : MetersHere(grant_)) {
    absl::StatusOr<std::unique_ptr<PowerSource>> meter = OpenMeter(granted);
    if (!meter.ok()) {
      chosen.meter = meter.status();
      // No other sensor passes for it.
      power.ranking = {kEstimatedChannel};
      return chosen;
    }
    power.ranking.insert(power.ranking.begin(), *PrimaryOf(granted, **meter));
    power.sources.insert(power.sources.begin(), *std::move(meter));
  }
  const absl::Status enough = CheckRequired(wish, power);
  if (!enough.ok()) return enough;
  return chosen;
}

absl::StatusOr<std::unique_ptr<PowerSource>> AttemptRunner::OpenMeter(
    const v1::GrantedResource& granted) {
  if (environment_.meters == nullptr) return absl::UnavailableError("no meter is here");
  absl::StatusOr<std::unique_ptr<PowerSource>> meter =
      environment_.meters->Open(granted.resource_id());
  if (!meter.ok() || PrimaryOf(granted, **meter)) return meter;
  return absl::NotFoundError(absl::StrCat(
      granted.resource_id(), " has no channel ",
      granted.channel().empty() ? "of power" : absl::StrCat("\"", granted.channel(), "\"")));
}

absl::StatusOr<std::optional<CachedArtifact>> AttemptRunner::FetchModel() {
  if (!grant_.spec().has_model()) return std::nullopt;
  const v1::ModelRef& model = grant_.spec().model();
  const ArtifactRequest request{
      .sha256 = model.sha256(), .size_bytes = model.size_bytes(), .name = model.name()};
  std::int64_t told_mib = -1;
  const auto progress = [&](std::int64_t bytes) {
    // One report per 64 MiB.
    if (const std::int64_t mib = bytes >> 26; mib != std::exchange(told_mib, mib)) {
      Moved(v1::ATTEMPT_STATE_PREPARING, absl::StrCat("fetching ", model.name(), ": ", bytes >> 20,
                                                      " of ", model.size_bytes() >> 20, " MiB"));
    }
  };
  const StopFd stop(stop_source_.get_token());
  std::int64_t pause_ns = kFirstRetryNs;
  while (true) {
    absl::StatusOr<CachedArtifact> file =
        environment_.artifacts->Get(request, stop_source_.get_token(), progress);
    if (file.ok()) return std::optional<CachedArtifact>(*std::move(file));
    // The controller may come back; how long to wait for it is the limit `prepare`.
    if (!absl::IsUnavailable(file.status())) return file.status();
    Moved(v1::ATTEMPT_STATE_PREPARING,
          absl::StrCat(kWaitingFor, "the controller: ", file.status().message()));
    if (stop.SleepUntil(BoottimeNs() + pause_ns) == Wake::kStop) return file.status();
    pause_ns = std::min(pause_ns * 2, kLongestRetryNs);
  }
}

WorkloadOutcome AttemptRunner::RunWorkload(Workload& workload, RunPlan& plan,
                                           SpoolRecorder& recorder,
                                           std::optional<std::filesystem::path> model,
                                           bool& clean) {
  SamplerOptions sampling;
  sampling.paths = environment_.paths;
  sampling.agent_id = environment_.agent_id;
  absl::StatusOr<ChosenPower> power = ChoosePower();
  if (!power.ok()) return Infra(std::string(power.status().message()));
  if (grant_.spec().power() != v1::POWER_REQUIRE_NONE) {
    const auto missing = MissingMeter(grant_, environment_.power.meter.device);
    if (missing) recorder.Log("agent", *missing);
  }
  sampling.power = std::move(power->selection.sources);
  sampling.ranking = std::move(power->selection.ranking);
  sampling.meter_left_out = std::move(power->meter);
  Sampler sampler(std::move(sampling), &recorder);
  // First: who looks at the device between attempts then lets go of its meter.
  const LiveAttempt::Offer offer(environment_.live, grant_.fence(),
                                 [&sampler] { return sampler.Live(); });
  sampler.Start();
  if (const absl::Status& meter = sampler.meter_status();
      !meter.ok() && grant_.spec().power() == v1::POWER_REQUIRE_REQUIRED) {
    return RequiredMeterFailed(meter);
  }
  bool engine_up = false;
  WorkloadContext context;
  context.spec = &grant_.spec();
  context.work_dir = work_dir_;
  context.model_path = std::move(model);
  context.recorder = &recorder;
  context.journal = plan.EngineJournal(environment_.spool);
  context.engines = environment_.engines;
  context.engine_search = environment_.engine_search;
  context.engine_dirs = environment_.engine_dirs;
  context.agent_version = environment_.agent_version;
  context.root = environment_.paths.Under("");
  context.stop = stop_source_.get_token();
  context.on_state = [this](v1::AttemptState state, const std::string& detail) {
    Moved(state, detail);
  };
  context.on_engine = [&](std::optional<pid_t> leader) {
    engine_up = leader.has_value();
    sampler.Attach(leader);
  };
  context.take_peak_rss = [&sampler] { return sampler.TakePeakRss(); };
  context.on_speed = [live = environment_.live](double tokens_per_s) {
    if (live != nullptr) live->Speed(tokens_per_s);
  };
  std::vector<std::string> meters;
  if (grant_.spec().cut_usb()) {
    for (const FoundMeter& meter : FindMeters(environment_.power.meter).meters) {
      const auto place = UsbPlaceOf(environment_.paths, meter.device);
      if (!place.ok())
        return Infra(absl::StrCat("cannot cut the device's USB port: ", place.status().message()));
      if (*place) meters.push_back(**place);
    }
  }
  if (auto ended = plan.Begin(sampler, meters)) return *std::move(ended);
  const WorkloadOutcome outcome = workload.Run(context);
  sampler.Attach(std::nullopt);
  plan.End();
  plan.PowerPort(sampler);
  sampler.Stop();
  if (engine_up) clean = false;  // the workload never said that its engine is gone
  return outcome;
}

}  // namespace joulefarm::agent
