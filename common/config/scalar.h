// YAML scalars and protobuf fields: text typed by the YAML 1.2 core schema (010 is ten, no is a
// text), fields set strictly by their own type and options.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/config/yaml_tree.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "joulefarm/config/v1/experiment.pb.h"

namespace joulefarm {

// Types a scalar that is not null. InvalidArgument for an integer beyond 64 bits and for numbers
// that are not finite.
absl::StatusOr<config::v1::Scalar> ResolveScalar(absl::string_view text, ScalarStyle style);

// As written; for a scalar made by a program, the shortest text of its value.
std::string ScalarText(const config::v1::Scalar& scalar);

// JSON text of the value: 2, 0.5, true, "tiny-q8_0".
std::string ScalarJson(const config::v1::Scalar& scalar);

// Sets a singular field that is not a message. InvalidArgument, naming the field, when the text has
// another type, is out of the field's range (options at_least, at_most) or none of its choices, or
// is no duration where one is wanted.
absl::Status SetField(google::protobuf::Message* message,
                      const google::protobuf::FieldDescriptor* field, absl::string_view text,
                      ScalarStyle style);
absl::Status SetField(google::protobuf::Message* message,
                      const google::protobuf::FieldDescriptor* field,
                      const config::v1::Scalar& scalar);

// Appends to a repeated field that is not of messages. Errors as above.
absl::Status AddToField(google::protobuf::Message* message,
                        const google::protobuf::FieldDescriptor* field, absl::string_view text,
                        ScalarStyle style);

// The JSON text of a set singular field, by the field's own type.
std::string FieldJson(const google::protobuf::Message& message,
                      const google::protobuf::FieldDescriptor* field);

// The names of a message's fields in order.
std::vector<std::string> FieldNames(const google::protobuf::Descriptor* descriptor);

}  // namespace joulefarm
