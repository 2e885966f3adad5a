#include <CLI/App.hpp>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"
#include "cli/view/device_live.h"
#include "cli/view/live_values.h"
#include "cli/view/progress.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

using Time = std::chrono::steady_clock::time_point;

// Between two looks at what the devices work on.
constexpr std::chrono::seconds kLook{2};
constexpr std::chrono::milliseconds kRedraw{500};
constexpr std::chrono::seconds kRetry{1};
// Telemetry comes every second; older than this it is not shown.
constexpr std::chrono::seconds kStale{5};
// With --count: how long nothing may come from any device.
constexpr std::chrono::seconds kFirstWait{10};

constexpr char kQuery[] =
    "SELECT device.id, device.link, device.alloc, device.admin, job.id AS job, job.cell, "
    "attempt.state, attempt.detail FROM device LEFT JOIN attempt ON attempt.fence = device.fence "
    "LEFT JOIN job ON job.id = attempt.job_id WHERE device.admin != 'RETIRED' ORDER BY device.id";

struct DeviceWatchOptions {
  std::vector<std::string> ids;
  std::string format = "table";
  std::int64_t count = 0;
};

Table TelemetryColumns() {
  Table table;
  table.columns = {{"device_id", ColumnKind::kText},      {"fence", ColumnKind::kNumber},
                   {"power_w", ColumnKind::kNumber},      {"provenance", ColumnKind::kText},
                   {"channel", ColumnKind::kText},        {"temp_c", ColumnKind::kNumber},
                   {"cpu_hz", ColumnKind::kNumber},       {"cpu_share", ColumnKind::kNumber},
                   {"tokens_per_s", ColumnKind::kNumber}, {"rss_bytes", ColumnKind::kNumber},
                   {"t_ns", ColumnKind::kNumber}};
  return table;
}

RowValues TelemetryRow(const v1::Telemetry& news) {
  const auto real = [](bool has, double value) { return has ? Value(value) : Value(); };
  const auto text = [](const std::string& value) { return value.empty() ? Value() : Value(value); };
  const std::string provenance =
      news.provenance() == v1::PROVENANCE_UNSPECIFIED
          ? ""
          : absl::AsciiStrToLower(
                v1::Provenance_Name(news.provenance()).substr(sizeof("PROVENANCE_") - 1));
  return {news.device_id(),
          news.has_fence() ? Value(news.fence()) : Value(),
          real(news.has_power_w(), news.power_w()),
          text(provenance),
          text(news.channel()),
          real(news.has_temp_c(), news.temp_c()),
          real(news.has_cpu_hz(), news.cpu_hz()),
          real(news.has_cpu_share(), news.cpu_share()),
          real(news.has_tokens_per_s(), news.tokens_per_s()),
          news.has_rss_bytes() ? Value(news.rss_bytes()) : Value(),
          Value(news.t_ns())};
}

class DeviceWatch {
 public:
  DeviceWatch(Session& session, FarmClient& client, const DeviceWatchOptions& options)
      : console_(session.console()),
        session_(session),
        client_(client),
        options_(options),
        display_(console_.out),
        started_(console_.now()) {
    const Format format = ParseFormat(options.format).value_or(Format::kTable);
    printer_ = MakeMachinePrinter(format, console_.out);
    if (printer_ != nullptr) printer_->Begin(TelemetryColumns().columns);
    live_ = printer_ == nullptr && console_.out_is_terminal;
  }

  int Run() {
    console_.catch_interrupt();
    while (true) {
      const absl::Status status = client_.WatchDevices(
          options_.ids, [this](const v1::Telemetry* news) { return Take(news); });
      if (console_.interrupted()) return Ended(kExitInterrupted);
      if (status.ok() && silent_) {
        const int exit = Ended(kExitTimeout);
        console_.err << (options_.ids.empty() ? "" : absl::StrJoin(options_.ids, ", ") + ": ")
                     << "no telemetry" << std::endl;
        return exit;
      }
      if (status.ok()) return Ended(kExitOk);
      if (!IsTransient(status)) {
        display_.Clear();
        return session_.Fail(status);
      }
      Lost(status);
      console_.sleep(kRetry);
      if (console_.interrupted()) return Ended(kExitInterrupted);
    }
  }

 private:
  struct News {
    v1::Telemetry telemetry;
    Time at;
  };

  int Ended(int exit) {
    display_.Leave();
    if (printer_ != nullptr) printer_->End();
    console_.out.flush();
    return exit;
  }

  // False when enough was seen.
  bool Take(const v1::Telemetry* telemetry) {
    Reached();
    // The first reading opens the sensors and has nothing to compare with: it is no reading yet.
    const bool first = telemetry != nullptr && announced_.insert(telemetry->device_id()).second;
    if (first && !HasLiveValue(*telemetry)) {
      if (printer_ == nullptr && !live_)
        console_.out << OneLine(telemetry->device_id()) << "  waiting for telemetry" << std::endl;
    } else if (telemetry != nullptr) {
      if (printer_ != nullptr) {
        printer_->Row(TelemetryRow(*telemetry));
      } else if (!live_) {
        console_.out << DeviceLiveLine(*telemetry) << '\n';
      }
      if (!live_) console_.out.flush();
      news_[telemetry->device_id()] = {*telemetry, console_.now()};
      ++taken_;
    }
    if (live_) Draw();
    // Who asked for a number of readings does not wait for ever for the first one.
    if (options_.count > 0 && taken_ == 0 && console_.now() - started_ >= kFirstWait) {
      silent_ = true;
      return false;
    }
    return (options_.count == 0 || taken_ < options_.count) && console_.out.good() &&
           console_.out_error() == 0;
  }

  void Draw() {
    const Time now = console_.now();
    if (drawn_ && now - *drawn_ < kRedraw) return;
    drawn_ = now;
    if (!looked_ || now - *looked_ >= kLook) Look();
    std::vector<DeviceLive> shown = devices_;
    for (DeviceLive& device : shown) {
      const auto found = news_.find(device.id);
      if (found != news_.end() && now - found->second.at < kStale)
        device.telemetry = found->second.telemetry;
    }
    std::ostringstream text;
    const auto look = console_.LookOfOut();
    if (shown.empty()) {
      text << "No devices yet.\n";
    } else {
      Render(DeviceLiveTable(shown), look, text);
    }
    std::vector<std::string> lines = absl::StrSplit(text.str(), '\n', absl::SkipEmpty());
    const int height = console_.height();
    if (height > 2 && lines.size() > static_cast<std::size_t>(height - 1)) {
      const std::size_t fits = static_cast<std::size_t>(height) - 2;
      const std::size_t more = lines.size() - fits;
      lines.resize(fits);
      lines.push_back(absl::StrCat("and ", more, " more: name those you want to see"));
    }
    display_.Show(lines, console_.width());
  }

  // What the devices work on. A failure keeps what was known.
  void Look() {
    looked_ = console_.now();
    TableCollector collector;
    if (!client_.Sql(kQuery, collector).ok()) return;
    const Table& table = collector.table();
    devices_.clear();
    for (const RowValues& row : table.rows) {
      const auto text = [&](const char* column) { return TextAt(table, row, column).value_or(""); };
      DeviceLive device{text("id"), text("link"), text("alloc"), text("admin"), text("job"), "",
                        {}};
      const auto& ids = options_.ids;
      if (!ids.empty() && std::find(ids.begin(), ids.end(), device.id) == ids.end()) continue;
      device.doing = DoingText(CellWords(text("cell")), text("state"), text("detail"));
      devices_.push_back(std::move(device));
    }
  }

  void Reached() {
    if (!lost_at_) return;
    console_.err << "The controller answers again after " << Clock(console_.now() - *lost_at_)
                 << "." << std::endl;
    lost_at_.reset();
    looked_.reset();
  }

  void Lost(const absl::Status& status) {
    if (lost_at_) return;
    lost_at_ = console_.now();
    display_.Leave();
    console_.err << "The controller at " << client_.address() << " cannot be reached ("
                 << OneLine(absl::string_view(status.message()))
                 << "); trying again until it answers." << std::endl;
  }

  Console& console_;
  Session& session_;
  FarmClient& client_;
  const DeviceWatchOptions& options_;
  LiveDisplay display_;
  std::unique_ptr<TableSink> printer_;  // of a machine format
  bool live_ = false;
  std::vector<DeviceLive> devices_;
  std::map<std::string, News> news_;
  std::int64_t taken_ = 0;
  std::set<std::string> announced_;  // devices that sent something
  const Time started_;
  bool silent_ = false;
  std::optional<Time> drawn_;
  std::optional<Time> looked_;
  std::optional<Time> lost_at_;
};

}  // namespace

void AddDeviceWatch(CLI::App& group, Session& session) {
  auto options = std::make_shared<DeviceWatchOptions>();
  CLI::App* watch = AddCommand(
      group, "watch", "Look at what devices do now: watts, temperature, clock, CPU, their job",
      "  joulefarm device watch\n"
      "  joulefarm device watch edge-7f3a\n"
      "  joulefarm device watch edge-7f3a -o jsonl --count 60 > minute.jsonl",
      "Drawn in place on a terminal, a line for each reading elsewhere; about one reading a second "
      "and device. Readings are\n"
      "for looking and are not stored: what was measured is in result trace. ~ marks estimated "
      "power. Ctrl-C ends it.");
  watch->add_option("DEVICE", options->ids, "device ids; none: all");
  watch->add_option("-o,--output", options->format, "table, jsonl or csv")
      ->check(CLI::IsMember({"table", "jsonl", "csv"}).description(""))
      ->type_name("FORMAT")
      ->default_str("table");
  watch
      ->add_option("--count", options->count,
                   "stop after N readings, or when none comes within 10 s")
      ->check(WholeNumber(1))
      ->type_name("N");
  watch->callback([=, &session] {
    session.action = [=, &session] {
      const auto client = session.Client();
      if (!client.ok()) return session.Fail(client.status());
      return DeviceWatch(session, **client, *options).Run();
    };
  });
}

}  // namespace joulefarm::cli
