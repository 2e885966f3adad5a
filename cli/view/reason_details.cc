#include "cli/view/reason_details.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace joulefarm::cli {
namespace {

constexpr std::size_t kMostListed = 4;

// A detail that begins with a number: "14%>5%" is 14, with the rest "%>5%".
struct Numbered {
  double value = 0;
  std::string number;
  std::string rest;
};

std::optional<Numbered> Split(const std::string& detail) {
  const std::size_t end = detail.find_first_not_of("0123456789.-+");
  Numbered numbered;
  numbered.number = detail.substr(0, end);
  if (end != std::string::npos) numbered.rest = detail.substr(end);
  if (!absl::SimpleAtod(numbered.number, &numbered.value)) return std::nullopt;
  return numbered;
}

// "%>5%" after a number: the unit is what stands before the comparison.
std::string UnitOf(const std::string& rest) {
  return rest.substr(0, std::min(rest.find_first_of("<>"), rest.size()));
}

}  // namespace

std::string JoinReasonDetails(const std::vector<std::string>& details) {
  std::vector<std::string> distinct;
  for (const std::string& detail : details) {
    if (std::find(distinct.begin(), distinct.end(), detail) == distinct.end())
      distinct.push_back(detail);
  }
  if (distinct.empty()) return "";
  std::optional<Numbered> low = Split(distinct.front());
  std::optional<Numbered> high = low;
  for (const std::string& detail : distinct) {
    const std::optional<Numbered> next = Split(detail);
    if (!low || !next || next->rest != low->rest) {
      low.reset();
      break;
    }
    if (next->value < low->value) low = next;
    if (next->value > high->value) high = next;
  }
  if (low && distinct.size() > 1) {
    return absl::StrCat(low->number, UnitOf(low->rest), "…", high->number, high->rest);
  }
  const std::size_t listed = std::min(distinct.size(), kMostListed);
  std::string text =
      absl::StrJoin(distinct.begin(), distinct.begin() + static_cast<std::ptrdiff_t>(listed), ", ");
  if (listed < distinct.size()) absl::StrAppend(&text, ", …");
  return text;
}

}  // namespace joulefarm::cli
