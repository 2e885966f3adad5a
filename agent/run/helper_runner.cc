#include "agent/run/helper_runner.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/host/clock.h"
#include "agent/process/boottime.h"
#include "agent/process/stop_fd.h"
#include "agent/run/clock_records.h"
#include "agent/run/granted_meters.h"
#include "agent/run/stop_outcome.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kPeriodNs = 100'000'000;  // of meters that sample by themselves
constexpr std::int64_t kChunkNs = 1'000'000'000;

// How long the device's own agent may take, if there is such a limit: nobody measures longer than
// that, even when the controller is never heard of again.
std::int64_t LongestNs(const v1::LimitSpec& limits) {
  if (limits.prepare_ns() <= 0 || limits.run_ns() <= 0) return 0;
  return limits.prepare_ns() + limits.run_ns();
}

}  // namespace

HelperRunner::HelperRunner(v1::Grant grant, const RunEnvironment& environment,
                           RunCallbacks callbacks)
    : grant_(std::move(grant)), environment_(environment), callbacks_(std::move(callbacks)) {
  limits_ =
      std::make_unique<RunLimits>(LongestNs(grant_.spec().limits()), 0, [this](const std::string&) {
        Stop({grant_.fence(), StopWhy::kTimedOut, v1::FAILURE_CLASS_TIMEOUT,
              "the device was to be done by now, and nobody has said that it is"});
      });
  thread_ = std::thread([this] { Run(); });
}

HelperRunner::~HelperRunner() {
  Stop({grant_.fence(), StopWhy::kShutdown, v1::FAILURE_CLASS_INFRA, "the agent was stopped"});
  thread_.join();
}

void HelperRunner::Stop(StopAttempt stop) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    stop_ = std::move(stop);
  }
  stop_source_.request_stop();
}

void HelperRunner::Run() {
  v1::Final final_word;
  final_word.set_started_ns(BoottimeNs());
  absl::Status stored;
  {
    SpoolRecorder recorder(environment_.spool, grant_.fence(), grant_.source());
    RecordClocks(recorder);
    ClockLog::Follow clocks(environment_.clocks, &recorder);
    WorkloadOutcome said;
    try {
      said = Measure(recorder);
    } catch (const std::exception& error) {
      said.outcome = v1::OUTCOME_FAILED;
      said.failure_class = v1::FAILURE_CLASS_INFRA;
      said.reason = absl::StrCat("the agent failed: ", error.what());
    }
    clocks.AwaitBurst({}, kLastBurst);
    RecordClocks(recorder);
    std::optional<StopAttempt> stop;
    {
      const std::lock_guard lock(mutex_);
      stop = stop_;
    }
    // A meter that failed has failed, though it was released afterwards.
    const bool failed = said.outcome == v1::OUTCOME_FAILED;
    const WorkloadOutcome outcome = failed || !stop ? said : OutcomeOfStop(*stop);
    final_word.set_outcome(outcome.outcome);
    final_word.set_failure_class(outcome.failure_class);
    final_word.set_reason(outcome.reason);
    final_word.set_ended_ns(BoottimeNs());
    final_word.set_clean(true);
    if (callbacks_.ended) callbacks_.ended(grant_.fence(), true);
    // Nobody wants the last word of an attempt the controller has given up.
    if (!stop || stop->why != StopWhy::kAborted) stored = recorder.Finish(std::move(final_word));
  }
  if (callbacks_.stored) callbacks_.stored(grant_.fence(), std::move(stored));
}

absl::Status HelperRunner::Open(SpoolRecorder& recorder, TraceEncoder& encoder,
                                std::vector<std::unique_ptr<SampledSource>>& meters) {
  bool primary_declared = false;
  for (const v1::GrantedResource& granted : MetersHere(grant_)) {
    if (environment_.meters == nullptr) return absl::UnavailableError("no meter is here");
    absl::StatusOr<std::unique_ptr<PowerSource>> source =
        environment_.meters->Open(granted.resource_id());
    if (!source.ok()) return source.status();
    if (const absl::Status started = (*source)->Start(); !started.ok()) return started;
    const std::optional<std::string> primary = PrimaryOf(granted, **source);
    auto meter = std::make_unique<SampledSource>(
        *std::move(source), SampledSource::Options{kChunkNs, kPeriodNs, environment_.agent_id},
        &encoder, &recorder);
    meter->Declare();
    for (std::size_t i = 0; i < meter->channels().size(); ++i) {
      v1::ChannelInfo channel = meter->channels()[i];
      channel.set_primary(!primary_declared && primary == channel.name());
      if (channel.primary()) {
        shown_meter_ = meters.size();
        shown_channel_ = static_cast<int>(i);
        const std::lock_guard lock(shown_mutex_);
        shown_.emplace(channel);
      }
      primary_declared = primary_declared || channel.primary();
      v1::Event event;
      event.set_t_ns(BoottimeNs());
      *event.mutable_channel() = std::move(channel);
      recorder.Record(std::move(event));
    }
    meters.push_back(std::move(meter));
  }
  return absl::OkStatus();
}

WorkloadOutcome HelperRunner::Measure(SpoolRecorder& recorder) {
  const StopFd stop(stop_source_.get_token());
  TraceEncoder encoder;
  std::vector<std::unique_ptr<SampledSource>> meters;
  if (const absl::Status opened = Open(recorder, encoder, meters); !opened.ok()) {
    return {.outcome = v1::OUTCOME_FAILED,
            .failure_class = v1::FAILURE_CLASS_INFRA,
            .reason = std::string(opened.message())};
  }
  if (callbacks_.moved) callbacks_.moved(grant_.fence(), v1::ATTEMPT_STATE_RUNNING, "measuring");
  const LiveHelps::Offer offer(environment_.helps, grant_.fence(), grant_.device_id(),
                               [this] { return Live(); });
  std::int64_t period_ns = kPeriodNs;
  std::int64_t settle_ns = 0;
  for (const auto& meter : meters) {
    period_ns = std::min(period_ns, meter->period_ns());
    settle_ns = std::max(settle_ns, meter->settle_ns());
  }
  std::int64_t next_ns = BoottimeNs();
  std::int64_t flush_ns = next_ns + kChunkNs;
  do {
    Sample(meters);
    const std::int64_t now_ns = BoottimeNs();
    if (now_ns >= flush_ns) {
      for (const auto& meter : meters) meter->Flush();
      flush_ns = now_ns + kChunkNs;
    }
    // Beats that were missed are not made up for.
    next_ns += ((now_ns - next_ns) / period_ns + 1) * period_ns;
  } while (stop.SleepUntil(next_ns) != Wake::kStop);
  // What happened up to now is on its way.
  StopFd(std::stop_token()).SleepUntil(BoottimeNs() + settle_ns);
  Sample(meters);
  for (const auto& meter : meters) meter->End();
  return {};
}

void HelperRunner::Sample(const std::vector<std::unique_ptr<SampledSource>>& meters) {
  for (std::size_t i = 0; i < meters.size(); ++i) {
    const absl::Span<const PowerReading> readings = meters[i]->Sample();
    if (i != shown_meter_) continue;
    const std::lock_guard lock(shown_mutex_);
    for (const PowerReading& reading : readings) {
      if (shown_ && reading.channel == shown_channel_) shown_->Add(reading.seen_ns(), reading.raw);
    }
  }
}

LiveReading HelperRunner::Live() {
  LiveReading reading;
  reading.t_ns = BoottimeNs();
  const std::lock_guard lock(shown_mutex_);
  if (!shown_) return reading;
  reading.power_w = shown_->MeanBefore(reading.t_ns);
  reading.provenance = shown_->channel().provenance();
  reading.scope = shown_->channel().scope();
  reading.channel = shown_->channel().name();
  return reading;
}

}  // namespace joulefarm::agent
