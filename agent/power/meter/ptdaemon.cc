#include "agent/power/meter/ptdaemon.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/power/meter/ptdaemon_driver.h"
#include "agent/power/meter/text_decoder.h"

namespace joulefarm::agent {
namespace {

using Fields = std::vector<absl::string_view>;

constexpr double kUnknown = -1;
constexpr double kMostW = 1e6;
constexpr double kMostV = 1e4;
constexpr double kMostA = 1e4;

constexpr std::array<absl::string_view, 10> kReplies = {
    "Hello", "Last ",  "Starting", "Stopping", "Ranges",
    "Range", "Watts,", "Volts,",   "Amps,",    "Uncertainty"};

std::optional<int> Digits(absl::string_view text, std::size_t count) {
  int value = 0;
  if (text.size() != count) return std::nullopt;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// "01-22-2021 15:05:14.313", ns since 1970 as if it were UTC.
std::optional<std::int64_t> TimeNs(absl::string_view text) {
  constexpr absl::string_view kForm = "00-00-0000 00:00:00.000";
  if (text.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] != '0' && text[i] != kForm[i]) return std::nullopt;
  }
  const std::optional<int> month = Digits(text.substr(0, 2), 2);
  const std::optional<int> day = Digits(text.substr(3, 2), 2);
  const std::optional<int> year = Digits(text.substr(6, 4), 4);
  const std::optional<int> hour = Digits(text.substr(11, 2), 2);
  const std::optional<int> minute = Digits(text.substr(14, 2), 2);
  const std::optional<int> second = Digits(text.substr(17, 2), 2);
  const std::optional<int> ms = Digits(text.substr(20, 3), 3);
  if (!month || !day || !year || !hour || !minute || !second || !ms) return std::nullopt;
  // Nanoseconds in 64 bits reach from 1678 to 2262.
  if (*year < 1970 || *year > 2261) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // A leap second is 60.
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const std::chrono::nanoseconds since = std::chrono::sys_days(date).time_since_epoch() +
                                         std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
                                         std::chrono::seconds(*second) +
                                         std::chrono::milliseconds(*ms);
  return since.count();
}

// Takes values by their names from a line's fields, in order.
class Reader {
 public:
  explicit Reader(absl::string_view line) : fields_(absl::StrSplit(line, ',')) {}

  bool done() const { return at_ >= fields_.size(); }
  // The field after `name`; an error where the next is not that or has none.
  absl::StatusOr<absl::string_view> Text(absl::string_view name) {
    if (at_ + 1 >= fields_.size() || fields_[at_] != name)
      return absl::DataLossError(absl::StrCat("no field ", name, " at its place"));
    at_ += 2;
    return fields_[at_ - 1];
  }
  // nullopt: not known.
  absl::Status Number(absl::string_view name, double most, std::optional<double>& value) {
    const absl::StatusOr<absl::string_view> text = Text(name);
    if (!text.ok()) return text.status();
    const std::optional<double> number = Decimal(*text);
    if (!number || *number < -most || *number > most)
      return absl::DataLossError(absl::StrCat(name, " ", Shown(*text), " is out of range"));
    value = *number == kUnknown ? std::nullopt : number;
    return absl::OkStatus();
  }
  // "Ch1": the name of a channel's fields that follow.
  absl::string_view Next() { return fields_[at_++]; }

 private:
  const Fields fields_;
  std::size_t at_ = 0;
};

struct Values {
  std::optional<double> watts;
  std::optional<double> volts;
  std::optional<double> amps;
  std::optional<double> pf;
};

absl::Status ReadValues(Reader& reader, Values& values) {
  if (absl::Status read = reader.Number("Watts", kMostW, values.watts); !read.ok()) return read;
  if (absl::Status read = reader.Number("Volts", kMostV, values.volts); !read.ok()) return read;
  if (absl::Status read = reader.Number("Amps", kMostA, values.amps); !read.ok()) return read;
  return reader.Number("PF", 2, values.pf);
}

absl::Status ReadSample(absl::string_view line, MeterSample& sample) {
  Reader reader(line);
  const absl::StatusOr<absl::string_view> time = reader.Text("Time");
  if (!time.ok()) return time.status();
  sample.t_ns = TimeNs(*time);
  if (!sample.t_ns)
    return absl::DataLossError(absl::StrCat(Shown(*time), " is no month-day-year and time"));
  Values values;
  if (absl::Status read = ReadValues(reader, values); !read.ok()) return read;
  // It comes last, so a line that has it is whole.
  if (const auto mark = reader.Text("Mark"); !mark.ok()) return mark.status();
  sample.power_w = values.watts;
  sample.voltage_v = values.volts;
  sample.current_a = values.amps;
  if (values.pf) sample.more.emplace_back("pf", *values.pf);
  while (!reader.done()) {
    const std::string channel = absl::AsciiStrToLower(reader.Next());
    Values part;
    if (absl::Status read = ReadValues(reader, part); !read.ok()) return read;
    if (part.watts) sample.more.emplace_back(channel + "_w", *part.watts);
    if (part.volts) sample.more.emplace_back(channel + "_v", *part.volts);
    if (part.amps) sample.more.emplace_back(channel + "_a", *part.amps);
  }
  return absl::OkStatus();
}

class PtdaemonDecoder : public TextDecoder {
 protected:
  absl::Status Line(absl::string_view line, std::vector<MeterSample>& samples) override {
    if (!absl::StartsWith(line, "Time,")) {
      for (const absl::string_view reply : kReplies) {
        if (absl::StartsWith(line, reply)) return absl::OkStatus();
      }
      return absl::DataLossError(absl::StrCat("no line of PTDaemon: ", Shown(line)));
    }
    MeterSample sample;
    if (const absl::Status read = ReadSample(line, sample); !read.ok())
      return absl::DataLossError(absl::StrCat(read.message(), ": ", Shown(line)));
    samples.push_back(std::move(sample));
    return absl::OkStatus();
  }
};

}  // namespace

MeterModel PtdaemonModel() {
  MeterModel model;
  model.name = "ptdaemon";
  model.title = "SPEC PTDaemon (power analyser)";
  model.link = LinkKind::kTcp;
  model.text = true;
  model.tcp_port = 8888;
  model.max_rate_hz = 1;
  // Its host's local time is in every line, but that is a clock of nobody here: when a sample was
  // taken is told by which question it was the first to answer.
  model.stamp_bound_ns = PtdaemonDriver::kLongestSpanNs / 2;
  model.kind = SampleKind::kAveraged;
  model.smoothing_ns = 1'000'000'000;
  model.resolution_w = 1e-6;
  model.max_voltage_v = kMostV;
  model.max_current_a = kMostA;
  // MLPerf accepts analysers of at most 1 % uncertainty.
  model.gain_u = 0.01;
  model.make_decoder = [] { return std::make_unique<PtdaemonDecoder>(); };
  model.make_driver = [] { return std::make_unique<PtdaemonDriver>(); };
  model.tested = "published lines";
  return model;
}

}  // namespace joulefarm::agent
