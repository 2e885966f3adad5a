#include "agent/host/sysfs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/process/text.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kLongestText = 4096;  // of an attribute of sysfs: one page

absl::Status ReadError(int error, const std::filesystem::path& file) {
  const std::string text =
      absl::StrCat("cannot read ", file.string(), ": ", std::generic_category().message(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace

absl::StatusOr<std::string> ReadSysfsText(const std::filesystem::path& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return ReadError(errno, file);
  std::array<char, kLongestText> text;
  ssize_t length = 0;
  do {
    length = read(fd.get(), text.data(), text.size());
  } while (length < 0 && errno == EINTR);
  if (length < 0) return ReadError(errno, file);
  return Printable(
      absl::StripAsciiWhitespace(absl::string_view(text.data(), static_cast<std::size_t>(length))),
      kLongestText);
}

absl::StatusOr<std::int64_t> ReadSysfsNumber(const std::filesystem::path& file) {
  const absl::StatusOr<std::string> text = ReadSysfsText(file);
  if (!text.ok()) return text.status();
  std::int64_t number = 0;
  if (!absl::SimpleAtoi(*text, &number)) {
    return absl::DataLossError(
        text->empty() ? absl::StrCat(file.string(), " is empty")
                      : absl::StrCat(file.string(), ": ", *text, " is not a whole number"));
  }
  return number;
}

std::vector<Numbered> ListNumbered(const std::filesystem::path& dir, absl::string_view prefix) {
  std::vector<Numbered> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    absl::string_view rest = name;
    Numbered entry{0, it->path()};
    if (absl::ConsumePrefix(&rest, prefix) && !rest.empty() &&
        absl::ascii_isdigit(static_cast<unsigned char>(rest[0])) &&
        absl::SimpleAtoi(rest, &entry.number)) {
      found.push_back(std::move(entry));
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Numbered& a, const Numbered& b) { return a.number < b.number; });
  return found;
}

}  // namespace joulefarm::agent
