// Who may include which library: the table in docs/architecture.md, "Who may include which
// library". The page is the rule; this reads it there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/lint/includes.h"

namespace joulefarm::lint {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Row {
  std::string library;
  std::vector<std::string> headers;  // beginnings of what is included
  std::vector<std::string> users;    // beginnings of the paths that may; "": everybody
};

std::vector<std::string> Quoted(const std::string& cell) {
  static const std::regex kQuoted("`([^`]+)`");
  std::vector<std::string> names;
  for (auto it = std::sregex_iterator(cell.begin(), cell.end(), kQuoted);
       it != std::sregex_iterator(); ++it) {
    names.push_back((*it)[1]);
  }
  return names;
}

// Rows "| library | `header`, … | `folder/`, … or everywhere | why |" of the section.
std::vector<Row> ReadTable(const std::string& page) {
  std::vector<Row> rows;
  bool inside = false;
  for (const std::string& line : Lines(page)) {
    if (absl::StartsWith(line, "## ")) inside = line == "## Who may include which library";
    if (!inside || !absl::StartsWith(line, "| ")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    if (cells.size() != 4 || Quoted(cells[1]).empty()) continue;
    Row row{cells[0].substr(2), Quoted(cells[1]), Quoted(cells[2])};
    if (cells[2] == "everywhere") row.users = {""};
    rows.push_back(row);
  }
  return rows;
}

const std::vector<Row>& Table() {
  static const auto& kTable =
      *new std::vector<Row>(ReadTable(ReadFile(Root() / "docs/architecture.md")));
  return kTable;
}

// Of the standard library, the C library or the kernel: anybody's.
bool IsSystem(const std::string& target) {
  static const auto& kNames = *new std::set<std::string>{
      "aio.h",       "assert.h",    "byteswap.h", "cpuid.h",    "ctype.h",   "dirent.h",
      "dlfcn.h",     "elf.h",       "endian.h",   "errno.h",    "fcntl.h",   "fenv.h",
      "float.h",     "fnmatch.h",   "ftw.h",      "getopt.h",   "glob.h",    "grp.h",
      "ifaddrs.h",   "immintrin.h", "inttypes.h", "langinfo.h", "limits.h",  "link.h",
      "locale.h",    "malloc.h",    "math.h",     "mntent.h",   "netdb.h",   "nmmintrin.h",
      "poll.h",      "pthread.h",   "pty.h",      "pwd.h",      "regex.h",   "sched.h",
      "semaphore.h", "setjmp.h",    "signal.h",   "spawn.h",    "stdarg.h",  "stddef.h",
      "stdint.h",    "stdio.h",     "stdlib.h",   "string.h",   "strings.h", "syslog.h",
      "termios.h",   "time.h",      "ucontext.h", "unistd.h",   "utime.h",   "utmp.h",
      "wchar.h",     "wordexp.h",   "x86intrin.h"};
  if (StartsWithAny(target, {"sys/", "net/", "netinet/", "arpa/", "linux/", "asm/"})) return true;
  return !absl::StrContains(target, '/') &&
         (!absl::StrContains(target, '.') || kNames.count(target) > 0);
}

bool IsOurs(const std::string& target) {
  return StartsWithAny(target, {"common/", "controller/", "agent/", "cli/", "deploy/", "tests/"});
}

// A service's stub is gRPC by another name; what comes first in the table wins.
const Row* RowOf(const std::string& target) {
  const std::string header = absl::EndsWith(target, ".grpc.pb.h") ? "grpcpp/" : target;
  for (const Row& row : Table()) {
    if (StartsWithAny(header, row.headers)) return &row;
  }
  return nullptr;
}

// What is wrong with an include; empty: nothing.
std::string Broken(const Include& include) {
  if (IsOurs(include.target) || IsSystem(include.target)) return "";
  const Row* row = RowOf(include.target);
  if (row == nullptr) {
    return "no row of the table in docs/architecture.md has this library: say there who may use it";
  }
  if (StartsWithAny(include.file, row->users)) return "";
  return absl::StrCat(row->library, " is for others: the table in docs/architecture.md");
}

TEST(LibraryRulesTest, EveryLibraryStaysWhereItBelongs) {
  ASSERT_GE(Table().size(), 10U) << "the table in docs/architecture.md was not found";
  std::vector<std::string> broken;
  for (const Include& include : IncludesOfTheTree()) {
    const std::string what = Broken(include);
    if (what.empty()) continue;
    broken.push_back(
        absl::StrCat(include.file, ":", include.line, ": ", include.target, ": ", what));
  }
  EXPECT_THAT(broken, IsEmpty());
}

// So that the table says how things are, not how they once were.
TEST(LibraryRulesTest, EveryPermissionIsUsed) {
  std::vector<std::string> unused;
  const std::vector<Include> includes = IncludesOfTheTree();
  for (const Row& row : Table()) {
    EXPECT_FALSE(row.users.empty()) << row.library;
    for (const std::string& user : row.users) {
      const bool used = std::any_of(includes.begin(), includes.end(), [&](const Include& include) {
        return absl::StartsWith(include.file, user) && RowOf(include.target) == &row;
      });
      if (!used) unused.push_back(absl::StrCat(row.library, ": ", user));
    }
  }
  EXPECT_THAT(unused, IsEmpty());
}

std::string BrokenLine(const char* file, const char* line) {
  const std::vector<Include> includes = IncludesOf(file, line);
  return includes.size() == 1 ? Broken(includes[0]) : "not one include";
}

TEST(LibraryRulesTest, AStrangerIsCaught) {
  struct Case {
    const char* file;
    const char* line;
    const char* library;
  };
  const Case kCases[] = {
      {"controller/farm_host.cc", "#include <SQLiteCpp/Database.h>", "SQLite"},
      {"agent/run/attempt_runner.cc", "#include \"sqlite3.h\"", "SQLite"},
      {"common/trace/trace_codec.cc", "#include <sqlite3ext.h>", "SQLite"},
      {"controller/core/farm.cc", "#include <sqlite3.h>", "SQLite"},
      {"agent/power/link/tcp_link.cc", "#include <boost/asio/ip/tcp.hpp>", "Asio"},
      {"controller/ingest/store_loop.h", "#include \"boost/asio/post.hpp\"", "Asio"},
      {"controller/rpc/farm_service.cc", "#include <boost/beast/http.hpp>", "Beast"},
      {"agent/power/meter/km003c.cc", "#include <libusb.h>", "USB"},
      {"agent/power/switch/ykush.cc", "#include <hidapi/hidapi.h>", "USB"},
      {"agent/host/facts.cc", "  #  include <libudev.h>", "USB"},
      {"common/experiment/experiment.cc", "#include <yaml-cpp/yaml.h>", "yaml-cpp"},
      {"cli/commands/submit.cc", "#include <yaml-cpp/yaml.h>", "yaml-cpp"},
      {"cli/view/report.cc", "#include <CLI/App.hpp>", "CLI11"},
      {"agent/agent.cc", "#include <CLI/CLI.hpp>", "CLI11"},
      {"agent/core/session.cc", "#include <spdlog/spdlog.h>", "spdlog"},
      {"controller/store/open.cc", "#include \"spdlog/spdlog.h\"", "spdlog"},
      {"common/measure/energy.cc", "#include <nlohmann/json.hpp>", "nlohmann"},
      {"controller/core/farm.h", "#include <nlohmann/json_fwd.hpp>", "nlohmann"},
      {"controller/store/ingest.cc", "#include <zstd.h>", "zstd"},
      {"agent/artifact/cache.cc", "#include <openssl/evp.h>", "OpenSSL"},
      {"agent/agent.cc", "#include <grpcpp/grpcpp.h>", "gRPC"},
      {"controller/http/api.cc", "#include \"joulefarm/v1/farm_service.grpc.pb.h\"", "gRPC"},
      {"agent/core/session.cc", "#include \"joulefarm/v1/agent_service.grpc.pb.h\"", "gRPC"},
      {"controller/core/farm.cc", "#include \"google/protobuf/util/json_util.h\"", "reflection"},
      {"agent/power/link/usb_bus.cc", "#include <umockdev.h>", "umockdev"},
      {"agent/agent.cc", "#include <fmt/format.h>", "no row"},
      {"controller/http/api.cc", "#include <boost/json.hpp>", "no row"},
      {"agent/agent.cc", "#include <curl.h>", "no row"},
      {"agent/agent.cc", "#include \"config.h\"", "no row"},
  };
  for (const Case& each : kCases) {
    EXPECT_THAT(BrokenLine(each.file, each.line), HasSubstr(each.library))
        << each.file << ": " << each.line;
  }
}

TEST(LibraryRulesTest, WhoBelongsThereMay) {
  EXPECT_EQ(BrokenLine("controller/store/open.cc", "#include <sqlite3.h>"), "");
  EXPECT_EQ(BrokenLine("agent/rpc/link.cc", "#include <grpcpp/grpcpp.h>"), "");
  EXPECT_EQ(BrokenLine("agent/rpc/link.cc", "#include \"joulefarm/v1/x.grpc.pb.h\""), "");
  EXPECT_EQ(BrokenLine("controller/core/farm.cc", "#include \"joulefarm/v1/job.pb.h\""), "");
  EXPECT_EQ(BrokenLine("common/measure/energy.cc", "#include \"absl/status/status.h\""), "");
  EXPECT_EQ(BrokenLine("agent/process/group.cc", "#include <sys/prctl.h>"), "");
  EXPECT_EQ(BrokenLine("agent/process/group.cc", "#include <unistd.h>"), "");
  EXPECT_EQ(BrokenLine("agent/core/session.cc", "#include <vector>"), "");
}

}  // namespace
}  // namespace joulefarm::lint
