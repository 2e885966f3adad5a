#include "agent/power/replay.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/power/found_power.h"

namespace joulefarm::agent {
namespace {

constexpr double kScale = 1e-6;
constexpr double kMostW = 1e6;
constexpr double kNsPerS = 1e9;
constexpr double kMostS = 1e9;
constexpr std::int64_t kLeastIntervalNs = 10'000;
constexpr std::int64_t kBufferNs = 10'000'000'000;

// Of a line: absent where it says none.
struct Entry {
  std::optional<double> t_s;
  std::optional<std::int64_t> t_ns;  // wins: a double has no nanoseconds of years
  std::optional<double> power_w;
};

class Columns {
 public:
  explicit Columns(absl::string_view head) {
    for (const absl::string_view name : absl::StrSplit(head, ','))
      names_.emplace_back(absl::StripAsciiWhitespace(name));
  }
  bool complete() const { return (Has("t_s") || Has("t_ns")) && Has("power_w"); }
  absl::StatusOr<Entry> Read(absl::string_view line) const {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ',');
    if (fields.size() != names_.size())
      return absl::InvalidArgumentError(
          absl::StrCat(fields.size(), " fields where the head has ", names_.size()));
    Entry entry;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const absl::string_view field = absl::StripAsciiWhitespace(fields[i]);
      if (field.empty()) continue;
      bool number = true;
      if (names_[i] == "t_s") number = absl::SimpleAtod(field, &entry.t_s.emplace());
      if (names_[i] == "t_ns") number = absl::SimpleAtoi(field, &entry.t_ns.emplace());
      if (names_[i] == "power_w") number = absl::SimpleAtod(field, &entry.power_w.emplace());
      if (!number) return absl::InvalidArgumentError(absl::StrCat("\"", field, "\" is no number"));
    }
    return entry;
  }

 private:
  bool Has(absl::string_view name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }
  std::vector<std::string> names_;
};

absl::StatusOr<Entry> ReadJson(const std::string& line) {
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) return absl::InvalidArgumentError("no JSON object");
  const auto number = [&](const char* name) -> std::optional<double> {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
  };
  Entry entry{.t_s = number("t_s"), .t_ns = std::nullopt, .power_w = number("power_w")};
  const auto t_ns = object.find("t_ns");
  if (t_ns != object.end() && t_ns->is_number_integer()) entry.t_ns = t_ns->get<std::int64_t>();
  return entry;
}

// Puts a file's points together, line by line.
class Reader {
 public:
  absl::Status Line(const std::string& raw) {
    const std::string line(absl::StripAsciiWhitespace(raw));
    if (line.empty() || line[0] == '#') return absl::OkStatus();
    const bool json = line[0] == '{';
    if (!json && !columns_) {
      columns_.emplace(line);
      if (columns_->complete()) return absl::OkStatus();
      return absl::InvalidArgumentError(
          "the head has no columns t_s and power_w (such as \"t_s,power_w\")");
    }
    const absl::StatusOr<Entry> entry = json ? ReadJson(line) : columns_->Read(line);
    if (!entry.ok()) return entry.status();
    return entry->power_w ? Add(*entry) : absl::OkStatus();
  }
  std::vector<ReplayPower::Point> Take() { return std::move(points_); }

 private:
  absl::Status Add(const Entry& entry) {
    if (!entry.t_s && !entry.t_ns)
      return absl::InvalidArgumentError("a power without its time, t_s or t_ns");
    if (!(std::abs(*entry.power_w) <= kMostW))
      return absl::InvalidArgumentError(absl::StrCat(*entry.power_w, " W is out of range"));
    // Relative to the first, which may be any instant.
    if (!first_) first_ = entry;
    if (entry.t_ns.has_value() != first_->t_ns.has_value())
      return absl::InvalidArgumentError("its time is of another kind than that of lines before");
    const double since_s = entry.t_ns ? static_cast<double>(*entry.t_ns - *first_->t_ns) / kNsPerS
                                      : *entry.t_s - *first_->t_s;
    if (!(std::abs(since_s) <= kMostS)) return absl::InvalidArgumentError("a time out of range");
    const std::int64_t t_ns =
        entry.t_ns ? *entry.t_ns - *first_->t_ns : std::llround(since_s * kNsPerS);
    if (!points_.empty() && t_ns <= points_.back().t_ns)
      return absl::InvalidArgumentError("its time is not later than that of the line before");
    points_.push_back({t_ns, std::llround(*entry.power_w / kScale)});
    return absl::OkStatus();
  }

  std::optional<Columns> columns_;
  std::optional<Entry> first_;
  std::vector<ReplayPower::Point> points_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ReplayPower>> ReplayPower::Open(const ReplaySettings& settings,
                                                               Clock now) {
  const std::string file = settings.file.string();
  std::ifstream in(settings.file);
  if (!in) return absl::NotFoundError(absl::StrCat("replayed power: cannot read ", file));
  Reader reader;
  std::string line;
  for (std::int64_t number = 1; std::getline(in, line); ++number) {
    const absl::Status read = reader.Line(line);
    if (!read.ok())
      return absl::InvalidArgumentError(
          absl::StrCat("replayed power: ", file, ":", number, ": ", read.message()));
  }
  std::vector<Point> points = reader.Take();
  if (points.size() < 2)
    return absl::InvalidArgumentError(absl::StrCat("replayed power: ", file, " has ", points.size(),
                                                   " points of time and power; two are needed"));
  if (points.back().t_ns / static_cast<std::int64_t>(points.size() - 1) < kLeastIntervalNs)
    return absl::InvalidArgumentError(
        absl::StrCat("replayed power: ", file, " has more than 100000 points a second"));
  return std::unique_ptr<ReplayPower>(new ReplayPower(settings, std::move(points), std::move(now)));
}

ReplayPower::ReplayPower(const ReplaySettings& settings, std::vector<Point> points, Clock now)
    : settings_(settings), now_(std::move(now)), points_(std::move(points)) {
  interval_ns_ = points_.back().t_ns / static_cast<std::int64_t>(points_.size() - 1);
  v1::ChannelInfo& channel = channels_.emplace_back(PowerChannel(
      kReplayChannel, v1::QUANTITY_POWER_W, kScale, kNsPerS / static_cast<double>(interval_ns_),
      v1::SCOPE_DEVICE,
      absl::StrCat("replayed, nothing is measured: ", points_.size(), " points of ",
                   settings.file.filename().string(), settings.loop ? ", over and over" : "")));
  channel.set_provenance(v1::PROVENANCE_REPLAYED);
}

absl::Status ReplayPower::Start() {
  lap_ns_ = now_();
  next_ = 0;
  return absl::OkStatus();
}

absl::Status ReplayPower::Poll(std::vector<PowerReading>& readings, std::int64_t& lost) {
  const std::int64_t now_ns = now_();
  const std::int64_t length_ns = points_.back().t_ns + interval_ns_;
  const auto size = static_cast<std::int64_t>(points_.size());
  // Whole laps that nobody asked for, such as of a suspended machine.
  const std::int64_t laps = (now_ns - kBufferNs - lap_ns_) / length_ns;
  if (settings_.loop && laps > 1) {
    lost += laps * size - static_cast<std::int64_t>(next_);
    lap_ns_ += laps * length_ns;
    next_ = 0;
  }
  while (true) {
    if (next_ == points_.size()) {
      if (!settings_.loop) return absl::OkStatus();
      lap_ns_ += length_ns;
      next_ = 0;
    }
    const Point& point = points_[next_];
    const std::int64_t t_ns = lap_ns_ + point.t_ns;
    if (t_ns > now_ns) return absl::OkStatus();
    ++next_;
    if (t_ns < now_ns - kBufferNs) {
      ++lost;
    } else {
      readings.push_back({0, t_ns, point.raw});
    }
  }
}

}  // namespace joulefarm::agent
