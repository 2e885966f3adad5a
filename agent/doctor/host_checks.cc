#include "agent/doctor/host_checks.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stop_token>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/process/stop_fd.h"
#include "common/daemon/address.h"
#include "common/daemon/state_dir.h"
#include "common/text/number.h"

namespace joulefarm::agent {
namespace {

namespace fs = std::filesystem;

// Below the first an agent cannot spool what it measures; below the second models soon do not fit.
constexpr std::int64_t kDiskBroken = 256'000'000;
constexpr std::int64_t kDiskWarning = 2'000'000'000;
constexpr std::int64_t kMemoryWarning = 512'000'000;
constexpr double kErrorWarning_s = 0.5;
constexpr int kDialMs = 1000;

// A line such as "MemAvailable:   123 kB" of /proc/meminfo, in bytes.
std::optional<std::int64_t> MemInfo(const HostPaths& paths, const std::string& key) {
  std::ifstream in(paths.proc() / "meminfo");
  std::string name;
  std::int64_t kib = 0;
  std::string rest;
  while (in >> name >> kib && std::getline(in, rest)) {
    if (name == key + ":") return kib * 1024;
  }
  return std::nullopt;
}

std::string ReadLine(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return std::string(absl::StripAsciiWhitespace(line));
}

// Zones whose temperature can be read right now.
int ReadableZones(const HostPaths& paths) {
  std::error_code error;
  int count = 0;
  for (auto it = fs::directory_iterator(paths.Under("sys/class/thermal"), error);
       !error && it != fs::directory_iterator(); it.increment(error)) {
    int ignored = 0;
    if (absl::StartsWith(it->path().filename().string(), "thermal_zone") &&
        absl::SimpleAtoi(ReadLine(it->path() / "temp"), &ignored)) {
      ++count;
    }
  }
  return count;
}

// Where engines are looked for, without the whole of PATH.
std::string ShortSearch(const EngineSearch& search) {
  std::string dirs;
  for (const fs::path& dir : search.dirs)
    absl::StrAppend(&dirs, dirs.empty() ? "" : ":", dir.string());
  return absl::StrCat("engine_dirs (", dirs.empty() ? "not set" : dirs,
                      "), $JOULEFARM_ENGINE_DIR (",
                      search.engine_dir ? search.engine_dir->string() : "not set", "), PATH");
}

// Why nothing at the address took a connection within kDialMs; empty: something did.
std::string DialError(const addrinfo& address) {
  const int fd = ::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                          address.ai_protocol);
  if (fd < 0) return std::strerror(errno);
  int error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd ready{fd, POLLOUT, 0};
    socklen_t size = sizeof(error);
    error = ETIMEDOUT;
    if (::poll(&ready, 1, kDialMs) > 0) ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  ::close(fd);
  return error == 0 ? "" : std::strerror(error);
}

}  // namespace

Findings CheckEngines(const FoundEngines& found, const std::string& searched) {
  Findings out;
  for (const v1::Engine& engine : found.engines) {
    const std::string version = engine.version().empty() ? "of unknown version" : engine.version();
    out.push_back({Level::kOk, "engine",
                   absl::StrCat(engine.name(), " ", version, " at ", engine.path()), ""});
    if (engine.version().empty()) {
      out.push_back({Level::kWarning, "engine",
                     absl::StrCat(engine.path(), " says no version within the time for it"),
                     "run it with --version and look; results will not name its build"});
    }
  }
  for (const std::string& note : found.notes) {
    out.push_back({found.engines.empty() ? Level::kBroken : Level::kWarning, "engine", note,
                   "make it executable for this user, or take it away"});
  }
  if (found.engines.empty() && found.notes.empty()) {
    out.push_back({Level::kWarning, "engine",
                   absl::StrCat("no inference engine found (looked in ", searched,
                                "): only `command` workloads can run here"),
                   "install llama.cpp on PATH, or set JOULEFARM_ENGINE_DIR or engine_dirs to the "
                   "folder of llama-server"});
  }
  return out;
}

Findings CheckSensors(const HostPaths& paths) {
  Findings out;
  std::error_code error;
  if (!fs::exists(paths.proc() / "stat", error)) {
    // A tree somebody sent may well be without.
    out.push_back(
        {paths.live() ? Level::kBroken : Level::kWarning, "sensor",
         absl::StrCat(paths.proc().string(), " cannot be read: no CPU, memory or process figures"),
         "mount /proc where the agent runs"});
  }
  const int zones = ReadableZones(paths);
  if (zones > 0) {
    out.push_back({Level::kOk, "sensor", absl::StrCat(zones, " thermal zones can be read"), ""});
  } else {
    out.push_back({Level::kWarning, "sensor",
                   "no temperature can be read: heat will not be "
                   "recorded, and gates on temperature cannot pass",
                   "in a container or VM, run the agent on the host; else load the drivers of its "
                   "sensors"});
  }
  return out;
}

Findings CheckPower(const PowerSelection& selection) {
  Findings out;
  if (selection.totals.empty()) {
    out.push_back({Level::kWarning, "power",
                   "nothing measures power here: energy will be estimated, and says so",
                   "on hardware with power sensors, run the agent on the host itself; "
                   "estimated_power in its configuration makes the estimate better"});
  } else {
    out.push_back({Level::kOk, "power",
                   absl::StrCat("read from ", absl::StrJoin(selection.totals, ", "),
                                "; results come from ", selection.ranking.front()),
                   ""});
  }
  for (const std::string& obstacle : selection.obstacles) {
    // What stands in the way; what to do about it.
    const std::vector<std::string> parts = absl::StrSplit(obstacle, absl::MaxSplits("; ", 1));
    out.push_back({Level::kWarning, "power", parts.front(), parts.size() > 1 ? parts[1] : ""});
  }
  return out;
}

Findings CheckMemory(const HostPaths& paths) {
  const auto available = MemInfo(paths, "MemAvailable");
  const auto total = MemInfo(paths, "MemTotal");
  if (!available || !total) return {};
  const std::string text =
      absl::StrCat(HumanBytes(*available), " of ", HumanBytes(*total), " memory available");
  if (*available >= kMemoryWarning) return {{Level::kOk, "memory", text, ""}};
  return {{Level::kWarning, "memory", text, "end what uses it, or run smaller models here"}};
}

Findings CheckTime(const std::optional<TimeSync>& time) {
  if (!time) return {};
  const std::string by = time->service.empty() ? "" : absl::StrCat(" by ", time->service);
  if (!time->synchronised) {
    return {{Level::kWarning, "time",
             "the clock is not synchronised: times of results may be wrong (durations and energy "
             "are not)",
             "switch on systemd-timesyncd (`sudo timedatectl set-ntp true`) or chrony"}};
  }
  const double error_s = time->max_error_s.value_or(0);
  const std::string text =
      absl::StrFormat("the clock is synchronised%s, within %.3g ms", by, error_s * 1e3);
  if (error_s <= kErrorWarning_s) return {{Level::kOk, "time", text, ""}};
  return {{Level::kWarning, "time", text, "check that its time servers can be reached"}};
}

Findings CheckStateDir(const fs::path& state_dir) {
  const StateDirLook look = LookAtStateDir(state_dir);
  switch (look.kind) {
    case StateDirLook::Kind::kInUse:
      return {{Level::kOk, "state",
               absl::StrCat("an agent (process ", look.pid, ") runs with ", state_dir.string()),
               ""}};
    case StateDirLook::Kind::kFree:
      return {{Level::kOk, "state",
               absl::StrCat(state_dir.string(), " is there; no agent runs with it now"), ""}};
    case StateDirLook::Kind::kMissing:
      return {{Level::kOk, "state",
               absl::StrCat(state_dir.string(), " is not there yet; an agent will make it"), ""}};
    case StateDirLook::Kind::kNoAccess:
      break;
  }
  return {{Level::kBroken, "state",
           absl::StrCat(state_dir.string(), " cannot be read and written by this user"),
           absl::StrCat("run as the agent's user, `sudo chown -R $USER ", state_dir.string(),
                        "`, or give another --state DIR")}};
}

Findings CheckDisk(const fs::path& state_dir, const absl::StatusOr<DiskSpace>& space) {
  if (!space.ok()) {
    return {{Level::kBroken, "disk", std::string(space.status().message()),
             "give a --state DIR that can be reached"}};
  }
  const std::string text =
      absl::StrCat(HumanBytes(space->available_bytes), " of ", HumanBytes(space->total_bytes),
                   " free for ", state_dir.string());
  if (space->available_bytes >= kDiskWarning) return {{Level::kOk, "disk", text, ""}};
  return {{space->available_bytes < kDiskBroken ? Level::kBroken : Level::kWarning, "disk",
           absl::StrCat(text, ": models and unsent results need room"),
           "free some space there; artifact_max_bytes limits the models an agent keeps"}};
}

Findings CheckController(const std::string& address, bool allow_plaintext) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  if (!parsed.ok()) {
    return {{Level::kBroken, "controller", std::string(parsed.status().message()),
             "write --controller HOST:PORT"}};
  }
  if (const absl::Status plain = CheckPlaintext(*parsed, allow_plaintext); !plain.ok()) {
    return {{Level::kBroken, "controller", std::string(plain.message()),
             "where the network is trusted, start the agent with --allow-plaintext"}};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      ::getaddrinfo(parsed->host.c_str(), absl::StrCat(parsed->port).c_str(), &hints, &found);
  if (code == 0) {
    std::string error;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      error = DialError(*one);
      if (error.empty()) break;
    }
    ::freeaddrinfo(found);
    if (error.empty())
      return {{Level::kOk, "controller", absl::StrCat("an agent can dial ", address), ""}};
    return {{Level::kWarning, "controller",
             absl::StrCat("an agent would dial ", address, ", and nothing answers there: ", error),
             "start joulefarm-controller there, or give another --controller HOST:PORT"}};
  }
  return {{Level::kBroken, "controller",
           absl::StrCat("the controller's name ", parsed->host,
                        " cannot be resolved: ", ::gai_strerror(code)),
           "check the name, DNS and /etc/hosts, or give an address"}};
}

Findings Examine(const DoctorOptions& options) {
  const HostPaths paths(options.root);
  Findings out;
  const auto add = [&out](Findings more) {
    for (Finding& finding : more) out.push_back(std::move(finding));
  };
  if (paths.live()) {
    const EngineSearch search = DefaultEngineSearch(options.engine_dirs);
    add(CheckEngines(FindEngines(search, StopFd(std::stop_token())), ShortSearch(search)));
  }
  add(CheckSensors(paths));
  add(CheckPower(SelectPower(PowerWish(), paths, options.power)));
  add(CheckMemory(paths));
  if (paths.live()) {
    add(CheckDisk(options.state_dir, SpaceAt(options.state_dir)));
    add(CheckTime(ReadTimeSync()));
    add(CheckStateDir(options.state_dir));
    add(CheckController(options.controller, options.allow_plaintext));
  }
  return out;
}

}  // namespace joulefarm::agent
