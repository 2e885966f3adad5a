#include "controller/store/enum_text.h"

#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace joulefarm::controller {
namespace {

using google::protobuf::EnumDescriptor;

struct Words {
  std::unordered_map<int, std::string> text;
  std::map<std::string, int, std::less<>> number;
};

bool IsVocabulary(const EnumDescriptor* type) {
  static const std::set<std::string> kVocabulary = {"DeviceKind", "Provenance", "Scope", "Quantity",
                                                    "Phase",      "Stream",     "Domain"};
  return kVocabulary.count(type->name()) > 0;
}

Words MakeWords(const EnumDescriptor* type) {
  // By protobuf's convention the first value is PREFIX_UNSPECIFIED.
  absl::string_view prefix = type->value(0)->name();
  absl::ConsumeSuffix(&prefix, "UNSPECIFIED");
  Words words;
  for (int i = 1; i < type->value_count(); ++i) {
    absl::string_view name = type->value(i)->name();
    absl::ConsumePrefix(&name, prefix);
    std::string text = IsVocabulary(type) ? absl::AsciiStrToLower(name) : std::string(name);
    words.number.emplace(text, type->value(i)->number());
    words.text.emplace(type->value(i)->number(), std::move(text));
  }
  return words;
}

const Words& WordsOf(const EnumDescriptor* type) {
  static std::mutex mutex;
  static auto& known = *new std::unordered_map<const EnumDescriptor*, Words>();
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = known.find(type);
  // References into an unordered_map survive its growth.
  return found != known.end() ? found->second : known.emplace(type, MakeWords(type)).first->second;
}

}  // namespace

const std::string& EnumText(const EnumDescriptor* type, int value) {
  static const std::string& none = *new std::string();
  const Words& words = WordsOf(type);
  const auto found = words.text.find(value);
  return found == words.text.end() ? none : found->second;
}

std::vector<std::string> EnumTexts(const EnumDescriptor* type) {
  std::vector<std::string> texts;
  for (int i = 1; i < type->value_count(); ++i)
    texts.push_back(EnumText(type, type->value(i)->number()));
  return texts;
}

std::optional<int> EnumNumber(const EnumDescriptor* type, absl::string_view text) {
  const Words& words = WordsOf(type);
  const auto found = words.number.find(std::string(text));
  if (found == words.number.end()) return std::nullopt;
  return found->second;
}

}  // namespace joulefarm::controller
