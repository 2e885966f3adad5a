// An input: how it is meant (one byte), how a line is split (two), then the bytes of a serial line,
// or units of the link, each with its length (two bytes) before it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tests/agent/power/meter/meter_case.h"
#include "tests/agent/power/meter/vectors/ct3.h"
#include "tests/agent/power/meter/vectors/fl001.h"
#include "tests/agent/power/meter/vectors/fnirsi.h"
#include "tests/agent/power/meter/vectors/king_meter.h"
#include "tests/agent/power/meter/vectors/km003c.h"
#include "tests/agent/power/meter/vectors/monsoon.h"
#include "tests/agent/power/meter/vectors/phone_text.h"
#include "tests/agent/power/meter/vectors/ppk2.h"
#include "tests/agent/power/meter/vectors/ptdaemon.h"
#include "tests/agent/power/meter/vectors/tc66.h"
#include "tests/agent/power/meter/vectors/tegrastats.h"
#include "tests/agent/power/meter/vectors/um25c.h"
#include "tests/agent/power/meter/vectors/witrn.h"
#include "tests/agent/power/meter/vectors/yzx.h"
#include "tests/fuzz/target.h"

namespace joulefarm::fuzz {
namespace {

using namespace agent;  // NOLINT: all of this is about its decoders

constexpr std::size_t kHeader = 3;
// Each frame is made a good one first: else little gets past a check sum.
constexpr std::uint8_t kSealed = 1;
// What is sent before the samples is in the input, too.
constexpr std::uint8_t kFromTheBeginning = 2;
constexpr std::size_t kLengthBytes = 2;

struct Meter {
  MutationCase of;
  std::vector<MeterSample> truth;  // of the good frames
};

std::vector<Frame> Units(InputView bytes) {
  std::vector<Frame> units;
  while (bytes.size() >= kLengthBytes) {
    const std::size_t length = bytes[0] | std::size_t{bytes[1]} << 8U;
    const InputView unit = bytes.subspan(kLengthBytes, length);
    units.emplace_back(unit.begin(), unit.end());
    bytes.remove_prefix(kLengthBytes + unit.size());
  }
  return units;
}

struct Decoding {
  std::unique_ptr<MeterDecoder> decoder;
  Decoded decoded = {};
  std::int64_t lost = 0;

  void Take(const MutationCase& of, const std::vector<Frame>& pieces) {
    for (const Frame& piece : pieces) {
      Feed(*decoder, of, piece, decoded);
      const std::int64_t more = decoder->TakeLost();
      Must(more >= 0, "a count of lost samples is none below 0", more);
      lost += more;
    }
  }
  void Finish() {
    End(*decoder, decoded);
    lost += decoder->TakeLost();
  }
};

Decoding Begun(const MutationCase& of, bool before) {
  Decoding decoding{.decoder = of.make()};
  if (before) decoding.Take(of, of.before);
  Must(decoding.decoded.refused == 0, "what comes first is taken");
  decoding.decoded = Decoded();
  return decoding;
}

void CheckSample(const MutationCase& of, const MeterSample& sample) {
  const auto within = [&](const std::optional<double>& value, double most, const char* unit) {
    Must(!value || (std::isfinite(*value) && std::abs(*value) <= most),
         "no value is beyond what the meter can measure:", value.value_or(0), " ", unit);
  };
  within(sample.voltage_v, of.max_voltage_v, "V");
  within(sample.current_a, of.max_current_a, "A");
  within(sample.power_w, of.max_voltage_v * of.max_current_a, "W");
  for (const auto& [name, value] : sample.more) {
    Must(!name.empty() && std::isfinite(value),
         "what else is given out is a number with a name:", name, "=", value);
  }
}

void Check(const MutationCase& of, const Decoded& decoded) {
  Must(decoded.wrong.empty(), "refusals have a reason and an end:", decoded.wrong);
  Must(decoded.refused <= (of.stream ? decoded.bytes : decoded.pieces),
       "each refusal takes something:", decoded.refused);
  std::optional<std::int64_t> last_ns;
  std::size_t falls = 0;
  for (const MeterSample& sample : decoded.samples) {
    CheckSample(of, sample);
    if (last_ns && sample.t_ns && *sample.t_ns <= *last_ns) ++falls;
    if (sample.t_ns) last_ns = sample.t_ns;
  }
  if (of.stamps == Stamps::kRise) Must(falls == 0, "stamps rise");
  if (of.stamps == Stamps::kFallIfRefused) {
    Must(falls <= decoded.refused, "stamps that fall follow a refusal:", falls);
  }
  if (of.sample_bytes == 0) return;
  // Every byte is in a sample or in what was refused.
  const std::size_t sampled = decoded.samples.size() * of.sample_bytes;
  Must(sampled + decoded.refused <= decoded.bytes, "no byte is in two samples:", sampled);
  const std::size_t rest = decoded.bytes - sampled;
  const bool accounted = of.word_bytes > 0 ? rest % of.word_bytes == 0 : rest == 0;
  Must(decoded.refused > 0 || accounted, "bytes in no sample are refused:", rest);
}

void CheckSame(const Decoding& a, const Decoding& b, absl::string_view promise) {
  const std::vector<MeterSample>& one = a.decoded.samples;
  const std::vector<MeterSample>& other = b.decoded.samples;
  Must(one.size() == other.size(), promise, one.size(), " and ", other.size(), " samples");
  for (std::size_t i = 0; i < one.size(); ++i) {
    if (SameValues(one[i], other[i]) && one[i].t_ns == other[i].t_ns) continue;
    Must(false, promise, TextOf(one[i]), " and ", TextOf(other[i]));
  }
  Must(a.lost == b.lost, promise, a.lost, " and ", b.lost, " lost");
  Must((a.decoded.refused == 0) == (b.decoded.refused == 0), promise, a.decoded.refused, " and ",
       b.decoded.refused, " refused");
}

void CheckTruth(const Meter& meter, Decoding& decoding) {
  decoding.decoder->Reset();
  decoding.Take(meter.of, meter.of.before);
  decoding.decoded = Decoded();
  decoding.Take(meter.of, meter.of.frames);
  const std::vector<MeterSample>& samples = decoding.decoded.samples;
  Must(decoding.decoded.refused == 0 && samples.size() == meter.truth.size(),
       "after Reset, good frames are decoded:", samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (SameValues(samples[i], meter.truth[i]) && samples[i].t_ns == meter.truth[i].t_ns) continue;
    Must(false, "after Reset, good frames mean what they say:", TextOf(samples[i]));
  }
}

void Run(const Meter& meter, InputView input) {
  const MutationCase& of = meter.of;
  if (input.size() < kHeader) return;
  const bool sealed = of.seal && (input[0] & kSealed) != 0;
  const bool before = (input[0] & kFromTheBeginning) == 0;
  const auto how = static_cast<std::uint16_t>(input[1] | input[2] << 8);
  const InputView rest = input.subspan(kHeader);

  std::vector<Frame> units;
  if (of.stream && !sealed) {
    units.emplace_back(rest.begin(), rest.end());
  } else {
    units = Units(rest);
  }
  if (sealed) std::transform(units.begin(), units.end(), units.begin(), of.seal);
  if (of.stream) units = {Joined(units)};

  Decoding whole = Begun(of, before);
  whole.Take(of, units);
  whole.Finish();
  Check(of, whole.decoded);
  if (of.stream) {
    Decoding split = Begun(of, before);
    std::vector<Frame> pieces;
    for (const InputView piece : SplitUp(units[0], how)) {
      pieces.emplace_back(piece.begin(), piece.end());
    }
    split.Take(of, pieces);
    split.Finish();
    Check(of, split.decoded);
    CheckSame(whole, split, "splits change nothing:");
  }
  CheckTruth(meter, whole);

  if (!of.recovers) return;
  Decoding on = Begun(of, before);
  on.Take(of, units);
  on.decoded.samples.clear();
  constexpr int kTries = 6;
  for (int i = 0; i < kTries && on.decoded.samples.empty(); ++i) on.Take(of, of.frames);
  Must(!on.decoded.samples.empty(), "good frames are decoded again after damage");
  for (const MeterSample& sample : on.decoded.samples) CheckSample(of, sample);
}

Input InputOf(const MutationCase& of, const std::vector<Frame>& frames, std::uint8_t meant,
              std::uint8_t how) {
  Input input = {meant, how, 0};
  for (const Frame& frame : frames) {
    if (!of.stream || meant == kSealed) {
      input.push_back(static_cast<std::uint8_t>(frame.size() & 0xFFU));
      input.push_back(static_cast<std::uint8_t>(frame.size() >> 8U));
    }
    input.insert(input.end(), frame.begin(), frame.end());
  }
  return input;
}

Target MeterTarget(const std::string& name, MutationCase of, const std::vector<Frame>& others = {},
                   std::vector<std::string> words = {}) {
  Target target{.name = name, .run = nullptr, .seeds = {}, .words = std::move(words)};
  for (const Frame& frame : of.frames) target.seeds.push_back(InputOf(of, {frame}, 0, 0));
  for (const Frame& frame : others) target.seeds.push_back(InputOf(of, {frame}, 0, 1));
  target.seeds.push_back(InputOf(of, of.frames, 0, 7));
  if (of.seal) {
    target.seeds.push_back(InputOf(of, of.unsealed.empty() ? of.frames : of.unsealed, kSealed, 5));
  }
  if (!of.before.empty()) {
    std::vector<Frame> all = of.before;
    all.insert(all.end(), of.frames.begin(), of.frames.end());
    target.seeds.push_back(InputOf(of, all, kFromTheBeginning, 1));
  }
  const auto meter = std::make_shared<Meter>(Meter{.of = std::move(of), .truth = {}});
  Decoding good = Begun(meter->of, true);
  good.Take(meter->of, meter->of.frames);
  meter->truth = good.decoded.samples;
  target.run = [meter](InputView input) { Run(*meter, input); };
  return target;
}

std::string Bytes2(char first, char second) { return {first, second}; }

}  // namespace

std::vector<Target> MeterTargets() {
  MutationCase c1 = fnirsi::Case();
  c1.make = FnirsiC1Model().make_decoder;
  return {
      MeterTarget("acd15p", king_meter::Acd15pCase()),
      MeterTarget("ct3", ct3::Case(), {FromHex(ct3::kAck)}),
      MeterTarget("dumpsys-battery", phone_text::DumpsysBatteryCase(),
                  {FromText(phone_text::kDump), LineOf("status: 99999999999")},
                  {"voltage: ", "current now: ", "status: ", "level: ", "AC powered: ", "true",
                   "temperature: ", "Current Battery Service state:\n", "-1", "99999999999"}),
      MeterTarget("fl001", fl001::Case()),
      MeterTarget("fnirsi", fnirsi::Case()),
      MeterTarget("fnirsi-c1", std::move(c1)),
      MeterTarget("km001pro", king_meter::Km001ProCase(), {FromHex("aa4062050b")}),
      MeterTarget("km003c", km003c::Case(),
                  {km003c::Queued({65533, 65534, 65535, 0, 1}), km003c::Queued({7}),
                   FromHex("4101000010000003000000008813000000000000")}),
      MeterTarget("monsoon", monsoon::Case()),
      MeterTarget("odpm", phone_text::OdpmCase(), {FromText(phone_text::kOdpm)},
                  {"t=", "CH0(T=", ")[A], ", "CH1[B]:C\n", "\r\n", "99999999999999999"}),
      MeterTarget(
          "powermetrics", phone_text::PowermetricsCase(), {FromText(phone_text::kPowermetrics)},
          {"*** Sampled system activity ***\n", "(-1ms elapsed)", "ms elapsed)", "CPU Power: ",
           "Package Power: ", "Combined Power (CPU + GPU + ANE): ", " mW", "-1", "1e9"}),
      MeterTarget("ppk2", ppk2::Case(), {ppk2::Words(ppk2::Series(60, 10))},
                  {"END\n", "END", "VDD: ", "mode: 2\n", "R1: ", "-nan", "1e300", "\r\n"}),
      MeterTarget(
          "ptdaemon", ptdaemon::Case(),
          {LineOf(std::string(ptdaemon::kLine) + ",Ch1,Watts,10.5,Volts,227,Amps,0.1,PF,0.5"),
           LineOf("Hello, PTDaemon here!")},
          {"Time,", "Watts,", "Volts,", "Amps,", "PF,", "Mark,", "-1", "12-31-2261 ",
           "23:59:60.999", "Last "}),
      MeterTarget("tc66", tc66::Case(), {FromText("firm"), FromText("boot")}, {"firm", "boot"}),
      MeterTarget("tegrastats", tegrastats::Case(),
                  {LineOf(tegrastats::kTx1), LineOf(tegrastats::kTx1Old), LineOf(tegrastats::kTx2),
                   LineOf(tegrastats::kTx2Load)},
                  {"VDD_IN ", "mW/", "mW", "CPU [", "off", "%@", "GPU@", "C ", "RAM ", "MB",
                   "VDD_GPU_SOC 4000mW ", "\r\n", "-"}),
      MeterTarget("um25c", um25c::Case(), {},
                  {Bytes2('\x09', '\xc9'), Bytes2('\x09', '\x63'), Bytes2('\x0d', '\x4c')}),
      MeterTarget("witrn", witrn::Case(), {Frame(64, 0xFE)}),
      MeterTarget("yzx", yzx::Case(), {}, {std::string("\xab\0\x06", 3)}),
  };
}

}  // namespace joulefarm::fuzz
