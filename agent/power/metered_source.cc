#include "agent/power/metered_source.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr double kSilentPeriods = 5;
constexpr double kFirstPeriods = 2.5;
constexpr std::int64_t kMostFirstSampleNs = 30'000'000'000;
// A host that stood still is not a silent meter: it was asked as often, too.
constexpr int kSilentSteps = 3;
constexpr std::int64_t kMostAtStartNs = 400'000'000;
constexpr int kNiceness = -15;

std::string TitleOf(const MeterModel& model, const MeteredSource::Identity& identity) {
  const std::string where =
      identity.shares_serial || !identity.serial ? identity.place : *identity.serial;
  return where.empty() ? model.title : absl::StrCat(model.title, " ", where);
}

// Waiting will not change it.
bool IsFinal(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

MeteredSource::MeteredSource(const MeterModel& model, MeterSettings settings,
                             const std::string& name, Identity identity, Opener open, Timing timing)
    : model_(model),
      identity_(std::move(identity)),
      open_(std::move(open)),
      timing_(timing),
      readings_(model, settings, name,
                {identity_.id, TitleOf(model, identity_), identity_.provenance}) {
  report_.id = identity_.id;
  report_.local_id = identity_.local_id;
  report_.model = model_.name;
  report_.title = model_.title;
  report_.place = identity_.place;
  report_.serial = identity_.serial;
  report_.settings = std::move(settings);
}

MeteredSource::~MeteredSource() {
  // Before what the thread uses is gone.
  thread_ = std::jthread();
}

absl::Status MeteredSource::Start() {
  started_before_ = false;
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::nanoseconds(FirstSampleNs()),
                    [this] { return any_ || IsFinal(trouble_); });
  if (any_) return absl::OkStatus();
  absl::Status trouble = trouble_;
  if (trouble.ok()) {
    trouble = absl::DeadlineExceededError(
        absl::StrFormat("%s: no sample within %.1f s%s%s", TitleOf(model_, identity_),
                        static_cast<double>(FirstSampleNs()) * 1e-9,
                        report_.trouble.empty() ? "" : "; the last refusal: ", report_.trouble));
  }
  lock.unlock();
  thread_ = std::jthread();
  return trouble;
}

absl::Status MeteredSource::Poll(std::vector<PowerReading>& readings, std::int64_t& lost) {
  const std::lock_guard lock(mutex_);
  readings.insert(readings.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  lost += std::exchange(lost_, 0);
  return works_ ? std::exchange(trouble_, absl::OkStatus()) : trouble_;
}

std::vector<ClockPair> MeteredSource::TakePairs() {
  const std::lock_guard lock(mutex_);
  return std::exchange(pairs_, {});
}

std::optional<MeterReport> MeteredSource::Meter() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

void MeteredSource::Run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "jf-meter");
  // A stamp that is taken late is lost. It needs little time, but soon; only root may have that.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  std::int64_t wait_ns = timing_.back_off_ns;
  while (!stop.stop_requested()) {
    const absl::Status ended = Converse(stop);
    if (ended.ok()) return;
    std::unique_lock lock(mutex_);
    // One that worked may be back at once.
    if (std::exchange(works_, false)) wait_ns = timing_.back_off_ns;
    ++failures_;
    trouble_ =
        absl::Status(ended.code(), absl::StrCat(TitleOf(model_, identity_), ": ", ended.message()));
    report_.trouble = std::string(trouble_.message());
    changed_.notify_all();
    changed_.wait_for(lock, stop, std::chrono::nanoseconds(wait_ns), [] { return false; });
    // Somebody waits in Start.
    const std::int64_t most_ns =
        any_ ? timing_.most_back_off_ns : std::min(kMostAtStartNs, timing_.most_back_off_ns);
    wait_ns = std::min(2 * wait_ns, most_ns);
  }
}

absl::Status MeteredSource::Converse(const std::stop_token& stop) {
  absl::StatusOr<std::unique_ptr<Link>> link = open_();
  if (!link.ok()) return link.status();
  const std::unique_ptr<MeterDriver> driver =
      DriverOf(model_, readings_.settings(), started_before_);
  const absl::StatusOr<MeterIdentity> started = driver->Start(**link, readings_.rate_hz());
  if (!started.ok()) return started.status();
  started_before_ = true;
  {
    const std::lock_guard lock(mutex_);
    if (started->serial) report_.serial = started->serial;
    if (started->firmware) report_.firmware = started->firmware;
    if (any_) ++report_.counts.reopened;
  }
  readings_.Restart();
  absl::Status ended = Steps(stop, **link, *driver);
  driver->Stop(**link);
  return ended;
}

std::int64_t MeteredSource::PeriodsNs(double periods) const {
  const double hz = readings_.rate_hz();
  return hz > 0 ? static_cast<std::int64_t>(periods * 1e9 / hz) : 0;
}

std::int64_t MeteredSource::SilenceNs() const {
  return std::max(timing_.silence_ns, PeriodsNs(kSilentPeriods));
}

std::int64_t MeteredSource::FirstSampleNs() const {
  return std::max(timing_.first_sample_ns, std::min(PeriodsNs(kFirstPeriods), kMostFirstSampleNs));
}

absl::Status MeteredSource::Steps(const std::stop_token& stop, Link& link, MeterDriver& driver) {
  std::int64_t sample_ns = BoottimeNs();
  int without = 0;  // steps since the last sample
  std::string refusal;
  while (!stop.stop_requested()) {
    MeterBatch batch;
    if (absl::Status step = driver.Step(link, batch); !step.ok()) return step;
    const std::int64_t samples = readings_.counts().samples;
    HandOver(batch);
    if (!batch.refusal.empty()) refusal = batch.refusal;
    const std::int64_t now_ns = BoottimeNs();
    if (readings_.counts().samples > samples) {
      sample_ns = now_ns;
      without = 0;
      refusal.clear();
    } else if (++without >= kSilentSteps && now_ns - sample_ns > SilenceNs()) {
      const double silent_s = static_cast<double>(now_ns - sample_ns) * 1e-9;
      return absl::UnavailableError(
          absl::StrFormat("no sample for %.1f s", silent_s) +
          (refusal.empty() ? "" : absl::StrCat("; the last refusal: ", refusal)));
    }
  }
  return absl::OkStatus();
}

void MeteredSource::HandOver(const MeterBatch& batch) {
  std::vector<PowerReading> readings;
  std::vector<ClockPair> pairs;
  std::int64_t lost = 0;
  readings_.Take(batch, readings, pairs, lost);
  const std::lock_guard lock(mutex_);
  std::int64_t overflowed = report_.counts.overflowed;
  if (waiting_.size() + readings.size() <= timing_.most_waiting) {
    waiting_.insert(waiting_.end(), readings.begin(), readings.end());
  } else {
    // Nobody collects: what is new is counted, what is old is kept in order.
    const auto dropped = std::count_if(
        readings.begin(), readings.end(),
        [](const PowerReading& reading) { return reading.channel == MeterReadings::kPower; });
    overflowed += dropped;
    lost += dropped;
  }
  // Those of dropped readings too, and a restart's whatever happens: without it, what came before
  // and after would be taken for one life of the meter's clock.
  std::copy_if(pairs.begin(), pairs.end(), std::back_inserter(pairs_), [&](const ClockPair& pair) {
    return pair.restarted || pairs_.size() < timing_.most_waiting;
  });
  lost_ += lost;
  const std::int64_t reopened = report_.counts.reopened;
  report_.counts = readings_.counts();
  report_.counts.reopened = reopened;
  report_.counts.overflowed = overflowed;
  report_.counts.lost += overflowed;
  report_.counts.samples -= overflowed;
  if (!batch.refusal.empty()) {
    report_.trouble = absl::StrCat(TitleOf(model_, identity_), ": ", batch.refusal);
  }
  if (readings.empty()) return;
  works_ = true;
  failures_ = 0;
  if (!std::exchange(any_, true)) changed_.notify_all();
}

}  // namespace joulefarm::agent
