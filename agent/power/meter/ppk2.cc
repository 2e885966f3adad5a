#include "agent/power/meter/ppk2.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/ppk2_calibration.h"
#include "agent/power/meter/serial_driver.h"
#include "agent/power/meter/stream_decoder.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kWord = 4;
constexpr std::uint32_t kAdcMask = 0x3FFF;
constexpr std::uint32_t kCounterMask = 63;
constexpr std::int64_t kSampleNs = 10'000;
// The whole text has about 700 bytes.
constexpr std::size_t kMostText = 4096;
// As many in a row show that the counter really is where it says.
constexpr std::size_t kConfirmed = 3;
constexpr int kSourceMode = 2;
// Made for 1 A; its formula goes on to more than ten.
constexpr double kMaxCurrent = 1.5;
constexpr int kLeastMv = 800;
constexpr int kMostMv = 5000;
constexpr double kMaxRateHz = 100'000;

constexpr int kWriteMs = 250;
constexpr int kStepMs = 250;
constexpr int kQuietMs = 50;
constexpr int kTextMs = 1000;
// So that a host that stood still does not take what has arrived for silence.
constexpr int kLeastReads = 10;
constexpr std::size_t kReadSize = std::size_t{1} << 16;

bool IsText(char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t'; }

struct Word {
  std::uint32_t bits = 0;
  std::uint32_t adc() const { return bits & kAdcMask; }
  std::size_t range() const { return bits >> 14U & 7U; }
  bool reserved() const { return (bits >> 17U & 1U) != 0; }
  std::uint32_t counter() const { return bits >> 18U & kCounterMask; }
  double pins() const { return bits >> 24U; }
};

// First the text of the calibration, then samples. Words carry a counter of 6 bits and no other
// check: one whose counter does not continue is held back until others show whether samples were
// lost, it was damaged, or words no longer begin where they did. From the last there is no way
// back: how many samples passed is not known, and the sample count is the clock.
class Ppk2Decoder final : public StreamDecoder {
 public:
  bool calibrated() const { return calibration_.has_value(); }
  bool out_of_step() const { return out_of_step_; }
  std::optional<int> hardware() const { return calibration_->hardware; }
  // What the meter was told after it sent its calibration; absent: ampere meter.
  void set_supply(std::optional<int> supply_mv) {
    volts_.reset();
    if (supply_mv) {
      volts_ = *supply_mv / 1e3;
      calibration_->vdd_mv = *supply_mv;
    }
  }
  std::int64_t TakeLost() override { return std::exchange(lost_, 0); }
  absl::StatusOr<std::vector<MeterSample>> Finish() override {
    if (held_.empty()) return StreamDecoder::Finish();
    const std::size_t held = held_.size();
    held_.clear();
    lost_ += static_cast<std::int64_t>(held);
    return absl::DataLossError(
        absl::StrCat(held, " samples at the end whose counter nothing confirms"));
  }
  void Reset() override { *this = Ppk2Decoder(); }

 protected:
  Taken Take(Bytes arrived, std::vector<MeterSample>& samples) override {
    if (!calibration_) return TakeText(arrived);
    if (const std::size_t end = TakeLineEnd(arrived); end > 0) return {end, absl::OkStatus()};
    const std::size_t words = arrived.size() / kWord;
    if (words == 0) return {};
    samples.reserve(samples.size() + words);
    const std::int64_t refused_before = refused_;
    for (std::size_t i = 0; i < words && !out_of_step_; ++i) {
      Follow(Word{U32Le(arrived, i * kWord)}, samples);
    }
    if (out_of_step_) {
      return {arrived.size(), absl::DataLossError("out of step: the counter of its samples jumps "
                                                  "about; the line has to be opened again")};
    }
    if (refused_ == refused_before) return {words * kWord, absl::OkStatus()};
    return {words * kWord, absl::DataLossError(absl::StrCat(refused_ - refused_before,
                                                            " samples refused: ", why_))};
  }

 private:
  Taken TakeText(Bytes arrived) {
    const absl::string_view text(reinterpret_cast<const char*>(arrived.data()), arrived.size());
    constexpr absl::string_view kEnd = "END";
    const std::size_t end = text.find(kEnd);
    const absl::string_view before = text.substr(0, end);
    // All up to the last that is no text, so that it does not matter what arrived together.
    std::size_t useless = before.size();
    while (useless > 0 && IsText(before[useless - 1])) --useless;
    if (before.size() - useless > kMostText) useless = before.size() - kMostText;
    if (useless > 0) {
      return {useless,
              absl::DataLossError("samples without the calibration (its text up to END) before "
                                  "them say nothing")};
    }
    if (end == absl::string_view::npos) return {};
    calibration_ = ParsePpk2Calibration(before);
    if (calibration_->mode == kSourceMode && std::isfinite(calibration_->vdd_mv)) {
      volts_ = calibration_->vdd_mv / 1e3;
    }
    in_end_line_ = true;
    return {end + kEnd.size(), absl::OkStatus()};
  }

  // What ends the line of END, which may arrive later than it: no byte of a sample, or all behind
  // it were out of step.
  std::size_t TakeLineEnd(Bytes arrived) {
    std::size_t taken = 0;
    while (in_end_line_ && taken < arrived.size()) {
      const std::uint8_t byte = arrived[taken];
      in_end_line_ = byte == '\r';
      if (byte == '\r' || byte == '\n') ++taken;
    }
    return taken;
  }

  // Accepts a word that continues, and holds others back.
  void Follow(Word word, std::vector<MeterSample>& samples) {
    if (held_.empty() && expected_ == word.counter()) return Accept(word, samples);
    const std::uint32_t held = static_cast<std::uint32_t>(held_.size());
    if (held > 0 && word.counter() != ((held_.back().counter() + 1) & kCounterMask)) {
      if (!expected_) {  // nothing is known yet: begin again here
        refused_ += held;
        why_ = "their counter does not go on";
        held_ = {word};
        return;
      }
      if (word.counter() != ((*expected_ + held) & kCounterMask)) {
        lost_ += held + 1;
        out_of_step_ = true;
        return;
      }
      // The held ones were damaged: the others go on as if they were not there.
      Skip(held);
      refused_ += held;
      why_ = "their counter is wrong";
      held_.clear();
      return Accept(word, samples);
    }
    held_.push_back(word);
    if (held_.size() < kConfirmed) return;
    const std::uint32_t first = held_.front().counter();
    if (expected_) Skip((first - *expected_) & kCounterMask);
    expected_ = first;
    for (const Word& confirmed : std::exchange(held_, {})) Accept(confirmed, samples);
  }

  void Skip(std::uint32_t count) {
    lost_ += count;
    index_ += count;
    expected_ = (*expected_ + count) & kCounterMask;
  }

  void Accept(Word word, std::vector<MeterSample>& samples) {
    expected_ = (word.counter() + 1) & kCounterMask;
    const std::int64_t index = index_++;
    const auto refuse = [&](std::string why) {
      ++lost_;
      ++refused_;
      why_ = std::move(why);
    };
    const std::size_t range = word.range();
    if (range >= Ppk2Calibration::kRanges || word.reserved()) {
      return refuse(absl::StrCat("no sample has range ", range));
    }
    if (word.adc() == kAdcMask) return refuse(absl::StrCat("saturated in range ", range));
    const double raw = Ppk2Amperes(*calibration_, range, word.adc());
    if (!std::isfinite(raw)) {
      return refuse(absl::StrCat("range ", range,
                                 " is not calibrated; calibrate it with Nordic's "
                                 "Power Profiler"));
    }
    if (std::abs(raw) > kMaxCurrent) {
      return refuse(absl::StrCat(raw, " A: beyond ", kMaxCurrent, " A, not a measurement"));
    }
    MeterSample sample;
    sample.current_a = filter_.Filter(range, raw);
    if (volts_) {
      sample.voltage_v = volts_;
      sample.power_w = *volts_ * *sample.current_a;
    }
    sample.t_ns = index * kSampleNs;
    sample.more.reserve(2);
    sample.more.emplace_back("range", range);
    sample.more.emplace_back("logic_pins", word.pins());
    samples.push_back(std::move(sample));
  }

  std::optional<Ppk2Calibration> calibration_;
  std::optional<double> volts_;
  bool in_end_line_ = false;
  Ppk2SpikeFilter filter_;
  std::optional<std::uint32_t> expected_;
  std::vector<Word> held_;
  std::int64_t index_ = 0;
  std::int64_t lost_ = 0;
  std::int64_t refused_ = 0;
  std::string why_;
  bool out_of_step_ = false;
};

class Ppk2Driver final : public MeterDriver {
 public:
  explicit Ppk2Driver(std::optional<int> supply_mv) : supply_mv_(supply_mv) {}

  // Its only rate is 100 kHz.
  absl::StatusOr<MeterIdentity> Start(Link& link, double /*rate_hz*/) override {
    if (supply_mv_ && (*supply_mv_ < kLeastMv || *supply_mv_ > kMostMv)) {
      return absl::FailedPreconditionError(
          absl::StrCat("a PPK2 supplies ", kLeastMv / 1e3, " to ", kMostMv / 1e3, " V, not the ",
                       *supply_mv_ / 1e3, " V of supply_v; state another"));
    }
    decoder_.Reset();
    if (absl::Status stopped = Send(link, {kStop}); !stopped.ok()) return stopped;
    if (absl::Status quiet = DrainLine(link, kQuietMs); !quiet.ok()) return quiet;
    if (absl::Status read = ReadCalibration(link); !read.ok()) return read;
    if (absl::Status set = SetSupply(link); !set.ok()) return set;
    if (absl::Status started = Send(link, {kStart}); !started.ok()) return started;
    MeterIdentity identity;
    if (decoder_.hardware()) identity.firmware = absl::StrCat("HW ", *decoder_.hardware());
    return identity;
  }

  absl::Status Step(Link& link, MeterBatch& batch) override {
    batch = MeterBatch();
    LetPileUp();
    if (absl::Status read = ReadInto(link, kReadSize, kStepMs, decoder_, batch); !read.ok()) {
      return read;
    }
    return decoder_.out_of_step() ? absl::DataLossError(batch.refusal) : absl::OkStatus();
  }

  // The device's power is not touched: the meter takes it away itself half a second after the line
  // is closed.
  void Stop(Link& link) override { Send(link, {kStop}).IgnoreError(); }

 private:
  static constexpr std::uint8_t kStart = 0x06;
  static constexpr std::uint8_t kStop = 0x07;
  static constexpr std::uint8_t kDevicePower = 0x0C;
  static constexpr std::uint8_t kSourceVoltage = 0x0D;
  static constexpr std::uint8_t kMode = 0x11;
  static constexpr std::uint8_t kCalibration = 0x19;

  static absl::Status Send(Link& link, const std::vector<std::uint8_t>& command) {
    return link.Write(command, kWriteMs);
  }

  absl::Status ReadCalibration(Link& link) {
    if (absl::Status asked = Send(link, {kCalibration}); !asked.ok()) return asked;
    const std::int64_t end_ns = BoottimeNs() + std::int64_t{kTextMs} * 1'000'000;
    MeterBatch batch;
    for (int reads = 0; reads < kLeastReads || BoottimeNs() < end_ns; ++reads) {
      if (absl::Status read = ReadInto(link, kReadSize, kTextMs / kLeastReads, decoder_, batch);
          !read.ok()) {
        return read;
      }
      if (decoder_.calibrated()) return absl::OkStatus();
    }
    return absl::DeadlineExceededError(
        absl::StrCat("no calibration came", batch.rejected > 0 ? ", but something else" : "",
                     ": unplug the PPK2 and plug it in again"));
  }

  absl::Status SetSupply(Link& link) {
    constexpr std::uint8_t kAmpereMeter = 1;
    constexpr std::uint8_t kSource = 2;
    constexpr std::uint8_t kOn = 1;
    if (supply_mv_) {
      const auto mv = static_cast<std::uint16_t>(*supply_mv_);
      // Before the mode, so that the device never sees an older voltage.
      absl::Status set = Send(link, {kSourceVoltage, static_cast<std::uint8_t>(mv >> 8U),
                                     static_cast<std::uint8_t>(mv & 0xFFU)});
      if (!set.ok()) return set;
    }
    if (absl::Status mode = Send(link, {kMode, supply_mv_ ? kSource : kAmpereMeter}); !mode.ok()) {
      return mode;
    }
    decoder_.set_supply(supply_mv_);
    return Send(link, {kDevicePower, kOn});
  }

  const std::optional<int> supply_mv_;
  Ppk2Decoder decoder_;
};

UsbMatch Match(const UsbDevice& device) {
  constexpr std::uint16_t kVendor = 0x1915;
  constexpr std::uint16_t kProduct = 0xC00A;
  if (device.vendor != kVendor) return UsbMatch::kNo;
  if (device.product != kProduct) {
    // Nordic's loader has an id of its own, for all their boards.
    return absl::StrContains(device.product_name, "PPK") ? UsbMatch::kFirmwareUpdate
                                                         : UsbMatch::kNo;
  }
  // Newer firmware has two lines; samples come on the lower one.
  return device.interface_number <= 1 ? UsbMatch::kYes : UsbMatch::kNo;
}

}  // namespace

MeterModel Ppk2Model() {
  MeterModel model;
  model.name = "ppk2";
  model.title = "Nordic Power Profiler Kit 2";
  model.link = LinkKind::kSerial;
  model.match = Match;
  model.max_rate_hz = kMaxRateHz;
  model.own_clock = true;
  model.kind = SampleKind::kInstant;
  model.refresh_ns = kSampleNs;
  // One source found 2.27 ms, nobody confirmed it.
  model.latency_u_ns = 2'300'000;
  model.resolution_w = 1e-9;
  model.max_voltage_v = kMostMv / 1e3;
  model.max_current_a = kMaxCurrent;
  model.gain_u = 0.01;
  model.offset_u_w = 1e-6;
  model.make_decoder = [] { return std::make_unique<Ppk2Decoder>(); };
  model.measures_voltage = false;
  model.needs_supply_v = true;
  model.supply = {.least_v = kLeastMv / 1e3, .most_v = kMostMv / 1e3, .only_as_source = true};
  model.make_driver = [] { return std::make_unique<Ppk2Driver>(std::nullopt); };
  // Opened again it is set again: it takes the device's power away itself when the line closes.
  model.make_stated_driver = [](const MeterSettings& settings, bool /*again*/) {
    if (settings.mode != "source_meter") return std::make_unique<Ppk2Driver>(std::nullopt);
    const double mv = settings.supply_v.value_or(0) * 1e3;
    return std::make_unique<Ppk2Driver>(static_cast<int>(std::lround(mv)));
  };
  model.tested = "capture of the calibration and one result; derived bytes";
  return model;
}

}  // namespace joulefarm::agent
