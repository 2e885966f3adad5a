#include "common/experiment/spec_hash.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"

namespace joulefarm {
namespace {

namespace pb = google::protobuf;

// Length first: no two sequences of values give the same bytes.
void HashText(absl::string_view text, Sha256* sha) {
  sha->Update(absl::StrCat(text.size(), ":"));
  sha->Update(text);
}

void HashInteger(std::int64_t value, Sha256* sha) { sha->Update(absl::StrCat("i", value, ";")); }

void HashDouble(double value, Sha256* sha) {
  if (value == 0) value = 0;  // one zero
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  sha->Update(absl::StrCat("d", absl::Hex(bits, absl::kZeroPad16), ";"));
}

void HashSingle(const pb::Message& message, const pb::FieldDescriptor* field, int index,
                Sha256* sha) {
  const pb::Reflection* r = message.GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return HashInteger(
          repeated ? r->GetRepeatedInt32(message, field, index) : r->GetInt32(message, field), sha);
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return HashInteger(
          repeated ? r->GetRepeatedInt64(message, field, index) : r->GetInt64(message, field), sha);
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return HashInteger(
          repeated ? r->GetRepeatedUInt32(message, field, index) : r->GetUInt32(message, field),
          sha);
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return HashInteger(
          static_cast<std::int64_t>(repeated ? r->GetRepeatedUInt64(message, field, index)
                                             : r->GetUInt64(message, field)),
          sha);
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return HashInteger(
          repeated ? r->GetRepeatedBool(message, field, index) : r->GetBool(message, field), sha);
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return HashInteger(repeated ? r->GetRepeatedEnumValue(message, field, index)
                                  : r->GetEnumValue(message, field),
                         sha);
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return HashDouble(
          repeated ? r->GetRepeatedDouble(message, field, index) : r->GetDouble(message, field),
          sha);
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      return HashDouble(static_cast<double>(repeated ? r->GetRepeatedFloat(message, field, index)
                                                     : r->GetFloat(message, field)),
                        sha);
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return HashText(
          repeated ? r->GetRepeatedString(message, field, index) : r->GetString(message, field),
          sha);
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return HashMessage(
          repeated ? r->GetRepeatedMessage(message, field, index) : r->GetMessage(message, field),
          sha);
  }
}

}  // namespace

void HashMessage(const pb::Message& message, Sha256* sha) {
  std::vector<const pb::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  sha->Update(absl::StrCat("m", fields.size(), "{"));
  for (const pb::FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? message.GetReflection()->FieldSize(message, field) : 1;
    sha->Update(absl::StrCat("f", field->number(), "x", count, "="));
    for (int i = 0; i < count; ++i) HashSingle(message, field, i, sha);
  }
  sha->Update("}");
}

std::string ExpansionHash(const Expansion& expansion) {
  Sha256 sha;
  // The number changes when what is hashed, or how, does.
  sha.Update("joulefarm experiment 1\n");
  HashText(expansion.name, &sha);
  HashText(expansion.tenant, &sha);
  HashText(expansion.selector_text, &sha);
  for (const std::int64_t value :
       {expansion.seed, std::int64_t{expansion.blocks}, std::int64_t{expansion.priority},
        std::int64_t{expansion.retries}, expansion.lost_after_ns,
        std::int64_t{expansion.count.value_or(-1)}}) {
    HashInteger(value, &sha);
  }
  HashMessage(expansion.power, &sha);
  HashMessage(expansion.gates, &sha);
  for (const Cell& cell : expansion.cells) HashMessage(cell.spec, &sha);
  return sha.HexDigest();
}

}  // namespace joulefarm
