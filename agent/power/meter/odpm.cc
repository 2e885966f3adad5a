#include "agent/power/meter/odpm.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/power/meter/text_decoder.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kMostMs = std::numeric_limits<std::int64_t>::max() / kNsPerMs;

// What stands before `mark`, which is taken away with it; nullopt: there is no such mark.
std::optional<absl::string_view> Before(absl::string_view mark, absl::string_view& rest) {
  const std::size_t at = rest.find(mark);
  if (at == absl::string_view::npos) return std::nullopt;
  const absl::string_view before = rest.substr(0, at);
  rest.remove_prefix(at + mark.size());
  return before;
}

std::optional<std::int64_t> Whole(std::optional<absl::string_view> text) {
  std::int64_t value = 0;
  if (!text || !absl::SimpleAtoi(*text, &value) || value < 0) return std::nullopt;
  return value;
}

class OdpmDecoder : public TextDecoder {
 public:
  absl::StatusOr<std::vector<MeterSample>> Finish() override {
    absl::StatusOr<std::vector<MeterSample>> samples = TextDecoder::Finish();
    if (samples.ok()) End(*samples);
    return samples;
  }
  void Reset() override {
    TextDecoder::Reset();
    open_.reset();
  }

 protected:
  absl::Status Line(absl::string_view line, std::vector<MeterSample>& samples) override {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, "t=")) {
      // Whatever this says, what follows is of another reading.
      End(samples);
      const std::optional<std::int64_t> t_ms = Whole(rest);
      if (!t_ms || *t_ms > kMostMs)
        return absl::DataLossError(absl::StrCat("no time in ms: ", Shown(line)));
      open_.emplace().t_ns = *t_ms * kNsPerMs;
      return absl::OkStatus();
    }
    const auto refused = [&](absl::string_view why) {
      return absl::DataLossError(absl::StrCat(why, ": ", Shown(line)));
    };
    if (!absl::ConsumePrefix(&rest, "CH")) return refused("neither a time nor a rail");
    // A line of enabled_rails has no "(T=".
    if (rest.find("(T=") == absl::string_view::npos && rest.find("]:") != absl::string_view::npos)
      return absl::OkStatus();
    const std::optional<std::int64_t> channel = Whole(Before("(T=", rest));
    const std::optional<std::int64_t> covered_ms = Whole(Before(")[", rest));
    const std::optional<absl::string_view> rail = Before("], ", rest);
    const std::optional<std::int64_t> energy_uws = Whole(rest);
    if (!channel || !covered_ms || !rail || rail->empty() || !energy_uws)
      return refused("no rail and its energy");
    const std::string name = absl::StrCat(*rail, "_j");
    const auto is_here = [&] {
      return open_ && std::any_of(open_->more.begin(), open_->more.end(),
                                  [&](const auto& other) { return other.first == name; });
    };
    if (is_here() && open_->t_ns) return refused("a rail for the second time");
    if (is_here()) End(samples);
    if (!open_) open_.emplace();
    open_->more.emplace_back(name, static_cast<double>(*energy_uws) / 1e6);
    return absl::OkStatus();
  }

 private:
  void End(std::vector<MeterSample>& samples) {
    if (open_ && !open_->more.empty()) samples.push_back(*std::move(open_));
    open_.reset();
  }

  std::optional<MeterSample> open_;
};

}  // namespace

MeterModel OdpmModel() {
  MeterModel model;
  model.name = "odpm";
  model.title = "Android on-device power monitor (ODPM)";
  model.text = true;
  model.max_rate_hz = 10;
  model.own_clock = true;
  model.kind = SampleKind::kCounter;
  model.make_decoder = [] { return std::make_unique<OdpmDecoder>(); };
  model.tested = "documented format";
  return model;
}

}  // namespace joulefarm::agent
