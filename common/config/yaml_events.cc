#include "common/config/yaml_events.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/suggest.h"

namespace joulefarm {
namespace {

// Ends parsing from inside a handler; the reason is among the diagnostics.
struct Stop {};

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Finds the byte and the person's line and column of yaml-cpp's marks (0-based, in bytes). Marks
// mostly advance, so it counts on from the last one.
class Locator {
 public:
  Locator(absl::string_view text, std::string argument)
      : text_(text), argument_(std::move(argument)) {
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') line_starts_.push_back(i + 1);
    }
  }

  size_t Offset(const YAML::Mark& mark) const {
    return std::min(line_starts_[LineOf(mark)] + static_cast<size_t>(std::max(mark.column, 0)),
                    text_.size());
  }

  SourcePosition At(size_t offset) {
    if (!argument_.empty()) return {.argument = argument_};
    const auto next = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
    const size_t line = static_cast<size_t>(next - line_starts_.begin()) - 1;
    if (line != last_line_ || offset < last_offset_) {
      last_line_ = line;
      last_offset_ = line_starts_[line];
      last_column_ = 1;
    }
    for (; last_offset_ < offset; ++last_offset_) {
      if (!IsContinuation(text_[last_offset_])) ++last_column_;
    }
    return {.line = static_cast<int>(line) + 1, .column = last_column_, .argument = {}};
  }

  SourcePosition At(const YAML::Mark& mark) { return At(Offset(mark)); }

  // The tab that indents the mark's line, if one does.
  std::optional<SourcePosition> IndentingTab(const YAML::Mark& mark) {
    const size_t begin = line_starts_[LineOf(mark)];
    const size_t indent = text_.find_first_not_of(" \t", begin);
    const size_t tab = text_.find('\t', begin);
    if (tab >= std::min(indent, text_.size())) return std::nullopt;
    return At(tab);
  }

  absl::string_view From(size_t offset) const { return text_.substr(offset); }

  // Where a null stands. One that is not written has the mark of whatever comes after it; the last
  // thing before that (a "-", ":" or ",") is nearer to the truth.
  SourcePosition AtNull(const YAML::Mark& mark) {
    size_t offset = Offset(mark);
    const absl::string_view here = From(offset);
    if (absl::StartsWith(here, "~") || absl::StartsWithIgnoreCase(here, "null")) return At(offset);
    while (offset > 0 && absl::StrContains(" \t\r\n", text_.substr(offset - 1, 1))) --offset;
    return At(offset > 0 ? offset - 1 : 0);
  }

 private:
  size_t LineOf(const YAML::Mark& mark) const {
    return std::min<size_t>(std::max(mark.line, 0), line_starts_.size() - 1);
  }

  absl::string_view text_;
  std::string argument_;
  std::vector<size_t> line_starts_ = {0};
  size_t last_line_ = 0;
  size_t last_offset_ = 0;
  int last_column_ = 1;
};

// yaml-cpp takes the end of the file for the closing quote.
bool IsClosed(absl::string_view quoted) {
  const char quote = quoted.front();
  for (size_t i = 1; i < quoted.size(); ++i) {
    if (quote == '"' && quoted[i] == '\\') {
      ++i;
    } else if (quoted[i] == quote) {
      if (quote == '"' || i + 1 == quoted.size() || quoted[i + 1] != quote) return true;
      ++i;
    }
  }
  return false;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(Locator* locator, Diagnostics* diagnostics)
      : locator_(*locator), diagnostics_(*diagnostics) {}

  bool has_document() const { return documents_ > 0; }
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      Fail(locator_.At(mark),
           "a second document begins here; a file holds one: check the indentation, or split it");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    const SourcePosition position = locator_.AtNull(mark);
    if (WantsKey()) Fail(position, "a key must be text; write it before the colon");
    YamlNode* node = Place(position);
    // A key without a value is shown as that, not as a place in the void after it.
    if (frames_.empty() || frames_.back().node->kind != YamlKind::kMap) return;
    node->position = frames_.back().node->entries.back().key_position;
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    const SourcePosition position = locator_.At(mark);
    diagnostics_.Add(position, "aliases are not supported; write the value out");
    if (WantsKey()) throw Stop();
    Place(position)->kind = YamlKind::kRefused;
  }

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    diagnostics_.Add(locator_.At(mark), absl::StrCat("anchors are not supported; remove ",
                                                     Quoted(absl::StrCat("&", name))));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    const size_t offset = locator_.Offset(mark);
    const SourcePosition position = locator_.At(offset);
    const absl::string_view source = locator_.From(offset);
    CheckTag(position, tag);
    if (!source.empty() && (source[0] == '"' || source[0] == '\'') && tag == "!" &&
        !IsClosed(source)) {
      Fail(position, absl::StrCat("the quote is never closed; add a ", source.substr(0, 1)));
    }
    if (absl::StrContains(value, absl::string_view("\0", 1))) {
      Fail(position, "text must not contain a NUL character; remove it");
    }
    if (WantsKey()) {
      OnKey(position, value);
      return;
    }
    YamlNode* node = Place(position);
    node->kind = YamlKind::kScalar;
    node->style = tag == "?" ? ScalarStyle::kPlain : ScalarStyle::kQuoted;
    node->text = value;
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, YamlKind::kSequence);
  }
  void OnSequenceEnd() override { frames_.pop_back(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, YamlKind::kMap);
  }
  void OnMapEnd() override { frames_.pop_back(); }

 private:
  struct Frame {
    YamlNode* node;
    bool wants_value = false;  // a map's key has come
    std::unordered_map<std::string, SourcePosition> keys;
  };

  [[noreturn]] void Fail(const SourcePosition& position, absl::string_view message) {
    diagnostics_.Add(position, message);
    throw Stop();
  }

  bool WantsKey() const {
    return !frames_.empty() && frames_.back().node->kind == YamlKind::kMap &&
           !frames_.back().wants_value;
  }

  void CheckTag(const SourcePosition& position, const std::string& tag) {
    if (tag == "?" || tag == "!" || tag.empty()) return;
    diagnostics_.Add(position,
                     "tags are not supported; remove what begins with \"!\", and quote a "
                     "value that must be text");
  }

  void OnKey(const SourcePosition& position, const std::string& key) {
    Frame& frame = frames_.back();
    const auto [first, is_new] = frame.keys.try_emplace(key, position);
    if (!is_new) {
      diagnostics_.Add(position, absl::StrCat("duplicate key ", Quoted(key), "; it is already set ",
                                              position.argument.empty()
                                                  ? absl::StrCat("in line ", first->second.line)
                                                  : "before",
                                              ": remove one"));
    }
    frame.node->entries.push_back({key, position, YamlNode()});
    frame.wants_value = true;
  }

  // Makes the node for the next value. Stays valid until its container gets another one.
  YamlNode* Place(const SourcePosition& position) {
    if (++values_ > kMaxYamlValues) {
      Fail(position, absl::StrCat("more than ", kMaxYamlValues, " values; make the file smaller"));
    }
    YamlNode* node = &root_;
    if (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.node->kind == YamlKind::kMap) {
        frame.wants_value = false;
        node = &frame.node->entries.back().value;
      } else {
        node = &frame.node->items.emplace_back();
      }
    }
    node->position = position;
    return node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YamlKind kind) {
    const SourcePosition position = locator_.At(mark);
    CheckTag(position, tag);
    // yaml-cpp takes a list or mapping that is never closed for a key.
    if (WantsKey()) {
      Fail(position,
           "a list or mapping that is not closed, or stands where a key must be; add the "
           "missing bracket, or write a text before the colon");
    }
    if (frames_.size() >= kMaxYamlDepth) {
      Fail(position, absl::StrCat("nested deeper than ", kMaxYamlDepth,
                                  " levels; no key of this file needs that"));
    }
    YamlNode* node = Place(position);
    node->kind = kind;
    frames_.push_back({node, false, {}});
  }

  Locator& locator_;
  Diagnostics& diagnostics_;
  YamlNode root_;
  std::vector<Frame> frames_;
  int documents_ = 0;
  size_t values_ = 0;
};

// yaml-cpp's words, and what they mean to a person.
std::string Explain(const std::string& message) {
  using Pair = std::pair<absl::string_view, absl::string_view>;
  static constexpr std::array<Pair, 9> kWords = {{
      {"illegal flow end",
       "this bracket does not close the one that is open; check \"[]\" and \"{}\""},
      {"illegal map value",
       "a colon cannot stand here; check the indentation, and quote text that contains \": \""},
      {"illegal map key", "a key cannot stand here; check the indentation"},
      {"illegal block entry", "a \"-\" cannot stand here; check the indentation"},
      {"end of map not found",
       "this does not belong to the mapping above; check the indentation "
       "and the quotes"},
      {"end of sequence not found",
       "this does not belong to the list above; check the indentation "
       "and the quotes"},
      {"end of map flow not found",
       "the mapping before this is not closed; add a \"}\" or a comma"},
      {"end of sequence flow not found",
       "the list before this is not closed; add a \"]\" or a "
       "comma"},
      {"unknown token", "this character cannot begin a value; put the text in quotes"},
  }};
  for (const auto& [theirs, ours] : kWords) {
    if (message == theirs) return std::string(ours);
  }
  return absl::StrCat("not YAML: ", message, "; check the indentation and the quotes");
}

// The length of the UTF-8 sequence at the front; 0 when it is none (overlong, surrogate, cut off).
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  const bool wrong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
                     (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F);
  return wrong ? 0 : length;
}

}  // namespace

void CheckYamlText(absl::string_view text, const std::string& argument, Diagnostics* diagnostics) {
  Locator locator(text.substr(0, std::min(text.size(), kMaxYamlBytes)), argument);
  if (text.size() > kMaxYamlBytes) {
    diagnostics->Add(locator.At(0), absl::StrCat("larger than ", kMaxYamlBytes,
                                                 " bytes; put long prompts into a JSONL artifact"));
    return;
  }
  for (size_t i = 0; i < text.size();) {
    const size_t length = SequenceLength(text.substr(i));
    if (length == 0) {
      diagnostics->Add(locator.At(i), "not UTF-8; save the file as UTF-8");
      return;
    }
    const char c = text[i];
    if ((c >= 0 && c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      diagnostics->Add(locator.At(i),
                       absl::StrCat("control character 0x", absl::Hex(c, absl::kZeroPad2),
                                    "; remove it, or write it as an escape in double quotes"));
      return;
    }
    i += length;
  }
}

std::optional<YamlNode> BuildYamlTree(absl::string_view text, const std::string& argument,
                                      Diagnostics* diagnostics) {
  Locator locator(text, argument);
  TreeBuilder builder(&locator, diagnostics);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop&) {
    return std::nullopt;
  } catch (const YAML::Exception& error) {
    if (const auto tab = locator.IndentingTab(error.mark)) {
      diagnostics->Add(*tab, "tabs cannot indent; use spaces");
    } else {
      diagnostics->Add(locator.At(error.mark), Explain(error.msg));
    }
    return std::nullopt;
  } catch (const std::exception& error) {
    diagnostics->Add(locator.At(0), absl::StrCat("cannot be read: ", error.what()));
    return std::nullopt;
  }
  if (!builder.has_document()) return std::nullopt;
  return builder.TakeRoot();
}

}  // namespace joulefarm
