#include "common/experiment/prompts.h"

#include <map>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace joulefarm {
namespace {

using PromptSets = std::map<std::string, std::vector<std::string>>;

constexpr char kTrain[] =
    "A train leaves at 14:25 and arrives at 17:10. How long does it travel, and how far does "
    "it get at 80 km/h? Show the steps.";

constexpr char kMedian[] =
    "Write a C++ function that returns the median of a vector of doubles without changing the "
    "vector. Explain its cost.";

constexpr char kKettle[] =
    "Summarise: The kettle boiled for the third time that morning. Nobody had made tea yet; "
    "one guest was looking for the sugar, another had gone to fetch milk and not returned, and "
    "the host kept refilling the water because it seemed impolite to sit down first.";

constexpr char kLong[] =
    "You are given the notes of a measurement day in a small laboratory. Write a report of "
    "five sentences: what was measured, what went wrong, what was done about it, and what "
    "should change next time.\n"
    "\n"
    "08:10 Opened the windows; 19 degrees in the room. Two phones, one board and one laptop"
    " on the bench. The laptop's battery was at 41 percent although it had been plugged in "
    "overnight; its charger was warm, the socket strip had been switched off at the wall.\n"
    "08:40 First pass on the board. Power between 4.8 and 6.1 watts, no throttling. The fan"
    " was audible after twenty minutes.\n"
    "09:30 The first phone refused to start: its clock was two hours off and the "
    "certificate was not yet valid. Set the clock by hand.\n"
    "10:15 Second pass. The meter lost the connection for eleven seconds; the run was "
    "marked as suspect and repeated. A loose cable was found and replaced.\n"
    "11:50 Sun on the bench. The second phone rose to 44 degrees without any load and was "
    "moved into the shade; three runs had to wait until it had cooled down.\n"
    "13:20 Last pass on the laptop, on battery. It finished with 12 percent left.\n"
    "14:00 Copied the results, switched everything off, closed the windows.";

// Their texts are part of stored experiments: a changed set gets a new name.
const PromptSets& Sets() {
  static const PromptSets kSets = {
      {"short", {"Explain in two sentences why a battery loses capacity over the years."}},
      {"mixed",
       {"Name three rivers.", "Write a polite message to a neighbour whose dog barks at night.",
        kTrain, kMedian, kKettle}},
      {"long", {kLong}},
  };
  return kSets;
}

}  // namespace

std::vector<std::string> BuiltinPromptSets() {
  std::vector<std::string> names;
  for (const auto& [name, prompts] : Sets()) names.push_back(name);
  return names;
}

const std::vector<std::string>* BuiltinPrompts(absl::string_view set) {
  const auto it = Sets().find(std::string(set));
  return it == Sets().end() ? nullptr : &it->second;
}

absl::StatusOr<std::vector<std::string>> PromptsFromJsonl(absl::string_view jsonl) {
  std::vector<std::string> prompts;
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(jsonl, '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    const auto refuse = [&](absl::string_view why) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number, " ", why, "; each line must be like {\"text\": \"a prompt\"}"));
    };
    const auto json =
        nlohmann::json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded()) return refuse("is not JSON");
    if (!json.is_object()) return refuse("is not an object");
    const auto text = json.find("text");
    if (text == json.end() || !text->is_string()) return refuse("has no string \"text\"");
    const auto& prompt = text->get_ref<const std::string&>();
    if (prompt.empty()) return refuse("has an empty \"text\"");
    prompts.push_back(prompt);
  }
  if (prompts.empty()) {
    return absl::InvalidArgumentError(
        "it has no prompt; each line must be like {\"text\": \"a prompt\"}");
  }
  return prompts;
}

}  // namespace joulefarm
