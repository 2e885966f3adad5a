// The one way from YAML to typed configuration: any protobuf message is a schema, honouring the
// options in joulefarm/config/v1/options.proto. Used for experiments and for both daemons' files.
//
// Errors are InvalidArgument with one line each (ten at most): "file:line:column: what; what to
// do", or "--set key=value: what" for what the command line set. Survives any bytes: input is
// bounded (see yaml_tree.h) and nothing throws.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/config/source_map.h"
#include "google/protobuf/message.h"

namespace joulefarm {

// Fills the message, which is left in an unspecified state by an error. `set` holds "key.key=value"
// assignments, applied in order before anything is checked.
absl::Status ParseYaml(absl::string_view text, absl::string_view file_name,
                       const std::vector<std::string>& set, google::protobuf::Message* message,
                       SourceMap* source);
absl::Status ParseYaml(absl::string_view text, absl::string_view file_name,
                       google::protobuf::Message* message, SourceMap* source);

// Reads and parses a file. Besides: NotFound, and Unavailable when reading fails.
absl::Status ParseYamlFile(const std::filesystem::path& path, google::protobuf::Message* message,
                           SourceMap* source);

}  // namespace joulefarm
