#include "controller/store/json_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "common/text/number.h"
#include "controller/store/enum_text.h"

namespace joulefarm::controller {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string JsonNumber(double value) { return std::isfinite(value) ? ShortestReal(value) : "null"; }

// A text without presence of its own is absent where it is empty.
bool IsAbsent(const Message& message, const FieldDescriptor* field) {
  return (field->has_presence() || field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) &&
         !message.GetReflection()->HasField(message, field);
}

// `index` is -1 for a singular field.
std::string JsonField(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* of = message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(one ? of->GetInt32(message, field)
                              : of->GetRepeatedInt32(message, field, index));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(one ? of->GetInt64(message, field)
                              : of->GetRepeatedInt64(message, field, index));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(one ? of->GetUInt32(message, field)
                              : of->GetRepeatedUInt32(message, field, index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(one ? of->GetUInt64(message, field)
                              : of->GetRepeatedUInt64(message, field, index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return JsonNumber(one ? of->GetDouble(message, field)
                            : of->GetRepeatedDouble(message, field, index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return JsonNumber(static_cast<double>(one ? of->GetFloat(message, field)
                                                : of->GetRepeatedFloat(message, field, index)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (one ? of->GetBool(message, field) : of->GetRepeatedBool(message, field, index))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int value =
          one ? of->GetEnumValue(message, field) : of->GetRepeatedEnumValue(message, field, index);
      const std::string& text = EnumText(field->enum_type(), value);
      return text.empty() ? "null" : JsonString(text);
    }
    case FieldDescriptor::CPPTYPE_STRING:
      return JsonString(one ? of->GetString(message, field)
                            : of->GetRepeatedString(message, field, index));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return JsonMessage(one ? of->GetMessage(message, field)
                             : of->GetRepeatedMessage(message, field, index));
  }
  return "null";
}

void RestoreEnumNames(google::protobuf::Struct& object,
                      const google::protobuf::Descriptor* descriptor);

void RestoreEnumNames(google::protobuf::Value& value, const FieldDescriptor* field) {
  if (value.has_list_value()) {
    for (google::protobuf::Value& item : *value.mutable_list_value()->mutable_values())
      RestoreEnumNames(item, field);
  } else if (value.has_struct_value() && field->message_type() != nullptr && !field->is_map()) {
    RestoreEnumNames(*value.mutable_struct_value(), field->message_type());
  } else if (value.kind_case() == google::protobuf::Value::kStringValue &&
             field->enum_type() != nullptr) {
    const std::optional<int> number = EnumNumber(field->enum_type(), value.string_value());
    if (number) value.set_number_value(*number);
  }
}

// json_util wants enum values under their full names, or as numbers.
void RestoreEnumNames(google::protobuf::Struct& object,
                      const google::protobuf::Descriptor* descriptor) {
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const auto found = object.mutable_fields()->find(field->name());
    if (found != object.mutable_fields()->end()) RestoreEnumNames(found->second, field);
  }
}

bool ParseObject(google::protobuf::Struct& object, Message& message) {
  RestoreEnumNames(object, message.GetDescriptor());
  std::string standard;
  google::protobuf::util::JsonParseOptions lenient;
  lenient.ignore_unknown_fields = true;
  return google::protobuf::util::MessageToJsonString(object, &standard).ok() &&
         google::protobuf::util::JsonStringToMessage(standard, &message, lenient).ok();
}

}  // namespace

std::string JsonObject(const std::map<std::string, std::string>& entries) {
  std::string out = "{";
  for (const auto& [key, value] : entries) {
    if (out.size() > 1) out += ',';
    absl::StrAppend(&out, JsonString(key), ":", JsonString(value));
  }
  return out + "}";
}

std::string JsonParams(const v1::JobSpec& spec) {
  std::string out = "{";
  for (const v1::Param& param : spec.params()) {
    if (out.size() > 1) out += ',';
    absl::StrAppend(&out, JsonString(param.key()), ":", param.json());
  }
  return out + "}";
}

std::string JsonMessage(const Message& message) {
  const google::protobuf::Descriptor* descriptor = message.GetDescriptor();
  const Reflection* reflection = message.GetReflection();
  std::string out = "{";
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (i > 0) out += ',';
    absl::StrAppend(&out, JsonString(field->name()), ":");
    if (field->is_repeated()) {
      out += '[';
      for (int k = 0; k < reflection->FieldSize(message, field); ++k) {
        if (k > 0) out += ',';
        out += JsonField(message, field, k);
      }
      out += ']';
    } else if (IsAbsent(message, field)) {
      out += "null";
    } else {
      out += JsonField(message, field, -1);
    }
  }
  return out + "}";
}

bool ParseJsonObject(const std::string& json, std::map<std::string, std::string>& entries) {
  google::protobuf::Struct object;
  if (!google::protobuf::util::JsonStringToMessage(json, &object).ok()) return false;
  for (const auto& [key, value] : object.fields()) {
    if (value.kind_case() != google::protobuf::Value::kStringValue) return false;
    entries[key] = value.string_value();
  }
  return true;
}

bool ParseJsonMessage(const std::string& json, Message& message) {
  google::protobuf::Struct object;
  if (!google::protobuf::util::JsonStringToMessage(json, &object).ok()) return false;
  return ParseObject(object, message);
}

bool ParseJsonChannels(const std::string& json, std::vector<v1::ChannelInfo>& channels) {
  google::protobuf::ListValue list;
  if (!google::protobuf::util::JsonStringToMessage(json, &list).ok()) return false;
  for (google::protobuf::Value& value : *list.mutable_values()) {
    if (!ParseObject(*value.mutable_struct_value(), channels.emplace_back())) return false;
  }
  return true;
}

}  // namespace joulefarm::controller
