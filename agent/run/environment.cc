#include "agent/run/environment.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/host/sysfs.h"
#include "agent/process/proc_stat.h"
#include "agent/process/unique_fd.h"
#include "agent/run/power_mode.h"
#include "agent/spool/durable_file.h"

namespace joulefarm::agent {
namespace {

constexpr char kCpus[] = "sys/devices/system/cpu";
constexpr char kPowerModeLine[] = "power_mode";
constexpr char kFileLine[] = "file";

// Whether the processor that a governor's file is named after is offline; the kernel then refuses
// to read or write it, unless another processor shares it.
bool IsOffline(const HostPaths& paths, const std::string& file) {
  for (absl::string_view part : absl::StrSplit(file, '/')) {
    int number = 0;
    if ((absl::ConsumePrefix(&part, "cpu") || absl::ConsumePrefix(&part, "policy")) &&
        absl::SimpleAtoi(part, &number)) {
      const absl::StatusOr<std::int64_t> online =
          ReadSysfsNumber(paths.Under(absl::StrCat(kCpus, "/cpu", number, "/online")));
      return online.ok() && *online == 0;
    }
  }
  return false;
}

// The files that hold a governor, below the root; one for all names the kernel has for it, and none
// for processors that are offline.
std::vector<std::string> GovernorFiles(const HostPaths& paths) {
  std::vector<std::string> files;
  std::set<std::filesystem::path> seen;
  const auto add = [&](const std::vector<Numbered>& entries, const char* tail,
                       const std::string& folder) {
    for (const Numbered& entry : entries) {
      std::string file = absl::StrCat(folder, "/", entry.path.filename().string(), "/", tail);
      if (IsOffline(paths, file)) continue;
      std::error_code error;
      const std::filesystem::path real = std::filesystem::canonical(entry.path / tail, error);
      if (error || !seen.insert(real).second) continue;
      files.push_back(std::move(file));
    }
  };
  add(ListNumbered(paths.Under(kCpus), "cpu"), "cpufreq/scaling_governor", kCpus);
  const std::string policies = absl::StrCat(kCpus, "/cpufreq");
  add(ListNumbered(paths.Under(policies), "policy"), "scaling_governor", policies);
  return files;
}

// In one write, as sysfs wants it.
absl::Status WriteSetting(const std::filesystem::path& file, const std::string& value) {
  const UniqueFd fd(open(file.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  const bool written = fd.valid() && write(fd.get(), value.data(), value.size()) ==
                                         static_cast<ssize_t>(value.size());
  if (written) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", value, " to ", file.string()));
}

std::string JournalText(const std::vector<EarlierSetting>& earlier) {
  std::string text;
  for (const EarlierSetting& setting : earlier) {
    absl::StrAppend(&text, setting.file.empty() ? kPowerModeLine : kFileLine, " ", setting.value);
    absl::StrAppend(&text, setting.file.empty() ? "" : " ", setting.file, "\n");
  }
  return text;
}

absl::StatusOr<std::vector<EarlierSetting>> ReadJournal(const std::filesystem::path& journal) {
  std::vector<EarlierSetting> earlier;
  std::error_code error;
  if (!std::filesystem::exists(journal, error)) return earlier;
  const std::optional<std::string> text = ReadSmallFile(journal);
  const auto damaged = [&] {
    return absl::FailedPreconditionError(
        absl::StrCat(journal.string(),
                     " cannot be read, so governor and power mode stay as an earlier agent set "
                     "them; put them back by hand and remove the file"));
  };
  if (!text) return damaged();
  for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 2));
    if (words.size() == 3 && words[0] == kFileLine && absl::StartsWith(words[2], kCpus)) {
      earlier.push_back({words[1], words[2]});
    } else if (words.size() == 2 && words[0] == kPowerModeLine) {
      earlier.push_back({words[1], ""});
    } else {
      return damaged();
    }
  }
  return earlier;
}

// Who may change what, in words an operator can act on.
absl::Status Cannot(absl::string_view what, const absl::Status& why) {
  const bool permission = absl::IsPermissionDenied(why);
  return absl::Status(
      why.code(),
      absl::StrCat("cannot set ", what, " as the agent's configuration asks: ", why.message(),
                   permission ? "; run the agent as root, let its user write there, or take it out "
                                "of environment in the configuration"
                              : "; change environment in the agent's configuration"));
}

}  // namespace

Environment::Environment(HostPaths paths, std::filesystem::path journal)
    : paths_(std::move(paths)), journal_(std::move(journal)) {}

Environment::~Environment() { (void)Restore(); }

absl::Status Environment::Apply(const EnvironmentSettings& settings) {
  // What is still in the journal must not be forgotten over what is set now.
  absl::Status status = RestoreLeft().status();
  if (!status.ok()) return status;
  // The mode first: it may bring processors and their governors up or take them away.
  if (settings.power_mode) status = SetPowerMode(*settings.power_mode);
  if (status.ok() && settings.governor) status = SetGovernor(*settings.governor);
  if (status.ok()) return status;
  const absl::Status restored = Restore();
  if (restored.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), "; ", restored.message()));
}

absl::Status Environment::SetPowerMode(int number) {
  const std::string what = absl::StrCat("power mode ", number);
  const PowerModeTool tool(paths_);
  if (!tool.exists()) {
    return Cannot(what, absl::NotFoundError("this device has no nvpmodel"));
  }
  const absl::StatusOr<PowerMode> now = tool.Query();
  if (!now.ok()) return Cannot(what, now.status());
  if (now->number == number) return absl::OkStatus();
  absl::Status status = Remember({{absl::StrCat(now->number), ""}});
  if (status.ok()) status = tool.Set(number);
  return status.ok() ? status : Cannot(what, status);
}

absl::Status Environment::SetGovernor(const std::string& governor) {
  const std::string what = absl::StrCat("governor ", governor);
  const std::vector<std::string> files = GovernorFiles(paths_);
  if (files.empty()) {
    return Cannot(what, absl::NotFoundError("the processors of this device have no governor"));
  }
  std::vector<EarlierSetting> changes;
  for (const std::string& file : files) {
    const absl::StatusOr<std::string> now = ReadSysfsText(paths_.Under(file));
    if (!now.ok()) return Cannot(what, now.status());
    if (*now != governor) changes.push_back({*now, file});
  }
  if (changes.empty()) return absl::OkStatus();
  if (const absl::Status status = Remember(changes); !status.ok()) return Cannot(what, status);
  for (const EarlierSetting& change : changes) {
    const std::filesystem::path file = paths_.Under(change.file);
    if (const absl::Status status = WriteSetting(file, governor); !status.ok()) {
      const absl::StatusOr<std::string> offered =
          ReadSysfsText(file.parent_path() / "scaling_available_governors");
      return Cannot(offered.ok() ? absl::StrCat(what, " (there are: ", *offered, ")") : what,
                    status);
    }
    const absl::StatusOr<std::string> now = ReadSysfsText(file);
    if (!now.ok() || *now != governor) {
      return Cannot(what,
                    absl::FailedPreconditionError(absl::StrCat(
                        file.string(), " shows ", now.ok() ? *now : "nothing", " afterwards")));
    }
  }
  return absl::OkStatus();
}

absl::Status Environment::Remember(std::vector<EarlierSetting> more) {
  std::vector<EarlierSetting> all = earlier_;
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  absl::Status status = WriteDurably(journal_, JournalText(all));
  if (status.ok()) earlier_ = std::move(all);
  return status;
}

absl::Status Environment::PutBack(const EarlierSetting& earlier) const {
  if (!earlier.file.empty()) {
    const std::filesystem::path file = paths_.Under(earlier.file);
    const absl::StatusOr<std::string> now = ReadSysfsText(file);
    if (now.ok() && *now == earlier.value) return absl::OkStatus();
    const absl::Status status = WriteSetting(file, earlier.value);
    // Its line must not stay for ever, and every attempt fail over it.
    return !status.ok() && IsOffline(paths_, earlier.file) ? absl::OkStatus() : status;
  }
  int number = 0;
  if (!absl::SimpleAtoi(earlier.value, &number)) {
    return absl::DataLossError(absl::StrCat(earlier.value, " is no power mode"));
  }
  const PowerModeTool tool(paths_);
  const absl::StatusOr<PowerMode> now = tool.Query();
  if (now.ok() && now->number == number) return absl::OkStatus();
  return tool.Set(number);
}

absl::Status Environment::Restore() {
  if (earlier_.empty()) return absl::OkStatus();
  std::vector<std::string> failures;
  std::vector<EarlierSetting> left;
  // Governors while the processors are there that the power mode may take away, ...
  for (const EarlierSetting& earlier : earlier_) {
    if (!earlier.file.empty()) PutBack(earlier).IgnoreError();
  }
  // ... then, in the order of setting, the mode, and what it brought up or touched.
  for (EarlierSetting& earlier : earlier_) {
    const absl::Status status = PutBack(earlier);
    if (status.ok()) continue;
    failures.emplace_back(status.message());
    left.push_back(std::move(earlier));
  }
  earlier_ = std::move(left);
  const absl::Status kept =
      earlier_.empty() ? RemoveDurably(journal_) : WriteDurably(journal_, JournalText(earlier_));
  if (!kept.ok()) failures.emplace_back(kept.message());
  if (failures.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("not put back as it was: ", absl::StrJoin(failures, "; "),
                   "; the agent tries again at its next start"));
}

absl::StatusOr<std::vector<std::string>> Environment::RestoreLeft() {
  absl::StatusOr<std::vector<EarlierSetting>> left = ReadJournal(journal_);
  if (!left.ok()) return left.status();
  std::vector<std::string> notes;
  for (const EarlierSetting& earlier : *left) {
    notes.push_back(absl::StrCat("put back what an earlier run had changed: ",
                                 earlier.file.empty() ? "power mode" : earlier.file, " to ",
                                 earlier.value));
  }
  earlier_ = *std::move(left);
  const absl::Status status = Restore();
  if (!status.ok()) return status;
  return notes;
}

}  // namespace joulefarm::agent
