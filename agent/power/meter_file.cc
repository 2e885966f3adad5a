#include "agent/power/meter_file.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/spool/durable_file.h"

namespace joulefarm::agent {
namespace {

using nlohmann::ordered_json;

constexpr int kMeterFileVersion = 1;

}  // namespace

absl::StatusOr<ordered_json> MeterFile::Read() const {
  std::ifstream in(path);
  if (!in) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return ordered_json::object();
    return absl::ErrnoToStatus(
        error, absl::StrCat("cannot read the ", what, " of meters in ", path.string()));
  }
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad()) return Damaged("it cannot be read");
  ordered_json json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return Damaged("it is no JSON object");
  const auto version = json.find("version");
  if (version == json.end() || *version != kMeterFileVersion)
    return Damaged(absl::StrCat("its version is not ", kMeterFileVersion));
  const auto meters = json.find("meters");
  if (meters == json.end() || !meters->is_object()) return Damaged("it lists no meters");
  return std::move(*meters);
}

absl::Status MeterFile::Write(ordered_json meters) const {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot make the state directory ",
                                               path.parent_path().string(), ": ", error.message(),
                                               ": give another --state DIR"));
  }
  const ordered_json json = {{"version", kMeterFileVersion}, {"meters", std::move(meters)}};
  return WriteDurably(
      path, absl::StrCat(json.dump(2, ' ', false, ordered_json::error_handler_t::replace), "\n"));
}

absl::Status MeterFile::Damaged(absl::string_view why) const {
  return absl::DataLossError(absl::StrCat("the ", what, " of meters in ", path.string(),
                                          " are damaged (", why,
                                          "): mend the file, or remove it and ", cure));
}

bool IsTime(const std::string& text) {
  absl::Time ignored;
  std::string why;
  return absl::ParseTime(absl::RFC3339_full, text, &ignored, &why);
}

}  // namespace joulefarm::agent
