#include "common/config/scalar.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/config/duration.h"
#include "common/config/suggest.h"
#include "common/text/json_string.h"
#include "common/text/number.h"
#include "joulefarm/config/v1/options.pb.h"

namespace joulefarm {
namespace {

namespace pb = google::protobuf;
using config::v1::Scalar;

size_t CountDigits(absl::string_view text) {
  size_t n = 0;
  while (n < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[n]))) ++n;
  return n;
}

enum class Numeral { kNone, kInteger, kReal, kNotFinite };

// [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+ | [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? |
// [-+]?\.inf | \.nan
Numeral Classify(absl::string_view text) {
  const auto only = [](absl::string_view digits, absl::string_view allowed) {
    return !digits.empty() && digits.find_first_not_of(allowed) == absl::string_view::npos;
  };
  if (absl::StartsWith(text, "0o") && only(text.substr(2), "01234567")) return Numeral::kInteger;
  if (absl::StartsWith(text, "0x") && only(text.substr(2), "0123456789abcdefABCDEF")) {
    return Numeral::kInteger;
  }
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return Numeral::kNotFinite;
  if (absl::StartsWith(text, "-") || absl::StartsWith(text, "+")) text.remove_prefix(1);
  if (text == ".inf" || text == ".Inf" || text == ".INF") return Numeral::kNotFinite;
  const size_t whole = CountDigits(text);
  text.remove_prefix(whole);
  if (text.empty()) return whole > 0 ? Numeral::kInteger : Numeral::kNone;
  size_t fraction = 0;
  if (text.front() == '.') {
    fraction = CountDigits(text.substr(1));
    text.remove_prefix(1 + fraction);
  }
  if (whole + fraction == 0) return Numeral::kNone;
  if (text.empty()) return Numeral::kReal;
  if (text.front() != 'e' && text.front() != 'E') return Numeral::kNone;
  text.remove_prefix(1);
  if (absl::StartsWith(text, "-") || absl::StartsWith(text, "+")) text.remove_prefix(1);
  return only(text, "0123456789") ? Numeral::kReal : Numeral::kNone;
}

std::optional<bool> AsBool(absl::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

// A numeral of kind kInteger; nullopt when it does not fit.
template <typename Int>
std::optional<Int> AsInteger(absl::string_view text) {
  int base = 10;
  if (absl::StartsWith(text, "0o")) base = 8;
  if (absl::StartsWith(text, "0x")) base = 16;
  if (base != 10) text.remove_prefix(2);
  if (absl::StartsWith(text, "+")) text.remove_prefix(1);
  Int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A numeral of kind kInteger or kReal; nullopt when it is beyond a double.
std::optional<double> AsDouble(absl::string_view text, Numeral numeral) {
  if (numeral == Numeral::kInteger && absl::StartsWith(text, "0")) {
    if (const auto integer = AsInteger<std::int64_t>(text)) return static_cast<double>(*integer);
  }
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string Found(absl::string_view text, ScalarStyle style) {
  if (style == ScalarStyle::kQuoted) return absl::StrCat("found the text ", Quoted(text));
  if (Classify(text) != Numeral::kNone || AsBool(text).has_value()) {
    return absl::StrCat("found ", text.size() <= 60 ? std::string(text) : Quoted(text));
  }
  return absl::StrCat("found the text ", Quoted(text));
}

absl::Status Wrong(const pb::FieldDescriptor* field, absl::string_view wanted,
                   absl::string_view text, ScalarStyle style, absl::string_view advice = "") {
  return absl::InvalidArgumentError(
      absl::StrCat(field->name(), " must be ", wanted, "; ", Found(text, style), advice));
}

std::string RangeText(const pb::FieldDescriptor* field, absl::string_view unit) {
  const auto& options = field->options();
  std::vector<std::string> parts;
  if (options.HasExtension(config::v1::at_least)) {
    const double bound = options.GetExtension(config::v1::at_least);
    parts.push_back(absl::StrFormat("at least %.15g%s", bound, unit));
  }
  if (options.HasExtension(config::v1::at_most)) {
    const double bound = options.GetExtension(config::v1::at_most);
    parts.push_back(absl::StrFormat("at most %.15g%s", bound, unit));
  }
  return absl::StrJoin(parts, " and ");
}

bool InRange(const pb::FieldDescriptor* field, double value) {
  const auto& options = field->options();
  return !(options.HasExtension(config::v1::at_least) &&
           value < options.GetExtension(config::v1::at_least)) &&
         !(options.HasExtension(config::v1::at_most) &&
           value > options.GetExtension(config::v1::at_most));
}

// Removing quotes helps exactly when the text would be right without them.
absl::string_view QuoteAdvice(ScalarStyle style, bool right_without) {
  return style == ScalarStyle::kQuoted && right_without ? ": remove the quotes" : "";
}

absl::StatusOr<bool> BoolFor(const pb::FieldDescriptor* field, absl::string_view text,
                             ScalarStyle style) {
  const auto value = AsBool(text);
  if (value.has_value() && style == ScalarStyle::kPlain) return *value;
  return Wrong(field, "true or false", text, style, QuoteAdvice(style, value.has_value()));
}

template <typename Int>
absl::StatusOr<Int> IntegerFor(const pb::FieldDescriptor* field, absl::string_view text,
                               ScalarStyle style) {
  const bool is_integer = Classify(text) == Numeral::kInteger;
  if (!is_integer || style != ScalarStyle::kPlain) {
    return Wrong(field, "a whole number", text, style, QuoteAdvice(style, is_integer));
  }
  const auto value = AsInteger<Int>(text);
  if (value.has_value() && InRange(field, static_cast<double>(*value))) return *value;
  const std::string range = RangeText(field, "");
  if (!range.empty()) return Wrong(field, range, text, style);
  return Wrong(field,
               absl::StrCat("from ", std::numeric_limits<Int>::min(), " to ",
                            std::numeric_limits<Int>::max()),
               text, style);
}

absl::StatusOr<double> DoubleFor(const pb::FieldDescriptor* field, absl::string_view text,
                                 ScalarStyle style) {
  const Numeral numeral = Classify(text);
  if (numeral == Numeral::kNone || style != ScalarStyle::kPlain) {
    return Wrong(field, "a number", text, style, QuoteAdvice(style, numeral != Numeral::kNone));
  }
  const auto value = numeral == Numeral::kNotFinite ? std::nullopt : AsDouble(text, numeral);
  if (!value.has_value()) return Wrong(field, "a finite number", text, style);
  if (!InRange(field, *value)) return Wrong(field, RangeText(field, ""), text, style);
  return *value;
}

absl::StatusOr<std::string> TextFor(const pb::FieldDescriptor* field, absl::string_view text,
                                    ScalarStyle style) {
  const auto& options = field->options();
  if (options.GetExtension(config::v1::duration)) {
    const auto duration = ParseDuration(text);
    if (!duration.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(field->name(), ": ", duration.status().message()));
    }
    if (!InRange(field, static_cast<double>(*duration) * 1e-9)) {
      return Wrong(field, RangeText(field, "s"), text, style);
    }
  }
  const std::string& choices = options.GetExtension(config::v1::choices);
  if (!choices.empty()) {
    const std::vector<std::string> names = absl::StrSplit(choices, '|');
    for (const std::string& name : names) {
      if (name == text) return name;
    }
    const auto near = NearestName(text, names);
    return Wrong(
        field, names.size() == 1 ? names[0] : absl::StrCat("one of ", absl::StrJoin(names, ", ")),
        text, style, near.has_value() ? absl::StrCat("; did you mean ", Quoted(*near), "?") : "");
  }
  return std::string(text);
}

// Calls `take` with the value in the field's own type.
template <typename Take>
absl::Status Convert(const pb::FieldDescriptor* field, absl::string_view text, ScalarStyle style,
                     const Take& take) {
  const auto pass = [&](auto value) {
    if (!value.ok()) return value.status();
    take(*std::move(value));
    return absl::OkStatus();
  };
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return pass(BoolFor(field, text, style));
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return pass(IntegerFor<std::int32_t>(field, text, style));
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return pass(IntegerFor<std::int64_t>(field, text, style));
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return pass(DoubleFor(field, text, style));
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return pass(TextFor(field, text, style));
    case pb::FieldDescriptor::CPPTYPE_UINT32:
    case pb::FieldDescriptor::CPPTYPE_UINT64:
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
    case pb::FieldDescriptor::CPPTYPE_ENUM:
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return absl::InternalError(
      absl::StrCat(field->full_name(), " has a type no configuration file uses"));
}

// The style that gives the scalar its type back.
ScalarStyle StyleOf(const Scalar& scalar) {
  return scalar.kind_case() == Scalar::kText ? ScalarStyle::kQuoted : ScalarStyle::kPlain;
}

}  // namespace

absl::StatusOr<Scalar> ResolveScalar(absl::string_view text, ScalarStyle style) {
  Scalar scalar;
  scalar.set_source(std::string(text));
  const Numeral numeral = style == ScalarStyle::kPlain ? Classify(text) : Numeral::kNone;
  if (style == ScalarStyle::kPlain && AsBool(text).has_value()) {
    scalar.set_boolean(*AsBool(text));
  } else if (numeral == Numeral::kInteger) {
    const auto value = AsInteger<std::int64_t>(text);
    if (!value.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(
          Quoted(text), " does not fit into 64 bits; put it in quotes if it is a text"));
    }
    scalar.set_integer(*value);
  } else if (numeral != Numeral::kNone) {
    const auto value = numeral == Numeral::kNotFinite ? std::nullopt : AsDouble(text, numeral);
    if (!value.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(text), " is not a finite number; put it in quotes if it is a text"));
    }
    scalar.set_real(*value);
  } else {
    scalar.set_text(std::string(text));
  }
  return scalar;
}

std::string ScalarText(const Scalar& scalar) {
  if (!scalar.source().empty()) return scalar.source();
  return scalar.kind_case() == Scalar::kText ? scalar.text() : ScalarJson(scalar);
}

std::string ScalarJson(const Scalar& scalar) {
  switch (scalar.kind_case()) {
    case Scalar::kBoolean:
      return scalar.boolean() ? "true" : "false";
    case Scalar::kInteger:
      return absl::StrCat(scalar.integer());
    case Scalar::kReal:
      return ShortestReal(scalar.real());
    case Scalar::kText:
      return HashedJsonString(scalar.text());
    case Scalar::KIND_NOT_SET:
      break;
  }
  return "null";
}

absl::Status SetField(pb::Message* message, const pb::FieldDescriptor* field,
                      absl::string_view text, ScalarStyle style) {
  const pb::Reflection* reflection = message->GetReflection();
  return Convert(field, text, style, [&](auto value) {
    using Value = decltype(value);
    if constexpr (std::is_same_v<Value, bool>) {
      reflection->SetBool(message, field, value);
    } else if constexpr (std::is_same_v<Value, std::int32_t>) {
      reflection->SetInt32(message, field, value);
    } else if constexpr (std::is_same_v<Value, std::int64_t>) {
      reflection->SetInt64(message, field, value);
    } else if constexpr (std::is_same_v<Value, double>) {
      reflection->SetDouble(message, field, value);
    } else {
      reflection->SetString(message, field, std::move(value));
    }
  });
}

absl::Status SetField(pb::Message* message, const pb::FieldDescriptor* field,
                      const Scalar& scalar) {
  return SetField(message, field, ScalarText(scalar), StyleOf(scalar));
}

absl::Status AddToField(pb::Message* message, const pb::FieldDescriptor* field,
                        absl::string_view text, ScalarStyle style) {
  const pb::Reflection* reflection = message->GetReflection();
  return Convert(field, text, style, [&](auto value) {
    using Value = decltype(value);
    if constexpr (std::is_same_v<Value, bool>) {
      reflection->AddBool(message, field, value);
    } else if constexpr (std::is_same_v<Value, std::int32_t>) {
      reflection->AddInt32(message, field, value);
    } else if constexpr (std::is_same_v<Value, std::int64_t>) {
      reflection->AddInt64(message, field, value);
    } else if constexpr (std::is_same_v<Value, double>) {
      reflection->AddDouble(message, field, value);
    } else {
      reflection->AddString(message, field, std::move(value));
    }
  });
}

std::string FieldJson(const pb::Message& message, const pb::FieldDescriptor* field) {
  const pb::Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field) ? "true" : "false";
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection->GetInt32(message, field));
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection->GetInt64(message, field));
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return ShortestReal(reflection->GetDouble(message, field));
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return HashedJsonString(reflection->GetString(message, field));
    case pb::FieldDescriptor::CPPTYPE_UINT32:
    case pb::FieldDescriptor::CPPTYPE_UINT64:
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
    case pb::FieldDescriptor::CPPTYPE_ENUM:
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return "null";
}

std::vector<std::string> FieldNames(const pb::Descriptor* descriptor) {
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(descriptor->field_count()));
  for (int i = 0; i < descriptor->field_count(); ++i) names.push_back(descriptor->field(i)->name());
  return names;
}

}  // namespace joulefarm
