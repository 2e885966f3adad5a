#include "controller/diagnose/diagnose.h"

#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/daemon/host_health.h"
#include "common/text/number.h"
#include "controller/artifacts/artifact_file_io.h"
#include "controller/store/health.h"

namespace joulefarm::controller {

namespace {

// Below the first nothing can be committed for long; below the second a night of traces soon ends.
constexpr std::int64_t kDiskBroken = 256'000'000;
constexpr std::int64_t kDiskWarning = 5'000'000'000;
// The store moves the log into the file at 16 MiB; much more means that something keeps it from it.
constexpr std::int64_t kLogWarning = std::int64_t{256} * 1024 * 1024;
constexpr double kClockWarning_s = 0.5;
constexpr std::size_t kNamesShown = 5;

using Row = std::vector<std::string>;

class Examination {
 public:
  Examination(const DiagnoseInput& input, Reader& reader, const ArtifactFiles& files)
      : input_(input), reader_(reader), files_(files) {}

  v1::DiagnoseResponse Run() {
    Controller();
    Database();
    Disk();
    Time();
    Artifacts();
    Agents();
    Devices();
    return std::move(response_);
  }

 private:
  void Say(v1::DiagnosisLevel level, const std::string& area, const std::string& text,
           const std::string& cure = "") {
    v1::Diagnosis& finding = *response_.add_findings();
    finding.set_level(level);
    finding.set_area(area);
    finding.set_text(text);
    finding.set_cure(cure);
  }
  void Ok(const std::string& area, const std::string& text) {
    Say(v1::DIAGNOSIS_LEVEL_OK, area, text);
  }
  void Warn(const std::string& area, const std::string& text, const std::string& cure) {
    Say(v1::DIAGNOSIS_LEVEL_WARNING, area, text, cure);
  }
  void Broken(const std::string& area, const std::string& text, const std::string& cure) {
    Say(v1::DIAGNOSIS_LEVEL_BROKEN, area, text, cure);
  }

  // Text and integer columns as text; what cannot be read is a finding of its own.
  std::vector<Row> Query(const std::string& query) {
    std::vector<Row> rows;
    const absl::Status status = reader_.Sql(query, [&rows](const v1::TableChunk& chunk) {
      for (const v1::Row& row : chunk.rows()) {
        Row out;
        for (const v1::Cell& cell : row.cells())
          out.push_back(cell.has_integer() ? absl::StrCat(cell.integer()) : cell.text());
        rows.push_back(std::move(out));
      }
      return true;
    });
    if (!status.ok()) {
      Broken("database", std::string(status.message()),
             "see what the controller's log says about it");
    }
    return rows;
  }

  void Controller() {
    if (input_.read_only_reason.empty()) {
      Ok("controller", absl::StrCat("joulefarm-controller ", input_.version, " works and writes"));
    } else {
      Broken("controller",
             absl::StrCat("the controller cannot write and takes no results: ",
                          input_.read_only_reason),
             "mend that, mostly by freeing space; it goes on by itself within a second");
    }
  }

  void Database() {
    const auto health = ReadHealth(input_.database, {.thorough = input_.thorough});
    if (!health.ok()) {
      Broken("database", std::string(health.status().message()),
             "see the controller's log; a backup can be put in its place");
      return;
    }
    for (const std::string& problem : health->problems) {
      Broken("database", absl::StrCat(input_.database, " is damaged: ", problem),
             "stop the controller and go back to a backup (docs/operations.md says how)");
    }
    if (health->problems.empty()) {
      const char* how = input_.thorough    ? "every page and index is sound"
                        : health->complete ? "every page is sound"
                                           : "what was read of it in 5 s is sound; --thorough "
                                             "reads all of it";
      Ok("database", absl::StrFormat("%s, %s, schema %d: %s", input_.database,
                                     HumanBytes(health->file_bytes), health->schema_version, how));
    }
    if (health->log_bytes > kLogWarning) {
      Warn("database",
           absl::StrCat("its write-ahead log has grown to ", HumanBytes(health->log_bytes)),
           "a reader keeps it from being moved into the file: end long queries and sqlite3 shells "
           "that have it open");
    }
  }

  void Disk() {
    const auto space = SpaceAt(input_.database);
    if (!space.ok()) {
      Broken("disk", std::string(space.status().message()), "check that the disk is there");
      return;
    }
    const std::string text =
        absl::StrCat(HumanBytes(space->available_bytes), " of ", HumanBytes(space->total_bytes),
                     " free for ", std::filesystem::path(input_.database).parent_path().string());
    const std::string cure =
        "free some space there: `joulefarm artifact gc`, old backups, old traces";
    if (space->available_bytes < kDiskBroken) {
      Broken("disk", text, cure);
    } else if (space->available_bytes < kDiskWarning) {
      Warn("disk", text, cure);
    } else {
      Ok("disk", text);
    }
  }

  void Time() {
    const std::optional<TimeSync> time = ReadTimeSync();
    if (!time) return;
    const std::string by = time->service.empty() ? "" : absl::StrCat(" by ", time->service);
    if (!time->synchronised) {
      Warn("time", "the controller's clock is not synchronised: times of results may be wrong",
           "on its host, switch on systemd-timesyncd (`sudo timedatectl set-ntp true`) or chrony");
    } else if (time->max_error_s.value_or(0) > kClockWarning_s) {
      Warn("time",
           absl::StrFormat("the controller's clock is synchronised%s, but only within %.3g s", by,
                           *time->max_error_s),
           "check that its time servers can be reached");
    } else {
      Ok("time", absl::StrFormat("the controller's clock is synchronised%s, within %.3g ms", by,
                                 time->max_error_s.value_or(0) * 1e3));
    }
  }

  void Artifacts() {
    const std::vector<Row> rows = Query(
        "select name, sha256, size_bytes from artifact as a where id = (select max(id) from "
        "artifact where name = a.name) order by name");
    std::map<std::string, bool> sound;
    std::vector<std::string> bad;
    for (const Row& row : rows) {
      const auto [it, fresh] = sound.emplace(row[1], true);
      if (fresh) it->second = IsSound(row[1], row[2]);
      if (!it->second) bad.push_back(row[0]);
    }
    if (!bad.empty()) {
      Broken("artifact",
             absl::StrCat("the content of ", Names(bad),
                          " is missing or damaged: jobs cannot fetch it"),
             "push the same file again with `joulefarm artifact push`");
    } else if (!rows.empty()) {
      Ok("artifact", absl::StrCat(rows.size(), rows.size() == 1 ? " artifact" : " artifacts",
                                  input_.thorough ? ", every byte as it was pushed"
                                                  : ", each there in its size"));
    }
  }

  bool IsSound(const std::string& sha256, const std::string& size_bytes) const {
    if (absl::StrCat(FileSizeOr(files_.PathOf(sha256), -1)) != size_bytes) return false;
    if (!input_.thorough) return true;
    const auto reader = files_.Read(sha256, 0);
    return reader.ok() && (*reader)->Verify().ok();
  }

  void Agents() {
    const std::vector<Row> rows =
        Query("select id, link, coalesce(version, '') from agent order by id");
    std::vector<std::string> offline;
    std::vector<std::string> other;
    for (const Row& row : rows) {
      if (row[1] != "ONLINE") offline.push_back(row[0]);
      if (row[1] == "ONLINE" && row[2] != input_.version)
        other.push_back(absl::StrCat(row[0], " (", row[2].empty() ? "unknown" : row[2], ")"));
    }
    if (rows.empty()) {
      Warn("agent", "no agent has ever connected: nothing can run",
           "start joulefarm-agent --controller HOST:PORT on each device's host");
      return;
    }
    if (offline.empty()) {
      Ok("agent", absl::StrCat("all ", rows.size(), " online"));
    } else {
      Warn("agent",
           absl::StrCat(offline.size(), " of ", rows.size(), " not online: ", Names(offline)),
           "on their hosts see `systemctl status joulefarm-agent`, its log, and `joulefarm-agent "
           "doctor`");
    }
    if (!other.empty()) {
      Warn("agent",
           absl::StrCat("of another version than the controller (", input_.version,
                        "): ", Names(other)),
           "bring controller, agents and CLI to one version (docs/operations.md)");
    }
  }

  void Devices() {
    std::vector<std::string> unwell;
    for (const Row& row :
         Query("select id, health, admin, coalesce(health_reason, gate_reason, '') from device "
               "where admin <> "
               "'RETIRED' and (health <> 'GOOD' or admin <> 'ENABLED') order by id")) {
      unwell.push_back(absl::StrCat(row[0], " ", row[1] == "GOOD" ? row[2] : row[1],
                                    row[3].empty() ? "" : absl::StrCat(" (", row[3], ")")));
    }
    if (!unwell.empty()) {
      Warn("device", absl::StrCat("not taking jobs, or not well: ", Names(unwell)),
           "see `joulefarm device get DEVICE`");
    }
  }

  static std::string Names(std::vector<std::string> names) {
    const std::size_t count = names.size();
    if (count <= kNamesShown) return absl::StrJoin(names, ", ");
    names.resize(kNamesShown);
    return absl::StrCat(absl::StrJoin(names, ", "), " and ", count - kNamesShown, " more");
  }

  const DiagnoseInput& input_;
  Reader& reader_;
  const ArtifactFiles& files_;
  v1::DiagnoseResponse response_;
};

}  // namespace

v1::DiagnoseResponse Diagnose(const DiagnoseInput& input, Reader& reader,
                              const ArtifactFiles& files) {
  return Examination(input, reader, files).Run();
}

}  // namespace joulefarm::controller
