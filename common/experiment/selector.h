// Which devices an experiment may run on: "os=linux,ram_mib>=1024,zone=lab1".
//
// Predicates are joined by commas and must all hold. A predicate is KEY OP VALUE with OP one of
// = != >= <= > <; blanks around each are ignored; a value with a comma stands in double quotes.
// >= <= > < compare numbers; = and != compare numbers when both sides are, texts otherwise. A
// device without the key never matches, not even !=. The empty selector matches every device.
//
// Threads: const methods from any thread. Ownership: values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm {

using Attributes = std::map<std::string, std::string>;

enum class SelectorOp { kEqual, kNotEqual, kAtLeast, kAtMost, kGreater, kLess };

struct Predicate {
  std::string key;
  SelectorOp op = SelectorOp::kEqual;
  std::string value;
  std::optional<double> number;  // the value, when it is one
  std::string text;              // as written, without blanks around

  bool Matches(const Attributes& attributes) const;
};

class Selector {
 public:
  Selector() = default;

  // InvalidArgument says what is wrong "at character N" (from 1) and what to do.
  static absl::StatusOr<Selector> Parse(absl::string_view text);

  const std::vector<Predicate>& predicates() const { return predicates_; }

  bool Matches(const Attributes& attributes) const;

  // The first predicate that fails; nullptr when all hold.
  const Predicate* FirstMismatch(const Attributes& attributes) const;

  // Its text and why: "ram_mib>=1024 (it is 512)", "zone=lab1 (the device has no zone)"; empty when
  // all hold.
  std::string ExplainMismatch(const Attributes& attributes) const;

 private:
  std::vector<Predicate> predicates_;
};

}  // namespace joulefarm
