#include "agent/identity.h"

#include <unistd.h>

#include <cctype>
#include <cstdint>
#include <fstream>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/daemon/state_dir.h"

namespace joulefarm::agent {
namespace {

constexpr char kIdFile[] = "agent_id";

std::uint64_t Random64() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

// Letters, digits, '-', '.' and '_' only, so that the id needs quoting nowhere.
std::string CleanHostname() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "agent";
  std::string clean;
  for (const char* c = name; *c != '\0'; ++c) {
    const auto byte = static_cast<unsigned char>(*c);
    clean += std::isalnum(byte) != 0 || *c == '-' || *c == '.' || *c == '_' ? *c : '-';
  }
  return clean.empty() ? "agent" : clean;
}

}  // namespace

std::string KeptAgentId(const std::filesystem::path& state_dir) {
  std::string id;
  std::getline(std::ifstream(state_dir / kIdFile), id);
  absl::StripAsciiWhitespace(&id);
  return id;
}

absl::StatusOr<std::string> PersistentAgentId(const std::filesystem::path& state_dir) {
  std::string id = KeptAgentId(state_dir);
  if (!id.empty()) return id;
  id = absl::StrCat(CleanHostname(), "-", absl::Hex(Random64() & 0xFFFF, absl::kZeroPad4));
  const absl::Status written = ReplaceFile(state_dir / kIdFile, id + "\n");
  if (!written.ok()) return written;
  return id;
}

std::string RandomInstance() { return absl::StrCat(absl::Hex(Random64(), absl::kZeroPad16)); }

}  // namespace joulefarm::agent
