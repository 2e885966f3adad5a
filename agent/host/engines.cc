#include "agent/host/engines.h"

#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/process/boottime.h"
#include "agent/process/child_process.h"
#include "agent/process/text.h"

namespace joulefarm::agent {
namespace {

constexpr char kServer[] = "llama-server";
constexpr std::size_t kLongestVersion = 200;

// The version, or nullopt with the reason in `note` when the program cannot be executed.
std::optional<std::string> AskVersion(const std::filesystem::path& program,
                                      const EngineSearch& search, const StopFd& stop,
                                      std::string& note) {
  ProcessOptions options;
  options.argv = {program.string(), "--version"};
  auto child = ChildProcess::Start(std::move(options), nullptr);
  if (!child.ok()) {
    note = absl::StrCat(program.string(), " cannot be used: ", child.status().message());
    return std::nullopt;
  }
  const Wake wake = (*child)->Wait(stop, BoottimeNs() + search.version_timeout_ns);
  (*child)->Terminate(0);
  const std::string output = (*child)->OutputTail();
  if (wake != Wake::kReady) {
    note = absl::StrCat(program.string(), " --version did not end in time; its version is unknown");
    return "";
  }
  const ExitStatus status = (*child)->exit_status().value_or(ExitStatus{});
  // 126 and 127 are what shells and launchers say when they cannot start the program proper.
  if (status.code == 126 || status.code == 127) {
    note = absl::StrCat(program.string(), " cannot be used (", status.ToString(),
                        "): ", PrintableTail(output, 500));
    return std::nullopt;
  }
  return ParseLlamaVersion(output);
}

}  // namespace

EngineSearch DefaultEngineSearch(std::vector<std::filesystem::path> configured_dirs) {
  EngineSearch search;
  search.dirs = std::move(configured_dirs);
  const char* engine_dir = getenv("JOULEFARM_ENGINE_DIR");
  if (engine_dir != nullptr && engine_dir[0] != '\0') search.engine_dir = engine_dir;
  const char* path = getenv("PATH");
  if (path != nullptr) search.path = path;
  return search;
}

std::string DescribeSearch(const EngineSearch& search) {
  const std::string configured =
      search.dirs.empty() ? "not set"
                          : absl::StrJoin(search.dirs, ", ",
                                          [](std::string* out, const std::filesystem::path& dir) {
                                            absl::StrAppend(out, dir.string());
                                          });
  return absl::StrCat("engine_dirs of the agent's configuration (", configured,
                      "), $JOULEFARM_ENGINE_DIR (",
                      search.engine_dir ? search.engine_dir->string() : "not set", ") and PATH (",
                      search.path, ")");
}

std::vector<std::filesystem::path> SearchedDirectories(const EngineSearch& search) {
  std::vector<std::filesystem::path> directories = search.dirs;
  if (search.engine_dir) directories.push_back(*search.engine_dir);
  for (absl::string_view entry : absl::StrSplit(search.path, ':', absl::SkipEmpty())) {
    directories.emplace_back(std::string(entry));
  }
  return directories;
}

FoundEngines FindEngines(const EngineSearch& search, const StopFd& stop) {
  FoundEngines found;
  for (const std::filesystem::path& directory : SearchedDirectories(search)) {
    std::error_code error;
    const std::filesystem::path program = std::filesystem::absolute(directory, error) / kServer;
    if (!std::filesystem::is_regular_file(program, error)) continue;
    if (access(program.c_str(), X_OK) != 0) {
      found.notes.push_back(absl::StrCat(program.string(), " is not executable"));
      continue;
    }
    std::string note;
    const std::optional<std::string> version = AskVersion(program, search, stop, note);
    if (!note.empty()) found.notes.push_back(note);
    if (!version) continue;
    v1::Engine& engine = found.engines.emplace_back();
    engine.set_name("llama.cpp");
    engine.set_version(*version);
    engine.set_path(program.string());
    break;
  }
  return found;
}

std::string ParseLlamaVersion(const std::string& output) {
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (absl::ConsumePrefix(&line, "version:"))
      return Printable(absl::StripAsciiWhitespace(line), kLongestVersion);
  }
  return "";
}

}  // namespace joulefarm::agent
